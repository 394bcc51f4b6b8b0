"""The edge of the tasks: what fails before anything is recorded stays somewhere, whatever else fails too."""

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import Reject
from structlog.testing import capture_logs

from sfmc_import import tasks
from sfmc_import.policy import Policy
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.request import StartRequest
from sfmc_import.settings import Settings
from sfmc_transport.consumer import RefusedError


@dataclass
class BrokenLedger:
    """Fails to take for an unexpected reason; `load` answers, or fails too."""

    known: StartRequest | None = None
    down: bool = False

    def claim(self, *_: object) -> None:
        raise ZeroDivisionError

    def load(self, *_: object) -> StartRequest | None:
        if self.down:
            raise LedgerUnavailableError("away")
        return self.known


@pytest.fixture
def ledger() -> Iterator[BrokenLedger]:
    broken = BrokenLedger()
    mine = {"settings": Settings(account_id="510001234"), "deps": SimpleNamespace(ledger=broken)}
    mine["deps"].policies = lambda _mid, _key: Policy()
    before = {name: tasks.app.__dict__.pop(name, None) for name in mine}
    tasks.app.__dict__.update(mine)
    tasks.start.push_request(id="request-1")
    with capture_logs():  # structlog alone would colour every traceback, which takes longer than all these tests
        yield broken
    tasks.start.pop_request()
    for name, value in before.items():
        tasks.app.__dict__.pop(name)
        if value is not None:
            tasks.app.__dict__[name] = value


def test_a_message_that_failed_before_it_was_recorded_is_refused_not_acknowledged(ledger: BrokenLedger) -> None:
    with pytest.raises(Reject) as refused:
        tasks.start.run("daily")

    assert refused.value.requeue is False


def test_such_a_message_goes_back_when_the_ledger_cannot_be_asked_about_it(ledger: BrokenLedger) -> None:
    ledger.down = True

    with pytest.raises(Reject) as refused:
        tasks.start.run("daily")

    assert refused.value.requeue is True


def test_such_a_refusal_says_why(ledger: BrokenLedger) -> None:
    with pytest.raises(RefusedError) as refused:
        tasks.start.run("daily")

    copy = pickle.loads(pickle.dumps(refused.value))
    assert (copy.code, copy.requeue) == ("task_failed", False)
    assert copy.detail.endswith("Error; the log has more")


def test_a_recorded_request_is_left_to_the_ledger(ledger: BrokenLedger) -> None:
    ledger.known = StartRequest(request_id="request-1", customer_key="daily", mid="510001234")

    assert tasks.start.run("daily")["state"] == "failed"


@pytest.mark.parametrize("name", ["rate_limit", "time_limit", "soft_time_limit"])
def test_an_operator_cannot_give_a_task_a_limit_that_would_hold_or_cut_starts(name: str) -> None:
    for task in (tasks.start, tasks.sweep, tasks.follow):
        with pytest.raises(ValueError, match=r"imports have no (rate|time) limit"):
            setattr(task, name, "1/h")
        assert getattr(task, name) is None


@pytest.mark.parametrize("named", [5, None, ["x"], {"a": 1}, "\ud83d"])
@pytest.mark.parametrize("task", [tasks.wake, tasks.follow])
def test_a_message_that_looks_like_one_of_our_own_is_refused_in_one_line(
    ledger: BrokenLedger, task: Any, named: object
) -> None:
    with capture_logs() as lines, pytest.raises(RefusedError) as refused:
        task.run([named] if task is tasks.follow else named)

    assert (refused.value.code, refused.value.requeue) == ("wrong_arguments", False)
    assert [(line["event"], line["log_level"], "exc_info" in line) for line in lines] == [
        ("arguments_refused", "error", False)
    ]
