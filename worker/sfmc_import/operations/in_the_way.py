"""What must be started, or read, before a file of one definition can start: processes, the broker, its folders."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sfmc_import.access import ReadAccess
from sfmc_import.display import clause
from sfmc_import.operations import broker
from sfmc_import.operations.folders import sentence, title
from sfmc_import.operations.in_doubt import folders, missing
from sfmc_import.operations.servers import server_troubles
from sfmc_import.operations.views import FolderView, RequestView
from sfmc_import.states import AS_EXPECTED

UNREAD = frozenset({"unseen", "stopped", "hanging", "unreadable", "replaced", "unreachable", "refused"})
"""States of a folder whose files are not read now."""


def in_the_way(access: ReadAccess, events: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Give a sentence for each, without its full stop; the folders are those of the files in these events."""
    away = broker.queue_state(access)["broker"]
    said = [event["data"] for event in events]
    places = {(str(each["file"].get("location")), str(each.get("source", ""))) for each in said if _has_file(each)}
    return (
        *missing(access),
        *(clause(broker.sentence(each)) for each in (away,) if each is not None),
        *(unread_sentence(each) for each in unread(access) if any(_lies_in(each, *place) for place in places)),
    )


def _has_file(data: Mapping[str, Any]) -> bool:
    return isinstance(data.get("file"), Mapping)


def _lies_in(folder: FolderView, location: str, source: str | None) -> bool:
    """Tell whether a file of this place and source lies in a folder, or below it."""
    is_below = location == folder.location or location.startswith(f"{folder.location}/")
    return is_below or (bool(source) and folder.location in {f"source:{source}", f"push:{source}"})


def around_file(access: ReadAccess, request: RequestView) -> tuple[str, ...]:
    """Say what is wrong with the folder in which the file of a request lies, unless its import has completed."""
    if request.file is None or request.state in AS_EXPECTED:
        return ()
    place = (request.file.location, request.source)
    found = folders(access)
    return tuple(_of_file(each) for each in found if each.is_trouble and _lies_in(each, *place))


def _of_file(folder: FolderView) -> str:
    todo = ": ".join(each for each in (folder.advice, folder.command) if each)
    return f"its file lies in {title(folder)}: {sentence(folder)}; to do: {todo}"


def unread(access: ReadAccess) -> Iterator[FolderView]:
    """Yield the folders that are not read now."""
    found = (each for each in folders(access) if each.state in UNREAD)
    # No file lies in a schedule.
    return (each for each in found if not each.location.startswith("schedule:"))


def unread_sentence(folder: FolderView) -> str:
    """Say since when a folder is not read, and what to do."""
    todo = ": ".join(each for each in (folder.advice, folder.command) if each)
    return f"{title(folder)}: {sentence(folder)}: files that lie there are not known here; to do: {todo}"


def said_of_unread(access: ReadAccess, what: str = "it") -> str:
    """Say where a file that is not known may lie; empty where each folder is read, and Redis takes what is said."""
    found = [*unread(access)]
    names = ", ".join(f"{each.folder} ({sentence(each)})" for each in found[:5])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    unread_there = f"; {what} may lie in a folder that is not read now: {names}{more}" if found else ""
    return f"{_said_of_redis(access)}{unread_there}"


def _said_of_redis(access: ReadAccess) -> str:
    refuses = next((each for each in server_troubles(access) if each.server == "Redis"), None)
    if refuses is None:
        return ""
    return f"; {clause(refuses.text)}: no watcher can say which files it holds, and no file becomes a request"
