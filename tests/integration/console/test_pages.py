"""The pages of the console, with what stands in them."""

import pytest

from sfmc_server.console.application import GET
from tests.support.console import World

PLAIN = [path for path in GET if "{" not in path and path not in {"/search", "/definition"}]


@pytest.mark.parametrize("path", [*PLAIN, "/requests?list=failures", "/definitions?list=all"])
def test_each_page_can_be_opened_when_nothing_has_happened_yet(world: World, path: str) -> None:
    answer = world.person("operator").see(path)

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert '<main id="main"' in answer.text


def test_a_request_is_on_the_overview_with_why_it_waits_and_has_a_page_with_its_life(world: World) -> None:
    request = world.submit(name="new orders.csv")
    person = world.person("operator")
    overview, page = person.see("/"), person.see(f"/requests/{request}")

    assert "new orders.csv" in overview.text
    assert "It waits for a worker to take it." in overview.text
    assert (page.status_code, "accepted" in page.text) == (200, True), page.text
    assert f'href="/requests/{request}/cancel"' in page.text


def test_an_operator_reads_what_will_happen_and_cancels(world: World) -> None:
    request = world.submit()
    person = world.person("operator")
    path = f"/requests/{request}/cancel"
    confirm = person.see(path)
    done = person.send(path, {"reason": "wrong file"})

    assert "Its file counts as handled" in confirm.text
    assert (done.status_code, done.headers["location"]) == (303, f"/requests/{request}?done=cancelled")
    after = person.see(done.headers["location"]).text
    assert "The request is cancelled." in after
    assert "operator ann" in after
