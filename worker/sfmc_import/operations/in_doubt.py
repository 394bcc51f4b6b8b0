"""What is not known while Redis takes no writes: who lives says so by writing, and cannot say it then."""

from collections.abc import Iterable

from sfmc_import.access import ReadAccess
from sfmc_import.operations import folders as watched
from sfmc_import.operations.budgets import with_budgets_of_watchers
from sfmc_import.operations.causes import with_cause
from sfmc_import.operations.fixing import login_of
from sfmc_import.operations.open_circuits import open_circuits
from sfmc_import.operations.outdated import logins_by_watcher
from sfmc_import.operations.servers import server_troubles
from sfmc_import.operations.stale_lists import marked
from sfmc_import.operations.views import FolderView

NOT_KNOWN = "NOT KNOWN: its process cannot say that it lives while Redis takes no writes"
LET_IT_WRITE = "let Redis take writes again; its process speaks by itself then, if it runs"


def missing(access: ReadAccess) -> tuple[str, ...]:
    """Say which kinds of process do not run, or that this is not known."""
    found = access.reader.running()
    return found.unknown if found.missing and takes_no_writes(access) else found.missing


def folders(access: ReadAccess, named: str | None = None) -> tuple[FolderView, ...]:
    """Give the folders as `operations.folders` does, with what is in doubt of them."""
    login = login_of(access.settings)
    found = with_cause(access, watched.folders(access.reader, login, named=named))
    if any(each.state == "unseen" for each in found) and takes_no_writes(access):
        found = doubted(found)
    if not any(each.files for each in found):
        return found
    found = with_budgets_of_watchers(found, access.reader.now(), access.settings.time_zone)
    return marked(found, open_circuits(access), login, logins_by_watcher(access.reader.watchers()))


def doubted(found: Iterable[FolderView]) -> tuple[FolderView, ...]:
    """Say of each folder of which nothing was heard that its watcher may run all the same."""
    said = {"text": NOT_KNOWN, "advice": LET_IT_WRITE, "command": None}
    return tuple(each.model_copy(update=said) if each.state == "unseen" else each for each in found)


def takes_no_writes(access: ReadAccess) -> bool:
    """Tell whether the Redis of the ledger refuses what processes write."""
    return any(each.server == "Redis" for each in server_troubles(access))
