"""Celery messages are wake-ups only: whatever is deleted, and whoever dies, every request ends."""

import random
from collections.abc import Iterator

import pytest

from sfmc_import.faults import Ambiguous, NotApplied
from sfmc_import.ledger import LedgerSettings
from sfmc_import.policy import Policy
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.runs import Definition
from tests.integration.crash_points.crash_points import DiedError, Fate, Mortal
from tests.support.checks import by_request, check_finished, check_invariants, name_of
from tests.support.ledger_world import RedisWorld
from tests.support.system import MID, System

RUNS = 100
FAULTS = (
    Ambiguous("reset", "connection reset"),
    NotApplied("9", "in maintenance", account_wide=True),
    NotApplied("13", "not processed"),
)


@pytest.fixture
def world(redis_server) -> Iterator[RedisWorld]:
    made = RedisWorld(redis_server.url, LedgerSettings())
    yield made
    made.close()


def requests(chance: random.Random) -> list[StartRequest]:
    return [
        StartRequest(
            request_id=f"r{number}",
            customer_key=chance.choice(["x", "y"]),
            mid=MID,
            file=FileInfo(location="/in", name=chance.choice(["a", "b"]), version=str(number)),
            force=chance.random() < 0.2,
        )
        for number in range(5)
    ]


def works_of(world: RedisWorld, chance: random.Random) -> System:
    world.restart()
    policy = Policy(frequency=chance.choice([0, 3]), coalesce=chance.choice(["same_name", "each"]))
    system = System(world, Definition(customer_key="x"), Definition(customer_key="y"), policy=policy)
    system.cloud.hidden_looks = chance.choice([0, 2])
    for _ in range(chance.randrange(3)):
        fault = chance.choice(FAULTS)
        system.cloud.fail("start", fault, applied=isinstance(fault, Ambiguous) and chance.random() < 0.7)
    return system


def work_with_lost_messages(system: System, asked: list[StartRequest], chance: random.Random) -> None:
    """Producers submit while workers work; one of them dies at a random call, and every message is gone then."""
    fate = Fate(chance.choice(["die_before", "die_after", "reply_lost"]), chance.randint(1, 60))
    mortal = system.deps_over(Mortal(system.world.ledger, fate, ledger=True), Mortal(system.cloud, fate, ledger=False))
    try:
        for request in asked:
            system.submit(request)
            if chance.random() < 0.5:
                system.work(mortal)
        system.live(mortal)
    except DiedError:
        for request in asked:
            system.world.ledger.accept(request)
    system.messages.clear()


@pytest.mark.parametrize("group", range(4))
def test_every_request_ends_although_every_message_is_deleted_at_a_random_moment(world, group, record_property):
    for seed in range(group * RUNS // 4, (group + 1) * RUNS // 4):
        chance = random.Random(seed)
        system, asked = works_of(world, chance), requests(chance)
        work_with_lost_messages(system, asked, chance)
        system.live()
        check(system, asked, seed)
    record_property("cases", RUNS // 4)


def check(system: System, asked: list[StartRequest], seed: int) -> None:
    events_of = by_request(system.world.events())
    check_finished(system.world, [request.request_id for request in asked])
    tasks = [
        event["data"]["task_id"] for events in events_of.values() for event in events if name_of(event) == "started"
    ]
    assert len(tasks) == len(set(tasks)), f"seed {seed}"
    started = {events[0]["data"]["request_id"] for events in events_of.values() if len(events) > 2}
    assert len(system.cloud.performs) <= len(started), f"seed {seed}"
    for request in asked:
        own = [perform for perform in system.cloud.performs if perform.customer_key == request.customer_key]
        if name_of(events_of[request.request_id][-1]) == "completed":
            check_invariants(system.world, request.request_id, own)


def test_a_message_that_is_delivered_many_times_starts_once(world: RedisWorld):
    system = works_of(world, random.Random(1))
    system.cloud.heal()
    request = requests(random.Random(1))[0]
    for _ in range(20):
        system.submit(request)
    system.live()

    assert len(system.cloud.performs) == 1
    check_finished(world, ["r0"])
