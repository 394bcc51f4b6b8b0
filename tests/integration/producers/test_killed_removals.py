"""A removal that is killed, or meets another file, at any line of it: nothing is lost, and each file goes once."""

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any, Self

import pytest

from sfmc_producers import removing
from sfmc_producers.removing import After
from sfmc_producers.stability import StabilityRule
from tests.support.fake_client import FakeClient
from tests.support.watched_folder import Watched

OLD, NEW = "id\n1\n", "id\n2\n3\n"


class Place:
    """A folder with a file that the ledger has, and what became of it."""

    def __init__(self, path: Path, action: str, marker: str | None = None) -> None:
        self.rule = StabilityRule(seconds=2.0, marker=marker)
        self.folder, self.done, self.made = path / "in", path / "done", path / "made.csv"
        self.folder.mkdir(parents=True)
        self.action, self.client = action, FakeClient()
        self.client.define("contacts", "contacts.csv")
        self.put(OLD)
        Watched(self.folder, self.client, rule=self.rule).pass_time(2)
        assert len(self.client.requests) == 1

    def watched(self) -> Watched:
        to = self.done if self.action == "move" else None
        return Watched(self.folder, self.client, after=After(self.action, to), rule=self.rule)  # type: ignore[arg-type]

    def replace_file(self) -> None:
        """Put another file in its place, as a writer does that renames."""
        self.put(NEW)

    def put(self, text: str) -> None:
        """Write a file under another name, rename it, then do so with its marker."""
        for name, content in (("contacts.csv", text), ("contacts.csv.done", "")):
            if name.endswith(".csv") or self.rule.marker:
                self.made.write_text(content)
                self.made.rename(self.folder / name)

    def settle(self) -> None:
        self.watched().pass_time(2, 2, 2, 2)

    def moved(self) -> list[str]:
        """The content of moved files, without markers."""
        files = self.done.iterdir() if self.done.exists() else ()
        return sorted(each.read_text() for each in files if each.suffix != ".done")


class At:
    """Does something before the line number `line` of `removing` that this thread executes."""

    def __init__(self, line: int, action: Callable[[], None]) -> None:
        self._left, self._action = line, action

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    @property
    def is_over(self) -> bool:
        """Whether there were fewer lines."""
        return self._left > 0

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != removing.__file__:
            return self._trace if event == "call" else None
        if event == "line":
            self._left -= 1
            if self._left == 0:
                self._action()
        return self._trace


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at(line: int, place: Place, before: Callable[[], None]) -> bool:
    """Scan in a child that is killed at this line; False when the scan had fewer."""

    def end() -> None:
        before()
        die()

    child = os.fork()
    if child == 0:
        with At(line, end):
            place.watched().pass_time(2)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


MARKERS = pytest.mark.parametrize(
    "marker", [pytest.param(None, id="alone", marks=pytest.mark.nightly), pytest.param(".done", id="with_marker")]
)


@MARKERS
@pytest.mark.parametrize("action", ["move", pytest.param("delete", marks=pytest.mark.nightly)])
def test_a_removal_that_is_killed_at_any_line_is_ended_by_the_next_scan(
    tmp_path, action, marker, record_property
) -> None:
    for line in count(1):
        place = Place(tmp_path / str(line), action, marker)
        killed = killed_at(line, place, lambda: None)
        place.settle()

        assert list(place.folder.iterdir()) == [], line
        assert place.moved() == ([OLD] if action == "move" else []), line
        assert len(place.client.requests) == 1, line
        if not killed:
            break
    record_property("cases", line)
    assert line > 10


@MARKERS
@pytest.mark.nightly
@pytest.mark.parametrize("action", ["move", "delete"])
@pytest.mark.parametrize("dies", [False, True])
def test_a_file_that_takes_the_place_of_an_accepted_one_at_any_line_is_accepted_before_it_goes(
    tmp_path, action, dies, marker, record_property
) -> None:
    for line in count(1):
        place = Place(tmp_path / str(line), action, marker)
        if dies:
            is_over = not killed_at(line, place, place.replace_file)
        else:
            with At(line, place.replace_file) as at:
                place.watched().pass_time(2)
            is_over = at.is_over
        if is_over:
            break
        place.settle()

        assert list(place.folder.iterdir()) == [], line
        assert len(place.client.requests) == 2, line
        # What was overwritten under its own name is the writer's to lose.
        assert place.moved() in ([[OLD, NEW], [NEW]] if action == "move" else [[]]), line
    record_property("cases", line)
    assert line > 10
