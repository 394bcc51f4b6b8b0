"""How far the clock of Redis is off is known from the answers of Marketing Cloud, and remembered for a while."""

from dataclasses import dataclass, field

import pytest

from sfmc_import.clocks import (
    DANGEROUS_AFTER,
    MOST_OFF,
    REMEMBERED,
    SLOWEST,
    WRONG_AFTER,
    Between,
    Clocks,
    how_wrong,
)

NOON = 1_800_000_000.0
"""The time at Marketing Cloud when the tests begin."""


@dataclass
class World:
    """Marketing Cloud, this machine and Redis, whose clocks are so many seconds ahead of the first one."""

    boot: float = 5000.0
    redis: float = 0.0
    machine: float = 0.0
    said: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clocks = Clocks(lambda: self.boot, lambda: self.now + self.machine)
        self.clocks.on_change = self.said.append

    @property
    def now(self) -> float:
        return NOON + self.boot - 5000.0

    def answer(self, took: float = 0.0, off: float = 0.0) -> None:
        """Marketing Cloud answers after so many seconds, and names a whole second of its time in the middle of them."""
        sent = self.boot
        self.boot += took
        self.clocks.note_service(self.now - took / 2 - 0.5 + off, sent)

    def claim(self, took: float = 0.0) -> None:
        asked = self.boot
        self.boot += took
        self.clocks.note_redis(self.now - took / 2 + self.redis, asked)


def off_by(world: World) -> Between:
    """Between which times of Marketing Cloud is what Redis calls 0?"""
    return world.clocks.between(0.0)


@pytest.mark.parametrize(("ahead", "first", "last"), [(0.0, 0.0, 0.0), (400.0, -400.0, 0.0), (-400.0, 0.0, 400.0)])
def test_a_moment_of_redis_lies_between_what_it_says_and_what_that_is_at_marketing_cloud(
    ahead: float, first: float, last: float
):
    world = World(redis=ahead, machine=ahead)
    world.answer(took=2.0)
    world.claim(took=2.0)

    assert off_by(world) == Between(first, last)


def test_while_no_answer_has_named_a_time_this_machine_stands_in():
    world = World(redis=-400.0)
    world.claim()

    assert world.clocks.service() is None
    assert off_by(world) == Between(0.0, 400.0)


def test_before_redis_was_asked_its_clock_is_taken_as_it_is():
    world = World(redis=-400.0)
    world.answer()

    assert off_by(world) == Between(0.0, 0.0)


def test_setting_the_clock_of_this_machine_changes_nothing_that_answers_have_said():
    world = World(redis=100.0)
    world.answer()
    world.claim()
    world.machine = -7200.0

    assert off_by(world) == Between(-100.0, 0.0)
    assert world.clocks.service() == NOON


def test_the_newest_answer_counts():
    world = World()
    world.answer(off=50.0)
    world.boot += 60.0
    world.answer()

    assert world.clocks.service() == world.now


@pytest.mark.parametrize(("took", "counts"), [(SLOWEST, True), (SLOWEST + 0.1, False)])
def test_what_comes_slowly_changes_nothing_that_is_known(took: float, counts: bool):
    world = World()
    world.answer()
    world.claim()
    world.answer(took, off=50.0)
    assert world.clocks.service() == pytest.approx(world.now + (50.0 if counts else 0.0), rel=0, abs=1)
    world.answer()
    world.redis = 400.0
    world.claim(took)

    assert (off_by(world).first < -300.0) is counts


def test_what_comes_slowly_counts_while_nothing_is_known():
    world = World(redis=400.0, machine=400.0)
    world.answer(60.0)
    world.claim(60.0)

    assert off_by(world).first == pytest.approx(-400.0, abs=1)


@pytest.mark.parametrize(("off", "is_known"), [(MOST_OFF, True), (-MOST_OFF, True), (MOST_OFF + 1, False)])
def test_a_time_that_is_none_of_today_anywhere_is_not_believed(off: float, is_known: bool):
    world = World()
    # It names whole seconds: half a second is added to what it says.
    world.answer(off=off + 0.5)

    assert world.clocks.service() == (world.now + off + 0.5 if is_known else None)


def test_a_clock_that_was_set_right_is_remembered_as_it_was_for_half_an_hour():
    world = World(redis=-1200.0)
    world.answer()
    world.claim()
    world.redis = 0.0
    world.boot += REMEMBERED
    world.claim()
    assert off_by(world) == Between(0.0, 1200.0)
    world.boot += 2 * REMEMBERED

    assert off_by(world) == Between(0.0, 0.0)


def test_of_several_clocks_the_furthest_ahead_and_the_furthest_behind_are_remembered():
    world = World()
    world.answer()
    for world.redis in (10.0, 300.0, -200.0, 5.0):
        world.claim()

    assert off_by(world) == Between(-300.0, 200.0)


def test_it_is_said_once_that_the_clock_of_redis_is_wrong_and_once_that_it_is_right_again():
    world = World()
    world.claim()
    world.answer()
    for world.redis in (0.0, 60.0, 61.0, -70.0, -301.0, -400.0, 3.0, 1.0):
        world.claim()

    assert world.said == [61.0, -301.0, 3.0]


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(WRONG_AFTER, 0), (-WRONG_AFTER - 1, 1), (DANGEROUS_AFTER, 1), (DANGEROUS_AFTER + 1, 2), (-28800.0, 2)],
)
def test_a_clock_is_wrong_beyond_a_minute_and_does_harm_beyond_five(seconds: float, level: int):
    assert how_wrong(seconds) == level
