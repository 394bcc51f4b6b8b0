"""Lets a folder be forgotten that no watcher shall read any more, or that lies on another file system for good."""

from typing import Any

from uuid_utils import uuid7

from sfmc_import.access import ReadAccess
from sfmc_import.advice import with_command
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.operations.errors import ConflictError, NotFoundError
from sfmc_import.operations.folders import folders
from sfmc_import.operations.limits import MAX_TEXT
from sfmc_import.operations.views import View
from sfmc_import.states import FOLDER_FORGOTTEN


class ForgottenView(View):
    """The folder that is remembered no more, until a watcher reads it again."""

    location: str
    forgotten: bool = True


def forget_folder(access: ReadAccess, name: str, operator: str) -> ForgottenView:
    """Forget a folder by its location or its path; an event says who did it. Raises NotFoundError, ConflictError."""
    found = [each for each in access.reader.folders_seen() if name in {each.location, each.folder}]
    if not found:
        advice = with_command("list the folders with", "folders", "list")
        raise NotFoundError(f"no watcher has read a folder {name}", advice)
    _require_unread(access, {each.location for each in found})
    client: Any = access.client
    with redis_errors():
        client.zrem(access.keys.folders, *(each.name for each in found))
    location, mid = found[0].location, access.mid(None)
    said = {"operator": operator[:MAX_TEXT], "location": location}
    access.report(f"forget/{uuid7()}", FOLDER_FORGOTTEN, mid, location, said)
    return ForgottenView(location=location)


def _require_unread(access: ReadAccess, locations: set[str]) -> None:
    """Raise ConflictError if a process reads it: it would say so again. What another file system was may go."""
    views = [each for each in folders(access.reader) if each.location in locations]
    read = [each for each in views if each.watchers]
    if not read or any(each.state == "replaced" for each in views):
        return
    by = ", ".join(dict.fromkeys(name for each in read for name in each.watchers))
    text = f"{read[0].folder} is still read, by {by}: it would be seen again"
    raise ConflictError(text, "stop this process first, or let it read other folders")
