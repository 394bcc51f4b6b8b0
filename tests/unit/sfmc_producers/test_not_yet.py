"""A file that is empty, may still grow, is open for writing or has no marker is explained as its source sees it."""

import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sfmc_import.client import file_at
from sfmc_import.request import FileInfo
from sfmc_producers.sources.explaining import Decided, Explained, moment
from sfmc_producers.sources.not_yet import NotYet, held, not_yet
from sfmc_producers.stability import StabilityRule

NOW = datetime(2026, 3, 7, 12, tzinfo=UTC).timestamp()
QUICK = StabilityRule(seconds=0.0)
START = Explained(
    file=FileInfo(location="/in", name="a.csv"), rules=(), decision=Decided(what="start", text="start"), request_id="r1"
)


class Said:
    """What watchers say."""

    def __init__(self, location: str = "/in", folder: str = "", **file: Any) -> None:
        files = [{"since": NOW - 60, **file}] if file else []
        about = {"folder": folder or location, "location": location, "state": "watched", "files": files, "more": 0}
        self._said = [{"watcher": "h:1:x", "seen_at": NOW - 1, "folders": [about]}]

    def now(self) -> float:
        return NOW

    def watchers(self) -> Any:
        return self._said

    def folders_seen(self) -> Any:
        return ()


def look(path: Path, rule: StabilityRule | None = QUICK, said: Said | None = None) -> NotYet | None:
    return not_yet(file_at(path), said or Said(), source=None, rule=rule, here=path)


def test_a_file_that_was_just_changed_may_still_grow_until_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id\n1\n")
    found = look(path, None)

    assert found is not None
    assert (found.reason, found.since, found.until) == ("growing", path.stat().st_ctime, path.stat().st_ctime + 10.0)
    assert look(path) is None


def test_a_file_without_content_is_empty_unless_its_source_takes_such(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.touch()

    assert [each and each.reason for each in (look(path), look(path, replace(QUICK, empty="run")))] == ["empty", None]


def test_the_marker_of_a_file_is_missed(tmp_path: Path) -> None:
    path, rule = tmp_path / "a.csv", replace(QUICK, marker=".done")
    path.write_text("id\n1\n")
    missing = look(path, rule)
    (tmp_path / "a.csv.done").touch()

    assert missing is not None
    assert (missing.reason, missing.text) == ("no_marker", "its marker file is missing (a.csv.done)")
    assert look(path, rule) is None


def test_a_file_that_a_program_has_open_for_writing_is_said_to_be_open(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w") as file:
        file.write("id\n1\n")
        file.flush()
        found = look(path)

    assert found is not None
    assert found.reason == "open"
    assert look(path) is None


@pytest.mark.parametrize(
    ("said", "file", "source"),
    [
        (Said(name="a.csv", reason="growing", until=NOW + 5), FileInfo(location="/in", name="a.csv"), None),
        (Said(name="eu/a.csv", reason="growing", until=NOW + 5), FileInfo(location="/in/eu", name="a.csv"), None),
        (
            Said("source:drop", "source drop (sftp://h/in)", name="a.csv", reason="growing", until=NOW + 5),
            FileInfo(location="sftp://h/in", name="a.csv"),
            "drop",
        ),
        (
            Said("source:drop", "source drop (sftp://h/in)", name="a.csv", reason="growing", until=NOW + 5),
            FileInfo(location="", name="a.csv"),
            "drop",
        ),
    ],
    ids=["folder", "subfolder", "source", "name alone"],
)
def test_a_file_that_is_not_here_waits_as_its_watcher_says(said: Said, file: FileInfo, source: str | None) -> None:
    found = not_yet(file, said, source=source, rule=None, here=None)

    assert found == NotYet("growing", "not complete yet", NOW - 60, NOW + 5)


@pytest.mark.parametrize(
    "said",
    [Said(), Said("/other", name="a.csv", reason="growing"), Said(name="b.csv", reason="growing")]
    + [Said(name="a.csv", reason=each) for each in ("unmatched", "ambiguous", "refused", "unmoved")],
)
def test_a_file_of_which_no_watcher_says_that_it_waits_for_itself_is_taken(said: Said) -> None:
    assert not_yet(FileInfo(location="/in", name="a.csv"), said, source=None, rule=None, here=None) is None


def test_the_watcher_says_since_when_and_the_file_system_until_when(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id\n1\n")
    said = Said(tmp_path.as_posix(), name="a.csv", reason="growing", until=NOW)

    found = look(path, None, said)
    assert found is not None
    assert (found.since, found.until) == (NOW - 60, path.stat().st_ctime + 10.0)


def test_a_file_that_is_gone_meanwhile_cannot_be_read(tmp_path: Path) -> None:
    found = not_yet(FileInfo(location="/in", name="a.csv"), Said(), source=None, rule=QUICK, here=tmp_path / "a.csv")

    assert found == NotYet("unreadable", "cannot be read (No such file or directory)")


def test_an_old_file_of_another_name_and_time_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id\n1\n")
    os.utime(path, (time.time() - 7200,) * 2)

    # What counts is when it was changed here, which no program can set.
    assert look(path, StabilityRule(seconds=60.0)) is not None


def test_the_explanation_says_why_nothing_follows_yet_and_what_follows_then() -> None:
    found = held(START, NotYet("growing", "not complete yet", NOW - 60, NOW + 5))

    assert (found.decision.what, found.decision.reason, found.decision.until) == ("wait", "growing", moment(NOW + 5))
    assert found.decision.text == (
        f"waits: not complete yet (growing), since {moment(NOW - 60)}, until {moment(NOW + 5)} at the earliest;"
        " after that: start"
    )
    assert found.request_id is None


def test_an_empty_file_starts_nothing() -> None:
    found = held(START, NotYet("empty", "empty", NOW)).decision

    assert (found.what, found.reason) == ("nothing", "empty")
    assert found.text == f"nothing is started: it is empty, since {moment(NOW)}"


@pytest.mark.parametrize("what", ["duplicate", "nothing", "unknown", "reject"])
def test_what_starts_nothing_anyway_stays_as_it_is(what: str) -> None:
    explained = replace(START, decision=Decided(what=what, text=what))

    assert held(explained, NotYet("growing", "not complete yet")) == explained
    assert held(START, None) == START
