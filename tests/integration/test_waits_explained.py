"""What an operator reads of a spent budget, of a definition that another one waits for, and of a start in doubt."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sfmc_import.access import ReadAccess
from sfmc_import.attempts import CONFIRMED_FIRST
from sfmc_import.cli.doctor import check_circuits
from sfmc_import.cli.overview import standing_lines, whole_lines
from sfmc_import.cli.requests_shown import request_lines, table_lines
from sfmc_import.faults import NotApplied
from sfmc_import.ledger import RedisLedger
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.operations import actions, requests
from sfmc_import.operations.errors import ConflictError, InvalidError
from sfmc_import.operations.resolving import resolve
from sfmc_import.operations.status import standing, status
from sfmc_import.policy import Policy
from sfmc_import.runs import Accepted, Definition
from sfmc_import.states import Lease, StartNow
from sfmc_import.waiting import BUDGET_OF_DAY, BUDGET_OF_YEAR
from tests.support.console import MID, World, console_over

ZONE = "Etc/GMT+6"


@pytest.fixture
def world(redis_server: Any) -> Iterator[World]:
    with console_over(redis_server.url, SFMC_TIME_ZONE=ZONE) as made:
        yield made


def claimed(world: World, key: str, policy: Policy | None = None) -> tuple[RedisLedger, Lease]:
    """Submit a request and let a worker take it."""
    ledger = open_ledger(world.access.settings)
    asked = ledger.load(world.submit(name=f"{key}.csv", key=key))
    assert asked is not None
    decision = ledger.claim(asked, "worker", policy or Policy(), Definition(customer_key=key))
    assert isinstance(decision, StartNow), decision
    return ledger, decision.lease


def shown(world: World, request_id: str) -> str:
    """Give what `show`, `status`, the page of the request and the API say of it."""
    view, now = requests.show(world.access, request_id), world.access.reader.now()
    lines = [*request_lines(view, now), *table_lines(view, now)]
    page = world.person("operator").see(f"/request?id={request_id}").text
    return " ".join([*map(str, lines), page, world.ask("GET", f"/v1/requests/{request_id}").text])


# --- A budget.


@pytest.mark.parametrize("text", [BUDGET_OF_DAY, BUDGET_OF_YEAR])
def test_every_surface_says_which_budget_is_spent_and_when_it_is_new(world: World, text: str) -> None:
    ledger, lease = claimed(world, "held")
    day = datetime.fromtimestamp(world.access.reader.now(), ZoneInfo(ZONE)).date()
    ledger.retry(lease, NotApplied("budget", text, account_wide=True, retry_after=7.0), 7.0)
    end = day + timedelta(days=1) if text == BUDGET_OF_DAY else day.replace(year=day.year + 1, month=1, day=1)
    until = datetime.combine(end, time(), ZoneInfo(ZONE)).astimezone(UTC)
    view, [trouble] = requests.show(world.access, lease.request_id), status(world.access).troubles
    [finding] = [each for each in check_circuits(world.access.settings) if "budget" in each.text]
    said = f"{until:%Y-%m-%d %H:%M:%S} UTC"

    assert view.waiting is not None
    assert (view.waiting.until, trouble.until, trouble.codes) == (until, until, ("budget",))
    assert text.partition(" (")[0][1:] in view.waiting.text
    assert trouble.text == view.waiting.text.partition(" No worker")[0]
    assert (finding.level, f", until {said}: rate_limited (budget): T" in finding.text) == ("warn", True)
    assert any(f"Next try at {said}" in str(line) for line in whole_lines(status(world.access)))
    assert said in shown(world, lease.request_id)
    [again] = world.ask("GET", "/v1/status").json()["troubles"]
    assert again["until"] == f"{until:%Y-%m-%dT%H:%M:%S}.000Z"


def test_the_end_of_a_budget_stays_while_a_request_that_it_holds_looks_again(world: World) -> None:
    ledger, lease = claimed(world, "held")
    ledger.retry(lease, NotApplied("budget", BUDGET_OF_DAY, account_wide=True), 0.0)
    [before] = status(world.access).troubles
    asked = ledger.load(lease.request_id)
    assert asked is not None
    assert isinstance(ledger.claim(asked, "worker", Policy(), Definition(customer_key="held")), StartNow)
    [during] = status(world.access).troubles

    assert requests.show(world.access, lease.request_id).attempting is not None
    assert during == before


def test_what_failed_before_it_was_held_by_a_budget_says_when_it_is_given_up(world: World) -> None:
    ledger, lease = claimed(world, "held")
    ledger.retry(lease, NotApplied("13", "busy"), 0.0)
    before = requests.show(world.access, lease.request_id).waiting
    for _ in range(2):
        asked = ledger.load(lease.request_id)
        assert asked is not None
        decision = ledger.claim(asked, "worker", Policy(), Definition(customer_key="held"))
        assert isinstance(decision, StartNow)
        ledger.retry(decision.lease, NotApplied("budget", BUDGET_OF_DAY, account_wide=True), 0.0)
    view, [trouble] = requests.show(world.access, lease.request_id), status(world.access).troubles

    assert before is not None
    assert before.deadline is not None
    assert view.waiting is not None
    assert view.waiting.until is not None
    assert view.waiting.then == "gave_up"
    # The time of a budget does not count.
    left = before.deadline.timestamp() - world.access.reader.now()
    assert view.waiting.deadline is not None
    assert (view.waiting.deadline - view.waiting.until).total_seconds() == pytest.approx(left, abs=60)
    assert f"{view.waiting.deadline:%Y-%m-%d %H:%M:%S} UTC" in trouble.affected
    assert "Before that calls failed with code 13" in trouble.text
    assert f"{view.waiting.deadline:%Y-%m-%d %H:%M:%S} UTC" in shown(world, lease.request_id)


def test_a_budget_beside_a_throttle_hides_no_failure_from_doctor(world: World) -> None:
    for key, code in (("held", "budget"), ("limited", "17")):
        ledger, lease = claimed(world, key)
        ledger.retry(lease, NotApplied(code, BUDGET_OF_DAY if code == "budget" else "no", account_wide=True), 60.0)

    assert sorted(each.level for each in check_circuits(world.access.settings)) == ["fail", "warn"]


# --- A definition that another one waits for.


AFTER = Policy(after=("contacts",))


def waits_for_contacts(world: World) -> str:
    ledger = open_ledger(world.access.settings)
    asked = ledger.load(world.submit(name="orders.csv", key="orders"))
    assert asked is not None
    # The first claim gives it its turn.
    for _ in range(2):
        ledger.claim(asked, "worker", AFTER, Definition(customer_key="orders"))
    return asked.request_id


def failed_import(world: World, task: str) -> str:
    ledger, lease = claimed(world, "contacts")
    assert ledger.record_intent(lease, (), window=0) is not None
    assert ledger.started(lease, Accepted(task_id=task), 0, Policy(), reconciled=False)
    (run,) = ledger.followed([lease.request_id])
    ledger.ended(run, "import_failed", None, Policy(on_error="free"))
    return lease.request_id


def test_of_a_definition_whose_import_failed_the_request_that_came_since_is_said(world: World) -> None:
    waits, failed = waits_for_contacts(world), failed_import(world, "41")
    came = world.submit(name="corrected.csv", key="contacts")
    view = requests.show(world.access, waits)
    assert view.waiting is not None
    assert view.waiting.awaited is not None

    assert (view.waiting.awaited.request_id, view.waiting.awaited.consecutive_errors) == (came, 1)
    assert view.waiting.awaited.text.startswith(f"contacts: request {came} is accepted (queued) since 20")
    assert failed not in view.waiting.awaited.text


def test_a_definition_whose_newest_import_failed_is_said_with_its_advice(world: World) -> None:
    waits, failed = waits_for_contacts(world), failed_import(world, "41")
    said, view = shown(world, waits), requests.show(world.access, waits)

    assert f"contacts: request {failed} ended as import_failed at 20" in said
    assert "correct the file or the definition" in str(view.advice)
    assert "what waits for contacts goes on by itself when that has completed" in said


def test_a_definition_of_which_no_request_is_known_is_said_so(world: World) -> None:
    said = shown(world, waits_for_contacts(world))

    assert "contacts: no request of it is known that runs, waits or has ended badly" in said
    assert "let the file of contacts come" in said


def test_of_a_definition_that_fails_its_failure_since_when_and_its_end_are_said(world: World) -> None:
    waits = waits_for_contacts(world)
    ledger, lease = claimed(world, "contacts", Policy(retry_deadline=900.0))
    ledger.retry(lease, NotApplied("13", "database"), 60.0)
    first = requests.show(world.access, lease.request_id).waiting
    said, view = shown(world, waits), requests.show(world.access, waits)

    assert first is not None
    assert first.last_error is not None
    assert view.waiting is not None
    assert view.waiting.awaited is not None
    assert (view.waiting.awaited.code, view.waiting.awaited.fails_since) == ("13", first.last_error.since)
    assert (view.waiting.awaited.deadline, view.waiting.awaited.then) == (first.deadline, "gave_up")
    assert f"is retrying (backoff), and fails with code 13 since {first.last_error.since:%Y-%m-%d %H:%M:%S} UTC" in said
    assert f"if nothing changes, it ends as gave_up by {first.deadline:%Y-%m-%d %H:%M:%S} UTC" in said


def test_the_status_of_a_definition_says_why_what_stands_in_line_waits(world: World) -> None:
    waits_for_contacts(world)
    found = standing(world.access, "orders", MID)
    after = [*map(str, standing_lines(found, world.access.reader.now()))]
    actions.pause(world.access, "all", "ann", "night shift")
    paused = [*map(str, standing_lines(standing(world.access, "orders", MID), world.access.reader.now()))]
    begin = after.index("  behind   1")

    assert after[begin + 2 : begin + 4] == [
        "      after",
        "      contacts: no request of it is known that runs, waits or has ended badly",
    ]
    assert after[begin + 5].startswith("      to do: let the file of contacts come")
    assert "      and paused until sfmc-import resume, by ann: night shift" in paused


# --- A start in doubt, and two operators.


def in_doubt(world: World) -> str:
    """Give a request that ended as start_unknown."""
    ledger, lease = claimed(world, "doubted")
    assert isinstance(ledger.record_intent(lease, ()), float)
    ledger.mark_ambiguous(lease, NotApplied("read_timeout", "no answer"), 0.0, Policy())
    asked = ledger.load(lease.request_id)
    assert asked is not None
    looked = ledger.claim(asked, "two", replace(Policy(), reconcile_deadline=0.0))
    assert ledger.record_start_unknown(looked.lease, (), 6.0)  # type: ignore[union-attr]
    return lease.request_id


def test_who_names_the_run_of_what_another_operator_replayed_is_refused_and_reads_what_came_of_it(
    world: World,
) -> None:
    request_id = in_doubt(world)
    assert resolve(world.access, request_id, None, "bob", "nothing there").state == "not_started"
    again = actions.replay(world.access, request_id, "bob").new_request_id
    with pytest.raises(ConflictError) as refused:
        resolve(world.access, request_id, "41", "ann", "I saw it", ask=None)
    path, given = f"/v1/requests/{request_id}/resolve", {"task_id": "41", "reason": "I saw it", "unchecked": True}
    answer = world.ask("POST", path, "operator", json=given)
    form = {"what": "started", "task_id": "41", "unchecked": "1", "reason": "I saw it"}
    page = world.person("operator").send(f"/request/resolve?id={request_id}", form)

    said = f"it was replayed (replay by bob) as request {again}, which is accepted"
    assert said in str(refused.value)
    assert (answer.status_code, said in answer.json()["detail"]) == (409, True)
    assert (page.status_code, said in page.text) == (409, True)
    assert f"replayed as request {again}" in shown(world, request_id)
    with pytest.raises(InvalidError, match="a reason is needed"):
        resolve(world.access, request_id, "41", "ann", None, force=True)
    assert world.ask("POST", path, "operator", json=given | {"force": True}).json()["state"] == "started"


class Early(LedgerReader):
    """A reader whose first answers came before another operator acted."""

    def __init__(self, access: ReadAccess, *answers: Any) -> None:
        super().__init__(access.client, access.keys)
        self._answers = list(answers)

    def request(self, request_id: str) -> Any:
        return self._answers.pop(0) if self._answers else super().request(request_id)


def looking_now(access: ReadAccess, request_id: str) -> ReadAccess:
    """Give what an operator acts with who looks at a request now, and acts later."""
    seen = access.reader.request(request_id)

    class Between(ReadAccess):
        @cached_property
        def reader(self) -> LedgerReader:
            return Early(self, seen)

    return Between(access.settings)


def test_who_replays_what_has_its_run_by_another_operator_since_is_refused(world: World) -> None:
    request_id = in_doubt(world)
    resolve(world.access, request_id, None, "bob", "nothing there")
    between = looking_now(world.access, request_id)
    resolve(world.access, request_id, "41", "bob", "I saw it", ask=None)

    with pytest.raises(ConflictError, match=f"request {request_id} is started: it has not ended"):
        actions.replay(between, request_id, "ann")
    assert "replayed_by" not in (world.access.reader.request(request_id) or {})


def test_who_said_that_nothing_was_started_reads_who_replayed_it_before_a_run_is_recorded(world: World) -> None:
    request_id = in_doubt(world)
    resolve(world.access, request_id, None, "ann", "nothing there")
    again = actions.replay(world.access, request_id, "bob").new_request_id

    with pytest.raises(ConflictError, match=f"it was replayed .replay by bob. as request {again}, which is accepted"):
        resolve(world.access, request_id, "41", "ann", "I saw it", ask=None)
    assert resolve(world.access, request_id, "41", "ann", "both ran", force=True, ask=None).state == "started"


def test_a_start_that_redis_must_confirm_first_is_not_said_to_be_sent(redis_server: Any) -> None:
    with console_over(redis_server.url, SFMC_DURABILITY="waitaof") as made:
        ledger, lease = claimed(made, "sent")
        plain = open_ledger(made.access.settings.model_copy(update={"durability": "none"}))
        assert plain.record_intent(lease, (), window=0) is not None
        said = shown(made, lease.request_id)
        del ledger

    assert CONFIRMED_FIRST in said
    assert "not confirmed or not answered yet" in said
    assert "no answer of Marketing Cloud yet" not in said
