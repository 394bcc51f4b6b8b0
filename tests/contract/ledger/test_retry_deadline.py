"""The ledger and `retrying.after` agree about the retry deadline of a request."""

from dataclasses import replace

import pytest

from sfmc_import.retrying import REPEAT, SCHEDULED, Backoff, GiveUp, Retry, Times, after
from tests.contract.ledger.scenario import BUSY, Scenario

DEADLINE = 100.0
STATES = {Retry: "retrying", GiveUp: "gave_up"}


def policy(kind, pause):
    return replace(kind, backoff=Backoff(floor=pause, cap=pause))


@pytest.mark.parametrize("pause", [0.001, 39.999, 40.0, 40.001, 3600.0])
def test_a_request_gives_up_exactly_when_its_next_pause_ends_after_the_deadline(scenario: Scenario, pause: float):
    scenario.decide_by(retry_deadline=DEADLINE)
    scenario.arrives("a")
    scenario.ledger.retry(scenario.sends("a"), BUSY, 60)
    scenario.world.advance(60)
    lease = scenario.sends("a")
    step = after(BUSY, lease.attempt, Times(chance=0.5, left_of_deadline=DEADLINE - 60), policy(SCHEDULED, pause))

    assert scenario.ledger.retry(lease, BUSY, pause) == STATES[type(step)]
    assert isinstance(step, Retry) == (pause <= 40)


def test_a_start_that_was_sent_is_repeated_after_the_deadline(scenario: Scenario):
    scenario.decide_by(retry_deadline=1)
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    lease = scenario.look("a").lease
    step = after(BUSY, lease.attempt, Times(chance=0.5, left_of_deadline=-59.0), policy(REPEAT, 10.0))

    assert step == Retry(10.0, BUSY.code)
    assert scenario.ledger.retry(lease, BUSY, step.after) == "retrying"
