"""An error of this program is said as what it is: what met it waits, and no worker counts as dead."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from kombu.exceptions import OperationalError
from structlog.testing import capture_logs

from sfmc_import import following, tasks
from sfmc_import.faults import Ambiguous
from sfmc_import.ledger import LedgerSettings
from sfmc_import.ledger.schema import REQUEST
from sfmc_import.messages import store_results
from sfmc_import.operations.fixing import fix_for
from sfmc_import.outlived import Outlived
from sfmc_import.policy import Policy
from sfmc_import.request import StartRequest
from sfmc_import.runs import Definition
from sfmc_import.settings import Settings
from sfmc_import.states import DueRequest, Result
from sfmc_import.waiting import OWN_ERROR_MET, waiting_of
from tests.support.checks import by_request, name_of
from tests.support.ledger_world import FakeRedisWorld
from tests.support.system import MID, System

SECRET = "hunter2"
TRIES = 6
MOST_LOOKS = 300


class Breaking:
    """A port whose named call raises an error of its own, before it acts or after."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self.broken, self.acts_first = "", False
        self.breaks_for: Callable[..., bool] = lambda *_: True

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        return found if name != self.broken else lambda *args, **more: self._break(found, *args, **more)

    def _break(self, found: Any, *args: Any, **more: Any) -> Any:
        if not self.breaks_for(*args):
            return found(*args, **more)
        if self.acts_first:
            found(*args, **more)
        raise OverflowError(SECRET)


@pytest.fixture
def system() -> System:
    return System(FakeRedisWorld(LedgerSettings()), Definition(customer_key="daily", max_import_frequency=1))


@pytest.fixture
def cloud(system: System) -> Iterator[Breaking]:
    breaking = Breaking(system.cloud)
    mine = {"settings": Settings(account_id=MID), "deps": system.deps_over(system.world.ledger, breaking)}
    mine["outlived"] = Outlived()
    names = [*mine, "slow_calls"]
    before = {name: tasks.app.__dict__.pop(name) for name in names if name in tasks.app.__dict__}
    tasks.app.__dict__.update(mine)
    with capture_logs():
        yield breaking
    if "slow_calls" in tasks.app.__dict__:
        tasks.app.slow_calls.close()
    for name in names:
        tasks.app.__dict__.pop(name, None)
    tasks.app.__dict__.update(before)


def accept(system: System, *names: str) -> None:
    for name in names:
        system.world.ledger.accept(StartRequest(request_id=name, customer_key="daily", mid=MID, force=True))


def wake(system: System, times: int = 1) -> None:
    """Wake the request so often, each time when it is due."""
    for _ in range(times):
        tasks.wake.run("a")
        until_due(system)


def until_due(system: System) -> None:
    """Let time pass until the request is due; one that never ends fails its test."""
    system.owners += 1
    assert system.owners < MOST_LOOKS
    system.world.advance(max(0.0, system.world.due().get("a", 0) - system.world.now_ms()) / 1000)


def last(system: System, request_id: str = "a") -> tuple[str, dict[str, Any]]:
    event = by_request(system.world.events())[request_id][-1]
    return name_of(event), event["data"]


def record(system: System, request_id: str = "a") -> dict[str, Any]:
    return REQUEST.read(system.world.client.hgetall(system.world.keys.request(request_id)))


def break_policies() -> None:
    def no_policy(_mid: str, _key: str) -> Policy:
        raise OverflowError

    tasks.app.__dict__["deps"] = replace(tasks.app.deps, policies=no_policy)


@pytest.mark.parametrize("broken", ["definition", "runs_of"])
def test_what_meets_an_error_of_ours_waits_with_growing_pauses_and_starts_when_it_is_gone(
    system: System, cloud: Breaking, broken: str
) -> None:
    accept(system, "a")
    cloud.broken = broken
    pauses = []
    for _ in range(TRIES):
        tasks.wake.run("a")
        pauses.append(last(system)[1]["retry_in"])
        assert last(system)[0] == "retrying"
        until_due(system)
    cloud.broken = ""
    tasks.wake.run("a")

    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1]
    assert (system.world.state("a"), len(system.cloud.performs)) == ("started", 1)


def test_it_says_what_it_is_and_nothing_of_the_text_of_the_error(system: System, cloud: Breaking) -> None:
    accept(system, "a")
    cloud.broken = "definition"
    wake(system, 2)
    _, data = last(system)

    assert (data["code"], data["text"]) == ("task_failed", "an error of this program (OverflowError); the log has more")
    waits = waiting_of(record(system), None)
    assert waits is not None
    assert (waits.reason, waits.text, waits.then) == ("backoff", OWN_ERROR_MET, "gave_up")
    assert fix_for("task_failed", "").startswith("a fault of this program: see imports_start_failed")
    assert record(system)["last_error"]["code"] == "task_failed"
    assert "worker_losses" not in record(system)
    assert SECRET not in str(system.world.events())


@pytest.mark.parametrize("broken", ["definition", "runs_of"])
def test_it_ends_at_its_deadline_and_says_why(system: System, cloud: Breaking, broken: str) -> None:
    system.policy = Policy(retry_deadline=3600.0)
    accept(system, "a")
    cloud.broken = broken
    begun = system.world.now_ms()
    while system.world.state("a") != "gave_up":
        wake(system)

    assert last(system)[1]["code"] == "task_failed"
    assert 2000 < (system.world.now_ms() - begun) / 1000 <= 3600


@pytest.mark.parametrize("acts_first", [True, False])
def test_a_start_in_which_an_error_of_ours_came_is_looked_for_and_never_sent_twice(
    system: System, cloud: Breaking, acts_first: bool
) -> None:
    system.policy = Policy(reconcile_deadline=300.0)
    accept(system, "a")
    cloud.broken, cloud.acts_first = "start", acts_first
    wake(system)
    assert (system.world.state("a"), last(system)[1]["code"]) == ("reconciling", "task_failed")

    cloud.broken = ""
    while system.world.state("a") == "reconciling":
        wake(system)

    assert system.world.state("a") == ("started" if acts_first else "start_unknown")
    assert len(system.cloud.performs) == int(acts_first)


def test_a_look_that_meets_an_error_of_ours_is_made_again_and_ends_as_unknown_at_its_deadline(
    system: System, cloud: Breaking
) -> None:
    system.policy = Policy(reconcile_deadline=900.0)
    accept(system, "a")
    system.cloud.fail("start", Ambiguous("reset", "cut"))
    wake(system)
    cloud.broken = "runs_of"
    wake(system, TRIES)
    assert (system.world.state("a"), record(system)["last_error"]["code"]) == ("reconciling", "task_failed")

    while system.world.state("a") == "reconciling":
        wake(system)

    assert last(system) == ("start_unknown", last(system)[1])
    assert last(system)[1]["code"] == "task_failed"


def test_an_error_in_the_policy_of_a_definition_is_one_of_ours_too(system: System, cloud: Breaking) -> None:
    accept(system, "a")
    break_policies()
    wake(system, TRIES)

    assert (system.world.state("a"), last(system)[1]["code"]) == ("retrying", "task_failed")


def test_one_run_whose_answer_meets_an_error_of_ours_keeps_no_other_from_being_followed(
    system: System, cloud: Breaking
) -> None:
    names = [f"r{number}" for number in range(9)]
    for name in names:
        system.cloud.add(Definition(customer_key=name))
        system.start(StartRequest(request_id=name, customer_key=name, mid=MID))
    poison = system.world.record("r4")["task"]
    cloud.broken, cloud.breaks_for = "runs", lambda _mid, task_ids: poison in task_ids
    for _ in range(TRIES):
        tasks.follow.run(names)
        system.world.advance(600)

    assert {name: system.world.state(name) for name in names} == {
        name: "started" if name == "r4" else "completed" for name in names
    }
    assert record(system, "r4")["last_error"]["code"] == "task_failed"
    assert "worker_losses" not in record(system, "r4")

    cloud.broken = ""
    tasks.follow.run(["r4"])
    assert system.world.state("r4") == "completed"


@pytest.mark.parametrize("broken", ["runs", "policies"])
def test_a_run_that_cannot_be_followed_until_its_deadline_says_why(
    system: System, cloud: Breaking, broken: str
) -> None:
    system.policy = Policy(follow_deadline=3600.0)
    system.start(StartRequest(request_id="a", customer_key="daily", mid=MID))
    if broken == "policies":
        break_policies()
    cloud.broken = broken
    while system.world.state("a") == "started":
        tasks.follow.run(["a"])
        until_due(system)

    assert last(system)[0] == "follow_timed_out"
    assert last(system)[1]["code"] == "task_failed"


def sent_by_a_sweep(system: System, error: Exception) -> list[str]:
    """What a sweep of three due requests sends while the second one raises."""
    accept(system, "a", "b", "c")
    system.world.advance(600)
    sent = []

    def send(due: DueRequest) -> None:
        if due.request_id == "b":
            raise error
        sent.append(due.request_id)

    following.sweep(system.world.ledger, tasks.one_by_one(send), tasks.one_by_one(print), limit=10, pause=10)
    return sent


def test_one_record_that_meets_an_error_of_ours_keeps_no_other_from_being_woken(system: System) -> None:
    with capture_logs() as logs:
        assert sent_by_a_sweep(system, OverflowError(SECRET)) == ["a", "c"]

    assert [line["event"] for line in logs] == ["imports_sweep_failed"]


def test_a_sweep_ends_where_its_broker_is_away(system: System) -> None:
    with pytest.raises(OperationalError):
        sent_by_a_sweep(system, OperationalError("away"))


class Backend:
    """A result backend that raises for one task."""

    def __init__(self) -> None:
        self.stored: list[str] = []

    def get_state(self, caller: str) -> str:
        if caller == "t-a":
            raise OverflowError
        return "PENDING"

    def store_result(self, caller: str, *_: Any) -> None:
        self.stored.append(caller)

    def get_key_for_task(self, caller: str) -> str:
        return caller


class Results:
    """The results of a ledger."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    def results(self, _limit: int) -> list[Result]:
        return [Result(request_id=name, caller=f"t-{name}", state="started") for name in ("a", "b")]

    def result_stored(self, result: Result, _proof: str) -> None:
        self.noted.append(result.request_id)


def test_one_result_that_meets_an_error_of_ours_keeps_no_other_from_being_stored() -> None:
    backend, results = Backend(), Results()
    with capture_logs() as logs:
        assert store_results(backend, results) == 1  # type: ignore[arg-type]

    assert (backend.stored, results.noted) == (["t-b"], ["b"])
    assert [(line["event"], line["request_id"]) for line in logs] == [("imports_sweep_failed", "a")]
