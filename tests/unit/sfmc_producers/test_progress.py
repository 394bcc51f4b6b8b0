"""How far a delivery is: log lines now and then, bars on a terminal."""

import io

from rich.console import Console
from rich.progress import Progress
from structlog.testing import capture_logs

from sfmc_producers.delivery.progress import Bars, FromFirstByte, Lines, chosen


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_comes_every_so_many_seconds_with_what_was_sent_of_how_much() -> None:
    clock = Clock()
    with capture_logs() as lines:
        watch = Lines("a.csv", "ftp", 1000, 10.0, clock)
        for now, done in ((101.0, 10), (109.9, 99), (110.0, 100), (115.0, 150), (120.0, 200)):
            clock.now = now
            watch.at(done)
        watch.end()
    said = {"event": "file_delivering", "file": "a.csv", "target": "ftp", "total": 1000, "log_level": "info"}
    assert lines == [said | {"bytes": 100}, said | {"bytes": 200}]


def test_each_file_has_a_bar_until_its_end_and_the_terminal_is_given_back() -> None:
    screen = io.StringIO()
    progress = Progress(console=Console(file=screen, force_terminal=True, width=120), auto_refresh=False)
    bars = Bars(progress)
    first = bars.begin("a\x1b[2J.csv", "ftp", 1000, 10.0)
    second = bars.begin("b.csv", "ftp", None, 10.0)
    first.at(500)
    progress.refresh()
    shown = screen.getvalue()
    assert "50%" in shown
    assert "a?[2J.csv → ftp" in shown
    assert "b.csv → ftp" in shown
    first.end()
    assert progress.live.is_started
    second.end()
    assert not progress.live.is_started
    assert progress.tasks == []


def test_where_no_one_looks_there_are_lines() -> None:
    assert chosen(io.StringIO(), as_json=False) == (Lines, None)
    assert chosen(None, as_json=False) == (Lines, None)


def test_on_a_terminal_there_are_bars_and_log_lines_go_above_them_unless_they_are_json() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    watch, stream = chosen(Terminal(), as_json=False)
    assert watch is not Lines
    assert stream is not None
    assert stream.isatty()
    assert chosen(Terminal(), as_json=True) == (Lines, None)


def test_a_file_that_only_waits_for_its_turn_is_not_followed() -> None:
    begun: list[Lines] = []

    def begin() -> Lines:
        begun.append(Lines("a.csv", "ftp", None, 10.0))
        return begun[-1]

    waiting, sent = FromFirstByte(begin), FromFirstByte(begin)
    waiting.end()
    assert begun == []
    sent.at(0)
    sent.at(10)
    sent.end()
    assert len(begun) == 1
