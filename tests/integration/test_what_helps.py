"""What an operator is advised to do about a request that waits."""

from collections.abc import Iterator
from typing import Any

import pytest

from sfmc_import.cli.requests_shown import request_lines, table_lines
from sfmc_import.faults import NotApplied
from sfmc_import.ledger import RedisLedger
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.operations import actions, requests
from sfmc_import.operations.fixing import RESUME
from sfmc_import.operations.status import standing, status
from sfmc_import.policy import Policy
from sfmc_import.runs import Definition
from sfmc_import.states import Lease, StartNow
from tests.support.console import MID, World, console_over


@pytest.fixture
def world(redis_server: Any) -> Iterator[World]:
    with console_over(redis_server.url) as made:
        yield made


def claimed(world: World, key: str) -> tuple[RedisLedger, Lease]:
    """Submit a request and let a worker take it."""
    ledger = open_ledger(world.access.settings)
    asked = ledger.load(world.submit(name=key, key=key))
    assert asked is not None
    decision = ledger.claim(asked, "worker", Policy(), Definition(customer_key=key))
    assert isinstance(decision, StartNow), decision
    return ledger, decision.lease


def test_a_pause_after_an_outage_says_who_ends_it_and_the_outage_as_past(world: World) -> None:
    ledger, lease = claimed(world, "held")
    ledger.retry(lease, NotApplied("http_503", "Service Unavailable"), 0.0)
    actions.pause(world.access, f"key:{MID}:held", "ann", "night")
    asked = ledger.load(lease.request_id)
    assert asked is not None
    ledger.claim(asked, "worker", Policy(), Definition(customer_key="held"))
    view = requests.show(world.access, lease.request_id)
    lines = " ".join(map(str, [*request_lines(view, 0.0), *table_lines(view, 0.0)]))
    page = world.person("operator").see(f"/request?id={lease.request_id}").text

    assert view.waiting is not None
    assert (view.waiting.reason, view.advice, view.next[0]) == ("paused", RESUME, "resume")
    assert standing(world.access, "held", MID).holder_advice in {RESUME, None}
    assert "status.salesforce.com" not in lines + page
    assert "it fails since" not in lines + page
    assert "  before   http_503: Service Unavailable" in lines
    assert "What failed before this wait" in page
    assert [each.codes for each in status(world.access).troubles] == []


def test_a_request_that_needs_a_process_which_does_not_run_is_not_advised_to_wait(world: World) -> None:
    ledger, lease = claimed(world, "idle")
    ledger.retry(lease, NotApplied("http_503", "Service Unavailable"), 60.0)
    advice = requests.show(world.access, lease.request_id).advice

    assert advice == "start sfmc-import worker and sfmc-import beat; it goes on by itself after that"
