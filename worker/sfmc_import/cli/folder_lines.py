"""What `status` and `show` print about watched folders: one line for each, and for each file that waits."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sfmc_import.cli.doctor_folders import to_do_about
from sfmc_import.operations import outdated
from sfmc_import.operations.folders import readers, sentence, title, tried_again
from sfmc_import.operations.outdated import OldDefinitionsView
from sfmc_import.operations.views import FolderFileView, FolderView

NAMED = 3
"""Files that a line names which is said of many."""

ALARMS = 10
"""Folders in trouble that are named before the lists."""


def alarm_lines(folders: Sequence[FolderView]) -> Iterator[str]:
    """Say which folders are in trouble, since when, and what to do."""
    wrong = [each for each in folders if each.is_trouble]
    for each in wrong[:ALARMS]:
        to_do = f"; to do: {to_do_about(each)}" if each.advice else ""
        yield f"{title(each)}: {sentence(each)}{to_do}"
    if len(wrong) > ALARMS:
        yield f"{len(wrong) - ALARMS} more folders are in trouble, see below"


def old_lines(found: Sequence[OldDefinitionsView]) -> Iterator[str]:
    """Say by which old lists of definitions files are routed, and what to do."""
    return (f"{outdated.sentence(each)}; to do: {each.advice}" for each in found)


def folder_lines(folders: Sequence[FolderView]) -> Iterator[str]:
    """Give the lines of each folder: its state, who reads it, and what waits in it."""
    for folder in folders:
        word, _, name = title(folder).partition(" ")
        again = tried_again(folder)
        who = "watcher" if word == "folder" else "process"
        by = f", by {who} {', '.join(readers(folder.watchers))}" if folder.watchers else ""
        yield "  ".join([f"  {word}", name, f"{folder.text}{_since(folder.since)}{again}{_looked(folder)}{by}"])
        yield from file_lines(folder.files)
        if folder.more:
            yield f"    and {folder.more} more" if folder.files else f"    {_count(folder.more)}"


def _count(number: int) -> str:
    """Say how much waits where nothing is named: events of a queue, or files that are deep in trouble."""
    return "1 waits" if number == 1 else f"{number} wait"


def file_lines(files: Sequence[FolderFileView]) -> Iterator[str]:
    """Give a line for each file that waits, with the reason; those that are not looked at for one cause have one."""
    alike: dict[tuple[str, str | None], list[FolderFileView]] = {}
    for each in files:
        alike.setdefault((each.text, "" if each.reason == "unavailable" else each.name), []).append(each)
    for (text, _), found in alike.items():
        each, names = found[0], ", ".join(file.name for file in found[:NAMED])
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        todo = f"; to do: {each.advice}" if each.advice else ""
        yield "  ".join(["    waits", f"{names}{more}", f"{text}{_since(each.since)}{tried_again(each)}{todo}"])


def _looked(folder: FolderView) -> str:
    """Say when a source that is in trouble was answered last."""
    is_quiet = folder.looked_at is None or folder.state == "watched"
    return "" if is_quiet else f", answered last {folder.looked_at:%Y-%m-%d %H:%M:%S} UTC"


def _since(at: datetime | None) -> str:
    return "" if at is None else f", since {at:%Y-%m-%d %H:%M:%S} UTC"
