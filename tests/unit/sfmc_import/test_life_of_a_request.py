"""Who follows a request sees its events and no other, until it is known how it ended."""

from typing import Any

import pytest

from sfmc_import.events import Life


def event(request_id: str, name: str, **data: Any) -> dict[str, Any]:
    return {"type": f"sfmc.import.{name}", "data": {"request_id": request_id, **data}}


def duplicate(request_id: str, held_by: str, **more: Any) -> dict[str, Any]:
    return event(request_id, "duplicate", held_by=held_by, **more)


MAYBE = [event("b", "accepted"), duplicate("b", "a", final=False)]
TAKEN_UP = [event("a", "rejected"), event("b", "accepted", instead_of="a"), event("b", "started")]


def seen(events: list[dict[str, Any]]) -> tuple[int, bool]:
    """How many events are those of the request `b`, and whether the last one is the end, and only that."""
    life, own = Life("b"), 0
    for each in events:
        assert not life.is_over
        own += life.add(each)
    return own, life.is_over


@pytest.mark.parametrize("end", ["duplicate", "rejected", "start_unknown", "completed"])
def test_an_end_is_the_last_event(end: str) -> None:
    assert seen([event("b", "accepted"), event("a", end), event("b", end)]) == (2, True)


@pytest.mark.parametrize("word", ["started", "start_unknown", "duplicate"])
def test_a_duplicate_that_may_be_taken_up_has_ended_when_the_other_has_started(word: str) -> None:
    assert seen([*MAYBE, event("a", "starting"), event("c", "started")]) == (2, False)
    assert seen([*MAYBE, event("a", "starting"), event("a", word)]) == (2, True)


def test_a_duplicate_that_is_taken_up_has_the_end_of_its_own_run() -> None:
    assert seen([*MAYBE, *TAKEN_UP]) == (4, False)
    assert seen([*MAYBE, *TAKEN_UP, event("b", "completed")]) == (5, True)


def test_a_duplicate_follows_whoever_is_taken_up_before_it_or_takes_the_others_place() -> None:
    passed = [duplicate("a", "c", final=False), event("c", "expired"), event("d", "accepted", instead_of="c")]

    assert seen([*MAYBE, *passed]) == (2, False)
    assert seen([*MAYBE, *passed, event("d", "started")]) == (2, True)


def test_a_duplicate_has_ended_when_none_is_taken_up() -> None:
    assert seen([*MAYBE, event("a", "gave_up")]) == (2, False)
    assert seen([*MAYBE, event("a", "gave_up"), event("e", "accepted")]) == (2, True)


def test_an_event_about_no_request_says_nothing() -> None:
    assert seen([{"type": "sfmc.import.unrouted", "data": {"file": None}}, *MAYBE]) == (2, False)
