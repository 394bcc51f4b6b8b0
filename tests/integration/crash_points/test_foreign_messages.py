"""A worker dies at every call over a message of another program: it comes again, and its request ends once."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest

from sfmc_import.ledger import LedgerSettings
from sfmc_import.request import StartRequest
from sfmc_import.runs import Definition
from tests.integration.crash_points.crash_points import DEATHS, DiedError, Fate, Mortal, fates
from tests.integration.crash_points.scenarios import KEY
from tests.support.checks import by_request, check_finished, check_invariants, name_of
from tests.support.ledger_world import START_MS, RedisWorld
from tests.support.system import MID, System

START = START_MS / 1000
ETA = START + 3600
LATE = StartRequest(request_id="r1", customer_key=KEY, mid=MID, not_before=ETA, content="c1")
EXPIRING = replace(LATE, expires=START + 1800)
POINTS = 12
"""How many of the first calls are tried; what follows is tried for every request in test_every_crash_point."""


@pytest.fixture(scope="module")
def world(redis_server) -> Iterator[RedisWorld]:
    made = RedisWorld(redis_server.url, LedgerSettings())
    yield made
    made.close()


def live(world: RedisWorld, message: StartRequest, fate: Fate) -> System:
    """A mortal worker takes the message; it was not acknowledged, so a healthy one gets it again."""
    world.restart()
    system = System(world, Definition(customer_key=KEY, update_type="Overwrite"))
    ledger, cloud = Mortal(world.ledger, fate, ledger=True), Mortal(system.cloud, fate, ledger=False)
    system.send_start(message)
    try:
        system.live(system.deps_over(ledger, cloud))
    except DiedError:
        system.messages.clear()
        system.send_start(message)
    system.live()
    return system


def cases(world: RedisWorld, message: StartRequest) -> list[tuple[str, int]]:
    fate = Fate("die_before", 0)
    live(world, message, fate)
    return [case for case in fates(fate.calls[:POINTS]) if case[0] in DEATHS]


def times_of(world: RedisWorld, name: str) -> list[float]:
    events = by_request(world.events())["r1"]
    return [datetime.fromisoformat(event["time"]).timestamp() for event in events if name_of(event) == name]


def test_a_message_with_an_eta_is_started_after_it_whoever_dies_with_the_message(world: RedisWorld) -> None:
    for kind, point in cases(world, LATE):
        system = live(world, LATE, Fate(kind, point))

        check_finished(world, ["r1"])
        check_invariants(world, "r1", system.cloud.performs)
        assert len(system.cloud.performs) >= 1, (kind, point)
        assert min(times_of(world, "starting")) >= ETA, (kind, point)


def test_a_message_that_expires_before_its_eta_ends_as_expired_whoever_dies_with_it(world: RedisWorld) -> None:
    for kind, point in cases(world, EXPIRING):
        system = live(world, EXPIRING, Fate(kind, point))

        check_finished(world, ["r1"])
        (ended,) = times_of(world, "expired")
        assert START + 1800 <= ended < ETA, (kind, point)
        assert system.cloud.performs == [], (kind, point)
