"""The bench counts starts by their Performs, as the stand-in received them over HTTPS."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sfmc_harness.bench.figures import MeasurementError
from sfmc_harness.bench.processes import ask
from sfmc_harness.bench.rounds import STREAM, Bench, Worker, all_started, bench, starts_of
from sfmc_harness.bench.stand_in import file_of
from sfmc_import.ledger.keys import Keys
from tests.support.waiting import eventually

LOSS = f"{Keys().tag}loss"


@pytest.fixture(scope="module")
def on() -> Iterator[Bench]:
    with bench(settle_seconds=1.5) as made:
        yield made


@pytest.fixture(scope="module")
def worker(on: Bench) -> Worker:
    return on.worker(1)


def _files_started(worker: Worker) -> set[str]:
    entries: Any = worker.client.xrange(STREAM)
    events = [json.loads(fields[b"event"]) for _, fields in entries]
    return {event["data"]["file"]["name"] for event in events if event["type"] == "sfmc.import.started"}


def test_a_counted_start_is_a_perform_over_https_for_the_file_of_its_request(on: Bench, worker: Worker) -> None:
    spent = on.measure(worker, "start", starts_of(["a", "b", "c"]), all_started(3))

    assert on.url.startswith("https:")
    assert {key for key, _ in ask(f"{on.url}/performs")} >= {"a", "b", "c"}
    assert _files_started(worker) >= {file_of("a"), file_of("b"), file_of("c")}
    assert spent.calls >= 1
    assert spent.cpu > 0


def test_a_message_that_starts_nothing_is_no_start(on: Bench, worker: Worker) -> None:
    [message] = starts_of(["same"])

    with pytest.raises(MeasurementError, match=r"Expected 2 Performs, 2 started; counted 1 Perform calls, 1 Performs"):
        on.measure(worker, "start", [message, message], all_started(2))


def test_starts_that_wait_because_redis_was_emptied_under_the_worker_are_no_starts(on: Bench) -> None:
    worker = on.worker(2)
    eventually(lambda: worker.client.keys(f"{Keys().tag}p:*"), 60, "the worker wrote its first number")
    worker.client.flushdb()
    eventually(lambda: worker.client.exists(LOSS), 30, "the worker noticed the loss")

    with pytest.raises(MeasurementError, match=r"Expected 2 Performs, 2 started, 0 retrying; counted .*2 retrying"):
        on.measure(worker, "start", starts_of(["x", "y"]), all_started(2))
