"""A folder whose accepted files can be neither moved nor deleted says since when, and whether a disk is full."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import structlog

from sfmc_producers.listing import Progress
from sfmc_producers.removals import Removals
from sfmc_producers.removing import After, Removed, Remover
from sfmc_producers.stability import FileStat
from sfmc_producers.watch import HangingFolders, describe
from tests.support.watched_folder import Watched

FILE = FileStat("a.csv", 3, 1, 1)


class Refusing(Remover):
    """Removes nothing as long as it has an error."""

    def __init__(self, number: int) -> None:
        super().__init__(Path("/in"), After("delete"))
        self.number = number

    def remove(self, accepted: FileStat) -> Removed:
        if self.number:
            raise OSError(self.number, os.strerror(self.number), accepted.name)
        return Removed("deleted")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def removals(number: int) -> tuple[Removals, Refusing, Clock]:
    remover, clock = Refusing(number), Clock()
    return Removals(remover, Progress(clock), clock, structlog.get_logger()), remover, clock


@pytest.mark.parametrize(
    ("number", "is_full"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EROFS, False), (errno.EACCES, False)]
)
def test_a_file_system_that_refuses_is_said_since_its_first_refusal_until_a_file_goes(
    number: int, is_full: bool
) -> None:
    made, remover, clock = removals(number)
    for clock.now in (5.0, 9.0):
        made.begin()
        assert made.remove(FILE) is None
    assert made.stuck is not None
    assert (made.stuck.since, made.stuck.text, made.stuck.is_full) == (5.0, os.strerror(number), is_full)
    remover.number = 0
    made.begin()

    assert made.remove(FILE) == Removed("deleted")
    assert made.stuck is None


def test_a_file_that_cannot_go_for_itself_alone_says_nothing_of_the_folder() -> None:
    made, _, _ = removals(errno.EBUSY)

    assert made.remove(FILE) is None
    assert (made.why, made.stuck) == (os.strerror(errno.EBUSY), None)


def test_nothing_is_stuck_when_nothing_is_left_to_be_removed() -> None:
    made, _, _ = removals(errno.ENOSPC)
    made.remove(FILE)
    made.end(is_anything_left=True)
    assert made.stuck is not None
    made.end(is_anything_left=False)

    assert made.stuck is None


def said(watched: Watched) -> dict[str, Any]:
    [found] = describe(HangingFolders([watched.watch], 1.0, lambda: 0.0), watched.now)
    return found


def test_a_folder_says_since_when_accepted_files_stay_until_they_are_moved(tmp_path: Path, client: Any) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "done").write_text("no folder")
    watched = Watched(tmp_path / "in", client, after=After("move", tmp_path / "done"))
    watched.put("contacts.csv")
    watched.pass_time(2, 5)
    stuck = said(watched)
    (tmp_path / "done").unlink()
    watched.pass_time(5)

    assert {name: stuck[name] for name in ("state", "age", "text")} == {
        "state": "unmoved", "age": 5.0, "text": f"File exists, move_to {tmp_path / 'done'}",
    }  # fmt: skip
    assert (said(watched)["state"], len(client.requests)) == ("watched", 1)


def test_a_folder_is_well_again_when_somebody_takes_the_files_away(tmp_path: Path, client: Any) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "done").write_text("no folder")
    watched = Watched(tmp_path / "in", client, after=After("move", tmp_path / "done"))
    watched.put("contacts.csv")
    watched.pass_time(2)
    assert said(watched)["state"] == "unmoved"
    for each in (tmp_path / "in").iterdir():
        each.unlink()
    watched.pass_time(2)

    assert said(watched)["state"] == "watched"
