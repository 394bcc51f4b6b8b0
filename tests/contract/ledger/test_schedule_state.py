"""What beats share about schedules, and the ticks of many beats, over the real ledger."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from sfmc_import.ledger.schedule_state import ScheduleState
from sfmc_import.ledger.watching_keys import OWN_IDS, SCHEDULE
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.request import read_request
from sfmc_import.schedules import Schedule, Tick, ticks
from sfmc_import.ticker import Ticker
from tests.contract.ledger.scenario import KEY, MID
from tests.support.ledger_world import World

EVERY_HOUR = Schedule(source="hourly", customer_key=KEY, cron=("0 * * * *",), time_zone="UTC", mid=MID)


class Submitted:
    """What the client answers, over the ledger of a test."""

    def __init__(self, world: World) -> None:
        self._ledger = world.ledger

    def __call__(self, request_id: str, **given: str) -> "Submitted":
        self.request_id = request_id
        self.is_new = self._ledger.accept(read_request(request_id, MID, given), report=True)
        return self


def state_of(world: World) -> ScheduleState:
    return ScheduleState(world.client, world.settings)


def hours_ago(world: World, hours: float) -> datetime:
    now, _ = state_of(world).read([])
    return (now - timedelta(hours=hours)).replace(microsecond=0)


def test_a_schedule_is_seen_until_the_newest_note_and_forgotten_after_eight_days(world: World):
    state, when = state_of(world), datetime(2026, 5, 1, 5, tzinfo=UTC)
    state.note("a", when - timedelta(hours=1))
    state.note("a", when)
    now, seen = state.read(["a", "b"])

    assert seen == {"a": when}
    assert abs((datetime.now(UTC) - now).total_seconds()) < 600
    assert 7.9 * 86400 < world.client.ttl(world.keys.name_of(SCHEDULE, "a")) <= 8 * 86400


def test_ten_beats_at_once_give_one_request_for_a_missed_tick(world: World):
    state_of(world).note("hourly", seen := hours_ago(world, 5))
    beats = [Ticker((EVERY_HOUR,), state_of(world), Submitted(world)) for _ in range(10)]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(Ticker.look, beats))
    events = world.events()
    known = [f"hourly/{tick:%Y-%m-%dT%H:%M:%SZ}" for tick in islice(ticks(EVERY_HOUR, seen), 6)]

    assert [event["type"] for event in events] == ["sfmc.import.accepted"]
    assert events[0]["data"]["source"] == "hourly"
    # The newest: the fifth, or the sixth if an hour has just begun.
    assert world.record(events[0]["data"]["request_id"])["event_id"] in known[4:]


def test_a_tick_that_two_policy_files_give_to_two_definitions_starts_both(world: World):
    for key in (KEY, "other"):
        state_of(world).note("hourly", hours_ago(world, 3))
        which = Schedule(source="hourly", customer_key=key, cron=("0 * * * *",), time_zone="UTC", mid=MID)
        Ticker((which,), state_of(world), Submitted(world)).look()

    assert [event["subject"] for event in world.events() if event["type"] == "sfmc.import.accepted"] == [KEY, "other"]


def test_redis_that_does_not_answer_is_said_as_the_ledger_says_it(world: World):
    world.client.lpush(world.keys.name_of(SCHEDULE, "a"), "no text")

    with pytest.raises(LedgerUnavailableError):
        state_of(world).read(["a"])
    world.client.delete(world.keys.name_of(SCHEDULE, "a"))


def test_a_request_under_the_id_of_a_coming_tick_takes_its_place_from_no_tick(world: World):
    [tick] = [Tick("hourly", each) for each in islice(ticks(EVERY_HOUR, hours_ago(world, 1)), 1)]
    world.advance(tick.at.timestamp() - 60 - world.now_ms() / 1000)
    world.ledger.accept(read_request(tick.request_id, MID, given_by(tick)))
    world.advance(120)
    for _ in range(2):
        state_of(world).note("hourly", hours_ago(world, 1))
        Ticker((EVERY_HOUR,), state_of(world), Submitted(world)).look()

    names = [event["subject"] for event in world.events()]
    assert len(names) == 2
    assert world.record(state_of(world).own_id(tick.request_id))["key"] == KEY


def test_an_id_of_our_own_is_the_same_for_all_each_time_and_another_in_another_ledger(world: World):
    first = state_of(world).own_id("a")

    assert (state_of(world).own_id("a"), state_of(world).own_id("b") == first) == (first, False)
    world.client.delete(world.keys.name_of(OWN_IDS))
    assert state_of(world).own_id("a") != first


def given_by(tick: Tick) -> dict[str, str]:
    return {"customer_key": KEY, "mid": MID, "source": tick.source, "event_id": tick.event_id}
