"""What must be started, or read, before a file of one definition can start: processes, the broker, its folders."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sfmc_import.access import ReadAccess
from sfmc_import.display import clause
from sfmc_import.operations import broker
from sfmc_import.operations.folders import folders, sentence, title
from sfmc_import.operations.views import FolderView

UNREAD = frozenset({"unseen", "stopped", "hanging", "unreadable", "replaced", "unreachable", "refused"})
"""States of a folder whose files are not read now."""


def in_the_way(access: ReadAccess, events: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Give a sentence for each, without its full stop; the folders are those of the files in these events."""
    away = broker.queue_state(access)["broker"]
    files = (event["data"].get("file") for event in events)
    places = {str(file.get("location")) for file in files if isinstance(file, Mapping)}
    return (
        *access.reader.running().missing,
        *(clause(broker.sentence(each)) for each in (away,) if each is not None),
        *(unread_sentence(each) for each in unread(access) if each.location in places),
    )


def unread(access: ReadAccess) -> Iterator[FolderView]:
    """Yield the folders that are not read now."""
    found = (each for each in folders(access.reader) if each.state in UNREAD)
    # No file lies in a schedule.
    return (each for each in found if not each.location.startswith("schedule:"))


def unread_sentence(folder: FolderView) -> str:
    """Say since when a folder is not read, and what to do."""
    todo = ": ".join(each for each in (folder.advice, folder.command) if each)
    return f"{title(folder)}: {sentence(folder)}: files that lie there are not known here; to do: {todo}"


def said_of_unread(access: ReadAccess) -> str:
    """Say where a file that is not known may lie; empty where each folder is read."""
    found = [each for each in unread(access) if each.is_trouble]
    names = ", ".join(f"{each.folder} ({sentence(each)})" for each in found[:5])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return f"; it may lie in a folder that is not read now: {names}{more}" if found else ""
