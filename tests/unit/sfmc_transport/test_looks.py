"""When a consumer waits at its first queue, and when it looks into all lists."""

from collections.abc import Mapping

import pytest

from sfmc_transport.looks import FULL_SECONDS, Looks
from sfmc_transport.queues import Pop

NARROW: Mapping[str, str] = {"imports": "imports", "upkeep": "upkeep"}
WIDE: Mapping[str, str] = {**NARROW, "imports:3": "imports"}
EVERY = 1.0


class World:
    """Looks on a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.looks = Looks(lambda: self.now)

    def look(self, reply: tuple[str, bytes, int] | None = None, sources: Mapping[str, str] = NARROW) -> None:
        self.looks.note(Pop("EVALSHA", sources), reply, EVERY)

    def wait(self, reply: tuple[str, bytes, int] | None = None, command: str = "BLMOVE") -> None:
        self.looks.note(Pop(command, {"imports": "imports"}), reply, EVERY)

    def pauses(self, count: int) -> list[float]:
        """How long it waits between the next looks, all of which find nothing."""
        found = []
        for _ in range(count):
            self.look()
            found.append(self.looks.wait(10))
            self.now += self.looks.wait(10)
        return found


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("queues", [1, 2])
def test_it_looks_first_and_waits_when_all_is_empty_until_the_next_look(world: World, queues: int):
    assert world.looks.next_step(queues) == "look"
    world.look()
    assert world.looks.next_step(queues) == "wait"
    world.now += 0.6
    world.wait()
    assert world.looks.next_step(queues) == "wait"
    world.now += 0.4
    assert world.looks.next_step(queues) == "look"


def test_a_wait_ends_with_the_next_look_or_sooner_and_is_no_spin(world: World):
    world.look()

    assert (world.looks.wait(10), world.looks.wait(0.3)) == (1.0, 0.3)
    world.now += 5
    assert world.looks.wait(10) == 0.01


@pytest.mark.parametrize(("queues", "step"), [(1, "wait"), (2, "look")])
def test_after_a_message_it_looks_at_the_other_queues_at_once_if_there_are_any(world: World, queues: int, step: str):
    world.look()
    world.wait(("imports", b"x", 0))

    assert world.looks.next_step(queues) == step


def test_pauses_between_looks_are_short_after_a_message_and_grow_to_the_longest(world: World):
    assert world.pauses(2) == [1.0, 1.0]
    world.wait(("imports", b"x", 0))
    assert world.pauses(4) == [0.25, 0.5, 1.0, 1.0]
    world.look(("upkeep", b"x", 0))
    assert world.pauses(4) == [0.25, 0.5, 1.0, 1.0]


def test_what_has_found_more_looks_again_at_once_also_with_one_queue(world: World):
    world.look(("imports", b"x", 1))

    assert world.looks.next_step(1) == "look"


def test_rare_lists_are_looked_at_once_in_a_while_and_at_once_while_they_have_something(world: World):
    world.look(sources=WIDE)
    assert not world.looks.is_wide
    world.look()
    world.now += EVERY
    assert world.looks.is_wide
    world.look(("imports:3", b"x", 0), WIDE)
    assert world.looks.is_wide
    world.look(("imports", b"x", 0), WIDE)
    assert not world.looks.is_wide


def test_a_look_that_takes_a_message_before_others_in_rare_lists_looks_there_again_at_once(world: World):
    world.look(("imports", b"x", 1), WIDE)

    assert (world.looks.is_wide, world.looks.next_step(1)) == (True, "look")


def test_a_server_without_memory_is_looked_at_by_script_with_pauses_between(world: World):
    world.look()
    world.looks.note_full()
    world.wait()
    assert world.looks.next_step(2) == "look"
    world.look()
    assert world.looks.next_step(2) == "pause"
    world.wait(command="BLPOP")
    assert world.looks.next_step(2) == "look"
    world.now += FULL_SECONDS
    world.look()
    assert world.looks.next_step(2) == "wait"
