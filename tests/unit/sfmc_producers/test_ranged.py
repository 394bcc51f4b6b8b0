"""Content of other machines: read in pieces, each within its deadline."""

import threading

import pytest

from sfmc_producers.content_errors import ContentChangedError, ContentUnavailableError
from sfmc_producers.delivery.ranged import MOST_AT_ONCE, RangedContent


class Ranges:
    def __init__(self, content: bytes = b"0123456789") -> None:
        self.content = content
        self.checks = 0
        self.go_on = threading.Event()
        self.go_on.set()

    def size(self) -> int:
        return 10

    def read(self, offset: int, most: int) -> bytes:
        self.go_on.wait()
        return self.content[offset : offset + most]

    def check(self) -> None:
        self.checks += 1

    def close(self) -> None:
        self.go_on.set()


def test_it_is_read_from_any_place_on() -> None:
    with RangedContent(Ranges()) as content:
        assert content.read(3) == b"012"
        content.seek(8)
        assert (content.read(5), content.read(5), content.tell()) == (b"89", b"", 10)


def test_the_end_is_reached_when_the_file_is_still_what_arrived() -> None:
    ranges = Ranges()
    with RangedContent(ranges) as content:
        content.read(10)
        assert ranges.checks == 0
        assert content.read(1) == b""
    assert ranges.checks == 1


def test_a_file_that_ends_too_early_is_an_error_and_not_an_end() -> None:
    with RangedContent(Ranges(b"012")) as content:
        assert content.read(10) == b"012"
        with pytest.raises(ContentChangedError, match="3 of 10"):
            content.read(10)


def test_a_read_that_gives_no_answer_ends_at_its_deadline_and_nothing_is_read_behind_it() -> None:
    ranges = Ranges()
    content = RangedContent(ranges, seconds=0.05)
    ranges.go_on.clear()
    for said in ("no answer", "not read on"):
        with pytest.raises(ContentUnavailableError, match=said):
            content.read(1)
    ranges.go_on.set()
    content.close()


def test_one_read_asks_for_a_mebibyte_at_most() -> None:
    asked: list[int] = []

    class Large(Ranges):
        def size(self) -> int:
            return 10 * MOST_AT_ONCE

        def read(self, _offset: int, most: int) -> bytes:
            asked.append(most)
            return bytes(most)

    with RangedContent(Large()) as content:
        assert len(content.read(4 * MOST_AT_ONCE)) == MOST_AT_ONCE
    assert asked == [MOST_AT_ONCE]
