"""The lines of a [[source]] of kind folder, and what it lists."""

import os
import tomllib
from pathlib import Path

import pytest

from sfmc_import.errors import SettingsError
from sfmc_import.request import FileInfo
from sfmc_import.settings.policy_file import read_tables
from sfmc_producers.sources.folder import FolderOptions, FolderSource
from sfmc_producers.sources.kinds import KINDS
from sfmc_producers.sources.receiving import SourceUnavailableError
from sfmc_producers.sources.tables import read_options
from tests.support.sources import example_of

HOUR = 3600.0


def problems(text: str) -> list[str]:
    found: list[str] = []
    tables = read_tables(tomllib.loads(text), "policy.toml", found)
    assert found == []
    try:
        read_options(tables.sources, KINDS)
    except SettingsError as error:
        return error.problems
    return []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('after = "move"', 'after = "delete"', "belong together"),
        ('move_to = "/data/accepted"', "", "belong together"),
        ('after = "move"', 'after = "away"', "after: 'away'"),
        ('kind = "folder"', 'kind = "folder"\nstable_seconds = "soon"', "stable_seconds"),
        ("/data/accepted", "/data/arrivals", "lies in the folder that is watched"),
        ("/data/accepted", "/data/arrivals/done", "lies in the folder that is watched"),
        ('kind = "folder"', 'kind = "folder"\nrescann = 1', "did you mean rescan"),
        ('path = "/data/arrivals"', "", "path: missing"),
        ('path = "/data/arrivals"', 'path = ""', "path"),
    ],
)
def test_wrong_lines_are_said(old: str, new: str, said: str) -> None:
    changes = {'kind = "folder"': 'kind = "folder"\nrecursive = true'} | {old: new}
    [line] = problems(example_of("folder", **changes))
    assert said in line
    assert line.startswith("policy.toml [[source]] arrivals ")


def test_a_subfolder_may_take_what_is_moved_where_subfolders_are_not_watched() -> None:
    assert problems(example_of("folder", **{"/data/accepted": "/data/arrivals/done"})) == []


class Listed:
    """A folder, and the time at which it is listed: `hours` after its files were written."""

    def __init__(self, path: Path, **lines: object) -> None:
        self.path, self.options = path, FolderOptions.model_validate({"path": str(path), **lines})

    def put(self, name: str, text: str = "id\n1\n") -> Path:
        file = self.path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file

    def names(self, hours: float = 1) -> list[str]:
        return sorted(f"{each.file.location}/{each.file.name}" for each in self.arrivals(hours))

    def arrivals(self, hours: float = 1):
        latest = max((each.stat().st_ctime for each in self.path.rglob("*")), default=0.0)
        folder = self.options.folder("arrivals")
        source = FolderSource("arrivals", folder, None, self.options, lambda: latest + hours * HOUR)  # type: ignore[arg-type]
        return list(source.list_arrivals())


def test_what_is_complete_is_listed_with_its_content(tmp_path: Path) -> None:
    listed = Listed(tmp_path, location="in", pattern="*.csv")
    file = listed.put("a.csv")
    for ignored in ("a.txt", ".a.csv", "a.csv.part", ".sfmc-import-0123456789abcdef-a.csv"):
        listed.put(ignored)
    listed.put("empty.csv", "")
    listed.put("sub/b.csv")

    [found] = listed.arrivals()
    assert (found.file.location, found.file.name, found.event_id) == ("in", "a.csv", None)
    assert (found.file.size, found.file.modified_ns) == (5, file.stat().st_mtime_ns)
    assert found.file.content_hash is not None


def test_what_changed_a_moment_ago_is_not_listed_whatever_its_time_stamp(tmp_path: Path) -> None:
    listed = Listed(tmp_path)
    os.utime(listed.put("a.csv"), (0, 0))

    assert (listed.names(hours=9 / HOUR), listed.names(hours=11 / HOUR)) == ([], [f"{tmp_path}/a.csv"])


def test_subfolders_markers_and_empty_files_count_where_the_lines_say_so(tmp_path: Path) -> None:
    listed = Listed(tmp_path, location="in", recursive=True, marker=".done", empty="run")
    for name in ("a.csv", "sub/b.csv", "sub/b.csv.done", "sub/c.csv", "c.csv", "c.csv.done"):
        listed.put(name, "")

    assert listed.names() == ["in/c.csv", "in/sub/b.csv"]


def test_a_file_that_is_being_written_is_not_listed(tmp_path: Path) -> None:
    listed = Listed(tmp_path)
    with listed.put("a.csv").open("a"):
        assert listed.names() == []
    assert len(listed.names()) == 1


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError, match="cannot be read"):
        Listed(tmp_path / "none").arrivals()


@pytest.mark.parametrize(
    ("name", "within", "why"),
    [
        ("a.csv", "", None),
        ("a.txt", "", "the pattern of the source is *.csv"),
        (".a.csv", "", "its name is one of files that are hidden or not complete (.*)"),
        ("a.csv", "/eu", "it lies in the subfolder eu, and the source takes none"),
    ],
)
def test_a_file_that_the_source_never_takes_says_why(tmp_path: Path, name: str, within: str, why: str | None) -> None:
    options = FolderOptions.model_validate({"path": str(tmp_path), "location": "in", "pattern": "*.csv"})
    source = FolderSource("arrivals", options.folder("arrivals"), None, options, lambda: 0.0)  # type: ignore[arg-type]

    assert source.why_ignored(FileInfo(location=f"in{within}", name=name)) == why


def test_a_file_below_a_hidden_folder_says_that_this_is_why(tmp_path: Path) -> None:
    options = FolderOptions.model_validate({"path": str(tmp_path), "location": "in", "recursive": True})
    source = FolderSource("arrivals", options.folder("arrivals"), None, options, lambda: 0.0)  # type: ignore[arg-type]

    assert source.why_ignored(FileInfo(location="in/eu", name="a.csv")) is None
    assert str(source.why_ignored(FileInfo(location="in/.tmp", name="a.csv"))).startswith("it lies in .tmp")
