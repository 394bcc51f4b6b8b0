"""The page that lets a folder or a source be forgotten which no process shall read any more."""

from sfmc_import.operations import folders, forgetting
from sfmc_import.operations.errors import NotFoundError
from sfmc_import.operations.views import FolderView
from sfmc_server.console.asking import Ask, Moved, Shown


def forget_form(ask: Ask) -> Shown:
    """Say what is forgotten, and what comes back by itself."""
    ask.check_operator()
    return Shown("folder_confirm.html", {"folder": _folder(ask, ask.given("location") or "")})


def forget(ask: Ask) -> Moved:
    """Forget it; an event says who did it."""
    ask.check_operator()
    forgetting.forget_folder(ask.access, ask.written("location") or "", ask.user.name)
    return Moved("/", "forgotten")


def _folder(ask: Ask, location: str) -> FolderView:
    found = [each for each in folders.folders(ask.access.reader) if each.location == location]
    if not found:
        raise NotFoundError(f"no watcher has read a folder {location}")
    return found[0]
