"""A form that was filled in wrongly comes back with what was written, and says at each field what is wrong."""

import html
import re
from dataclasses import dataclass

import httpx
import pytest

from sfmc_import.operations import actions
from tests.support.console import MID, World
from tests.support.console_data import busy


@pytest.fixture
def found(world: World) -> dict[str, str]:
    return busy(world.access)


@dataclass
class Form:
    """The form of a page as a browser and a screen reader see it."""

    answer: httpx.Response

    @property
    def main(self) -> str:
        return self.answer.text.partition("<main")[2]

    def tag(self, name: str) -> str:
        found = re.search(
            rf'<(?:input|textarea|select)(?! type="(?:hidden|radio)")[^>]* name="{name}"[^>]*>', self.main
        )
        assert found, self.main
        return found[0]

    def value(self, name: str) -> str:
        inside = re.search(rf'name="{name}"[^>]*>([^<]*)</textarea>', self.main)
        given = re.search(r'value="([^"]*)"', self.tag(name))
        return html.unescape((inside or given or [None, ""])[1])

    def wrong(self, name: str) -> str:
        """Give what is read with a field as wrong; empty where nothing is."""
        if 'aria-invalid="true"' not in self.tag(name):
            return ""
        pointed = re.search(r'aria-describedby="([^"]+)"', self.tag(name))
        assert pointed
        said = re.search(rf'id="{pointed[1]}"[^>]*>(?:<bdi>)?([^<]*)', self.main)
        assert said
        return html.unescape(said[1])

    @property
    def focused(self) -> list[str]:
        return re.findall(r'name="(\w+)"[^>]* autofocus', self.main)


@pytest.mark.parametrize(
    ("written", "field", "text"),
    [
        ({"reason": "a & <b>", "duration": "soon"}, "duration", "soon is no duration; write it as 30m, 4h or 2d"),
        ({"reason": "", "duration": "2h"}, "reason", "a pause needs a reason; give a reason: who finds it"),
        ({"reason": "r" * 1025, "duration": "2h"}, "reason", "the reason has 1025 characters"),
        ({"reason": "why", "duration": "0m"}, "duration", "which has passed"),
    ],
)
def test_the_form_of_a_pause_keeps_what_was_written(
    world: World, written: dict[str, str], field: str, text: str
) -> None:
    of = f"/pause?mid={MID}&customer_key=Daily_Orders"
    form = Form(world.person("operator").send("/pause", written, of=of))

    assert form.answer.status_code == 422
    assert {name: form.value(name) for name in written} == written
    assert (text in form.wrong(field), form.focused) == (True, [field])
    assert "Nothing was done" in form.main
    assert '<input type="hidden" name="customer_key" value="Daily_Orders">' in form.main
    assert actions.pauses(world.access) == []


@pytest.mark.parametrize("confirmed", ["", "1"])
@pytest.mark.parametrize(
    ("wrong", "at"),
    [
        ({"customer_key": "x" * 37}, {"customer_key": "customer_key has 37 characters"}),
        ({"mid": "abc"}, {"mid": "mid must be the number of a business unit"}),
        ({"customer_key": "", "mid": "abc"}, {"customer_key": "customer_key is missing", "mid": "mid must be"}),
        ({"name": "n" * 1025}, {"name": "file.name must be a text of"}),
        ({"location": "d" * 1025}, {"location": "file.location, file.version"}),
        ({"reason": "r" * 1025}, {"reason": "reason must be a text"}),
        ({"name": ""}, {"name": "a folder or a version needs the name of the file"}),
    ],
)
def test_the_form_of_a_start_keeps_what_was_written(
    world: World, wrong: dict[str, str], at: dict[str, str], confirmed: str
) -> None:
    written = {"customer_key": "a", "mid": MID, "name": "a.csv", "location": "/in", "version": "", "reason": "why"}
    more = {"confirmed": confirmed, "once": "1"}
    form = Form(world.person("operator").send("/start", {**written, **wrong, **more}))

    assert form.answer.status_code == 422
    assert {name: form.value(name) for name in written} == {**written, **wrong}
    assert {name: form.wrong(name).startswith(at.get(name, "")) for name in written} == dict.fromkeys(written, True)
    assert [name for name in written if form.wrong(name)] == list(at)
    assert form.focused == [next(iter(at))]


@pytest.mark.parametrize(
    ("action", "request_of", "written", "field", "text"),
    [
        ("force", "deferred", {"reason": " "}, "reason", "force needs a reason"),
        ("replay", "done", {"reason": ""}, "reason", "force needs a reason"),
        ("resolve", "unknown", {"what": "not_started", "reason": ""}, "reason", "a reason is needed"),
        ("resolve", "unknown", {"what": "started", "reason": "x"}, "task_id", "say either which run it was"),
        ("resolve", "unknown", {"what": "started", "task_id": "x1", "reason": "y"}, "task_id", "a whole number"),
        ("resolve", "unknown", {"what": "started", "task_id": "9" * 19, "reason": "y"}, "task_id", "18 digits"),
        ("resolve", "unknown", {"what": "started", "task_id": "7", "reason": "y"}, "unchecked", "give unchecked with"),
    ],
)
def test_the_form_of_an_action_says_at_its_field_what_is_wrong(
    world: World, found: dict[str, str], action: str, request_of: str, written: dict[str, str], field: str, text: str
) -> None:
    form = Form(world.person("operator").send(f"/request/{action}?id={found[request_of]}", written))

    assert form.answer.status_code == 422
    assert form.value("reason") == written["reason"].strip()
    assert (text in form.wrong(field), form.focused) == (True, [field])


def test_a_run_of_another_request_is_refused_at_its_field(world: World, found: dict[str, str]) -> None:
    taken = re.search(r"Task.ID</dt><dd><bdi>(\d+)", world.person("viewer").see(f"/request?id={found['done']}").text)
    assert taken
    written = {"what": "started", "task_id": taken[1], "unchecked": "1", "reason": "seen"}
    form = Form(world.person("operator").send(f"/request/resolve?id={found['unknown']}", written))

    assert (form.answer.status_code, form.value("task_id"), form.value("reason")) == (409, taken[1], "seen")
    assert f"is the run of request {found['done']}" in form.wrong("task_id")


@pytest.mark.parametrize(
    ("query", "field"),
    [("mid=abc&customer_key=Daily", "mid"), ("state=nonsense&customer_key=Daily", "state"),
     ("waiting=nonsense&customer_key=Daily", "waiting")],
)  # fmt: skip
def test_the_filters_of_the_list_are_kept(world: World, query: str, field: str) -> None:
    form = Form(world.person("viewer").see(f"/requests?{query}"))

    assert (form.answer.status_code, form.value("customer_key")) == (422, "Daily")
    assert (form.wrong(field) != "", form.focused) == (True, [field])
    assert "No request of these" not in form.main


def test_a_token_that_does_not_count_is_said_at_its_field_and_not_kept(world: World) -> None:
    person = world.person("viewer")
    person.cookies.clear()
    answer = person.log_in("sfmc_nothing")

    assert answer.status_code == 401
    assert 'aria-invalid="true" aria-describedby="wrong how"' in answer.text
    assert "sfmc_nothing" not in answer.text


def test_a_form_that_is_opened_has_nothing_wrong_in_it(world: World, found: dict[str, str]) -> None:
    person = world.person("operator")
    paths = ["/start", "/pause", "/requests", *(f"/request/{name}?id={found[of]}" for name, of in
             {"force": "deferred", "resolve": "unknown", "replay": "failed"}.items())]  # fmt: skip

    pages = [person.see(path) for path in paths]
    assert [page.status_code for page in pages] == [200] * len(pages)
    assert [page.url.path for page in pages if "aria-invalid" in page.text or "-wrong" in page.text] == []
