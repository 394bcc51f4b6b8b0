"""Files that start nothing, over an outage of Redis in the middle of a look."""

from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from sfmc_server.console import strays


def unrouted(number: int) -> dict[str, Any]:
    name = f"{number}.csv"
    file = {"location": "/in", "name": name, "fingerprint": f"f{number}"}
    detail = {"mid": "7", "file": file, "text": "no definition matches", "reason": "no_match"}
    return {"type": "sfmc.import.unrouted", "subject": name, "time": "2026-03-01T06:00:00.000Z", "data": detail}


class Stream:
    """Gives one event for each reading; `gone_before` is the one before which Redis goes away, once."""

    def __init__(self) -> None:
        self.events = [unrouted(0)]
        self.gone_before: int | None = None

    def before(self, _: str, __: int) -> list[tuple[str, Any]]:
        return [(f"{len(self.events)}-0", self.events[-1])]

    def backwards(self, _: int) -> list[Any]:
        return self.events[::-1]

    def some_after(self, position: str, _: int) -> tuple[str, list[tuple[str, Any]]]:
        at = int(position.partition("-")[0])
        if at == self.gone_before:
            self.gone_before = None
            raise RedisConnectionError
        return (f"{at + 1}-0", [(f"{at + 1}-0", self.events[at])]) if at < len(self.events) else (position, [])


def test_what_was_read_before_an_outage_is_shown_after_it() -> None:
    stream: Any = Stream()
    known = strays.Strays()
    known.read(stream)
    stream.events += [unrouted(1), unrouted(2)]
    stream.gone_before = 2
    with pytest.raises(RedisConnectionError):
        known.read(stream)

    assert [each.name for each in known.read(stream)] == ["2.csv", "1.csv", "0.csv"]


def test_their_number_is_not_known_before_the_first_look_and_is_that_of_the_list_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream: Any = Stream()
    known = strays.Strays()
    before = known.count
    known.read(stream)
    monkeypatch.setattr(strays, "MAX_KEPT", 2)
    one = known.count
    stream.events += [unrouted(1), unrouted(2), unrouted(2)]
    for _ in range(4):
        known.read(stream)

    assert (before, one, known.count) == ("?", "1", "2+")
