"""The life of a request as steps with what came between them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sfmc_server.console.life import steps

BEGIN = datetime(2026, 11, 28, 12, tzinfo=UTC)


def event(seconds: int, word: str, **data: Any) -> dict[str, Any]:
    return {"type": f"sfmc.import.{word}", "time": (BEGIN + timedelta(seconds=seconds)).isoformat(), "data": data}


def test_between_two_steps_stands_how_long_it_took_and_why() -> None:
    found = steps(
        [event(0, "accepted"), event(2, "deferred", why="paused")], BEGIN + timedelta(seconds=62), is_over=False
    )

    assert [(step.word, step.seconds, step.between) for step in found] == [
        ("accepted", 2, "waited for a worker"),
        ("deferred", 60, "waited for its turn (paused)"),
    ]


def test_events_that_are_left_out_between_two_steps_are_counted() -> None:
    first, last = event(0, "accepted") | {"id": "r/1/accepted"}, event(60, "retrying") | {"id": "r/12/retrying"}
    found = steps([first, last], BEGIN + timedelta(seconds=62), is_over=False)

    assert found[0].between == "10 events that are not shown"


def test_a_life_that_is_over_ends_with_its_last_step() -> None:
    found = steps([event(0, "accepted"), event(9, "cancelled")], BEGIN + timedelta(hours=1), is_over=True)

    assert [step.seconds for step in found] == [9, None]
    assert steps([], BEGIN, is_over=False) == []


def test_clocks_that_went_back_and_steps_without_a_description_make_no_negative_time() -> None:
    found = steps([event(5, "some_day"), event(0, "cancelled")], BEGIN, is_over=True)

    assert (found[0].seconds, found[0].between) == (0, "nothing happened")
