"""A worker that outlives an outage of Redis says so, and its requests come no nearer to their end by it."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any

import pytest
from celery.exceptions import Reject
from structlog.testing import capture_logs

from sfmc_import import tasks
from sfmc_import.ledger import LedgerSettings
from sfmc_import.outlived import Outlived
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.request import StartRequest
from sfmc_import.runs import Definition
from sfmc_import.settings import Settings
from tests.support.ledger_world import FakeRedisWorld
from tests.support.system import MID, System

MAX_LOSSES_AND_MORE = 6


class Leaving:
    """A ledger that cannot be reached for the step that is named."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.without = ""

    def __getattr__(self, name: str) -> Any:
        return self._away if name == self.without else getattr(self._ledger, name)

    def _away(self, *_: object, **__: object) -> None:
        raise LedgerUnavailableError("away")


@pytest.fixture
def system() -> System:
    return System(FakeRedisWorld(LedgerSettings()), Definition(customer_key="daily"))


@pytest.fixture
def ledger(system: System) -> Iterator[Leaving]:
    leaving = Leaving(system.world.ledger)
    settings = Settings(account_id=MID)
    mine = {"settings": settings, "deps": system.deps_over(leaving, system.cloud), "outlived": Outlived()}
    names = [*mine, "slow_calls"]
    before = {name: tasks.app.__dict__.pop(name) for name in names if name in tasks.app.__dict__}
    tasks.app.__dict__.update(mine)
    with capture_logs():
        yield leaving
    if "slow_calls" in tasks.app.__dict__:
        tasks.app.slow_calls.close()
    for name in names:
        tasks.app.__dict__.pop(name, None)
    tasks.app.__dict__.update(before)


def losses(system: System) -> int:
    return int(system.world.record("a").get("worker_losses", 0))


@pytest.mark.parametrize("step", ["progressed", "ended"])
def test_polls_whose_answer_redis_did_not_take_end_no_run(system: System, ledger: Leaving, step: str) -> None:
    if step == "progressed":
        system.cloud.statuses = (*["Processing"] * (MAX_LOSSES_AND_MORE + 1), "Completed")
    system.start(StartRequest(request_id="a", customer_key="daily", mid=MID))
    for _ in range(MAX_LOSSES_AND_MORE):
        ledger.without = step
        with pytest.raises(Reject):
            tasks.follow.run(["a"])
        ledger.without = ""
        system.world.advance(180)
    tasks.follow.run(["a"])

    assert losses(system) == 0
    system.live()
    assert system.world.state("a") == "completed"


@pytest.mark.parametrize("step", ["claim", "record_intent", "started", "unresolved"])
def test_starts_that_redis_did_not_take_set_no_request_aside(system: System, ledger: Leaving, step: str) -> None:
    ledger.accept(StartRequest(request_id="a", customer_key="unknown" if step == "unresolved" else "daily", mid=MID))
    for _ in range(MAX_LOSSES_AND_MORE):
        ledger.without = step
        with suppress(Reject):
            tasks.wake.run("a")
        ledger.without = ""
        system.world.advance(180)
    tasks.wake.run("a")

    assert system.world.state("a") in {"started", "retrying", "reconciling", "rejected"}
    assert losses(system) == 0


class Hearer:
    """Notes what it hears, after it was away so many times."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.heard: list[tuple[str, tuple[str, ...]]] = []

    def outlived(self, owner: str, request_ids: Collection[str]) -> None:
        if self.away:
            self.away -= 1
            raise LedgerUnavailableError("away")
        self.heard.append((owner, tuple(request_ids)))


def test_what_was_held_is_reported_once_when_redis_is_back_and_nothing_else_is() -> None:
    outlived, ledger = Outlived(), Hearer(away=1)
    with outlived.noting("recorded", ["x"]):
        pass
    for owner in ("one", "two"):
        with pytest.raises(LedgerUnavailableError), outlived.noting(owner, ["a", "b"]):
            raise LedgerUnavailableError("away")
    for _ in range(3):
        outlived.report(ledger)

    assert ledger.heard == [("one", ("a", "b")), ("two", ("a", "b"))]


def test_an_error_of_another_kind_is_no_reason_to_report() -> None:
    outlived, ledger = Outlived(), Hearer(away=0)
    with pytest.raises(ZeroDivisionError), outlived.noting("one", ["a"]):
        raise ZeroDivisionError
    outlived.report(ledger)

    assert ledger.heard == []
