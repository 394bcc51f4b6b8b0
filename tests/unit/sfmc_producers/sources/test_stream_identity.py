"""What tells the entries of a stream apart that name a file and nothing else."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.intake import Intake
from sfmc_producers.sources.receiving import Message
from sfmc_producers.sources.stream import StreamOptions, parse, stream_receiver
from sfmc_producers.sources.tables import Parts
from sfmc_producers.submitter import RoutingRules, Submitter
from tests.support.fake_client import FakeClient
from tests.unit.sfmc_producers.sources.test_sent_back import Box, Letters


def run(client: FakeClient, *entries: tuple[str, dict[str, Any]]) -> int:
    """How many requests the ledger has after these entries."""
    wakeup = Wakeup()
    rules = RoutingRules(definitions=client)  # type: ignore[arg-type]
    submitter = Submitter(client, rules, lambda: 0.0, lambda: datetime.now(UTC))  # type: ignore[arg-type]
    parts = Parts("drop", None, Intake("drop", submitter), Letters())  # type: ignore[arg-type]
    messages = [Message(name, json.dumps(event | {"customer_key": "k"}).encode()) for name, event in entries]
    options = StreamOptions(key="drop:arrivals")
    stream_receiver(options, parts, parse, lambda: Box(wakeup, messages)).run(wakeup)  # type: ignore[arg-type]
    return len(client.requests)


BARE = {"file": {"location": "/in", "name": "a.csv"}}


def test_an_entry_that_names_a_file_alone_is_a_request_and_the_next_one_is_another(client) -> None:
    assert run(client, ("1-0", BARE), ("2-0", BARE)) == 2
    assert run(client, ("2-0", BARE)) == 2


@pytest.mark.parametrize(
    "event", [BARE | {"event_id": "e"}, {"file": BARE["file"] | {"version": "v"}}], ids=["event_id", "version"]
)
def test_what_an_entry_says_of_its_identity_comes_before_the_entry(client, event) -> None:
    assert run(client, ("1-0", event), ("2-0", event)) == 1
