"""From where on the API sends events as they happen: after the last one, after a position, or from now on."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.console import World, console_over


@pytest.fixture
def ending(redis_server: Any) -> Iterator[World]:
    """A server that ends: its streams end with what has happened."""
    with console_over(redis_server.url, is_ending=True) as made:
        yield made


def events_of(world: World, path: str, **headers: str) -> int:
    headers |= {"authorization": f"Bearer {world.tokens['viewer']}", "accept": "text/event-stream"}
    answer = world.http.request("GET", path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text.count("event: accepted")


def test_a_stream_begins_after_the_header_else_after_the_parameter_else_now(ending: World) -> None:
    for number in range(3):
        ending.submit(key=f"k{number}")
    ids = [each["stream_id"] for each in ending.ask("GET", "/v1/events").json()["items"]]
    first = next(each for each in reversed(ids[:-2]))

    assert events_of(ending, "/v1/events?after=0") == 3
    assert events_of(ending, f"/v1/events?after={first}") == 2
    assert events_of(ending, "/v1/events?after=0-0", **{"last-event-id": first}) == 2
    assert events_of(ending, "/v1/events") == 0
