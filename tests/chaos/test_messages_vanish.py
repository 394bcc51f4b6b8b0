"""Celery messages are wake-ups: deleted, or held by a worker that is gone, they cost seconds and nothing else."""

import random
from collections.abc import Callable, Iterator

import pytest
from kombu import Connection, Consumer, Queue

from tests.chaos.conftest import LEASE
from tests.chaos.doings import await_ends
from tests.stack import Stack
from tests.waiting import eventually
from worker.adapters.transport import TRANSPORT_OPTIONS, install, install_stock

pytestmark = pytest.mark.chaos
Send = Callable[..., str]
MOMENTS = 100


def delete_messages(stack: Stack) -> int:
    in_flight = list(stack.client.scan_iter(match="*transport:inflight:*"))
    return int(stack.client.delete("imports", "unacked", "unacked_index", *in_flight))


def test_every_request_ends_though_all_messages_are_deleted_at_a_hundred_moments(stack: Stack, ask: Send) -> None:
    chance = random.Random(4)
    keys = [f"deleted-{number}" for number in range(20)]
    for key in keys:
        stack.sandbox.control.define(key)
    stack.sandbox.control.add_fault("fault_13", customer_key="deleted-*", probability=0.3, seed=4)
    stack.worker()
    requests, deleted = {}, 0
    moments = iter(range(MOMENTS))

    def all_moments_over() -> bool:
        nonlocal deleted
        if keys and chance.random() < 0.1:
            key = keys.pop()
            requests[key] = ask(key)
        if chance.random() < 0.7:
            return False
        deleted += delete_messages(stack)
        return next(moments, None) is None

    eventually(all_moments_over, 60, f"messages were deleted at {MOMENTS} moments")
    outcomes = await_ends(stack, requests.values(), 3 * LEASE)

    assert deleted
    assert not keys
    assert set(outcomes.values()) <= {"completed", "completed_empty", "import_failed"}
    assert all(len(stack.sandbox.control.performs(key)) == 1 for key in requests)


@pytest.fixture
def gone_worker(stack: Stack) -> Iterator[Callable[[], None]]:
    """Take one message as a worker does, and never be heard of again."""
    install()
    with Connection(stack.valkey.celery_url, transport_options=dict(TRANSPORT_OPTIONS)) as connection:
        taken: list[object] = []
        consumer = Consumer(connection.channel(), [Queue("imports")], on_message=taken.append, accept=["json"])
        consumer.qos(prefetch_count=1)

        def take() -> None:
            consumer.consume()
            connection.drain_events(timeout=10)
            assert taken
            consumer.channel.connection_errors = ()
            connection.transport.cycle.close()

        yield take
        install_stock()


def test_a_message_in_the_hands_of_a_killed_worker_is_taken_up_within_a_lease_and_two_seconds(
    stack: Stack, send: Send, gone_worker: Callable[[], None]
) -> None:
    stack.sandbox.control.define("in-dead-hands")
    request = send("in-dead-hands")
    gone_worker()
    assert not stack.names(request)

    stack.worker()

    stack.await_event("accepted", request, within=LEASE + 2)
