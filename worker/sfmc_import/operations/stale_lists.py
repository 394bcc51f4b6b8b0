"""Lists of definitions that may be old although no watcher says so: while no call is made, none is read anew."""

from collections.abc import Iterable, Sequence

from sfmc_import.access import ReadAccess
from sfmc_import.operations.fixing import Login, fix_for, login_of, with_what_follows
from sfmc_import.operations.folders import AN_OLD_LIST, BY_THE_LIST, by_an_old_list
from sfmc_import.operations.open_circuits import OpenCircuit, open_circuits
from sfmc_import.operations.outdated import OldDefinitionsView, old_definitions
from sfmc_import.operations.views import FolderView, time_of
from sfmc_import.redaction import hidden


def marked(found: Iterable[FolderView], circuits: Sequence[OpenCircuit], login: Login) -> tuple[FolderView, ...]:
    """Say of each file that a list of definitions decided about since when none is read, and for what failure."""
    known = [each for each in circuits if _keeps_lists_old(each)]
    first = min(known, key=lambda each: each.since or 0.0, default=None)
    return tuple(found) if first is None else tuple(_marked(each, first, login) for each in found)


def _keeps_lists_old(circuit: OpenCircuit) -> bool:
    """Tell whether a process that lives may read no list; of a login that none tries any more none is kept."""
    return circuit.since is not None and not (circuit.is_of_login and circuit.is_untried)


def _marked(folder: FolderView, circuit: OpenCircuit, login: Login) -> FolderView:
    text = f"; the list of definitions may be old: calls fail since {time_of(circuit.since):%Y-%m-%d %H:%M:%S} UTC"
    said = f"{text} (code {circuit.code})"
    files = tuple(
        by_an_old_list(each.model_copy(update={"text": each.text + said}), circuit.code, login)
        if each.reason in BY_THE_LIST and AN_OLD_LIST not in each.text
        else each
        for each in folder.files
    )
    return folder.model_copy(update={"files": files})


def lists_that_may_be_old(access: ReadAccess, mids: Iterable[str]) -> tuple[OldDefinitionsView, ...]:
    """Give those that processes say to be old, and those of these business units while no call is made."""
    login = login_of(access.settings)
    said = old_definitions(access.reader, login)
    left = dict.fromkeys(each for each in mids if each and each not in {old.mid for old in said})
    circuits = [each for each in open_circuits(access) if _keeps_lists_old(each)] if left else []
    held = ((mid, next((each for each in circuits if each.holds(mid)), None)) for mid in left)
    return (*said, *(_view(mid, each, login) for mid, each in held if each is not None))


def _view(mid: str, circuit: OpenCircuit, login: Login) -> OldDefinitionsView:
    since = time_of(circuit.since)
    assert since is not None
    by = f" (failed for {circuit.by})" if circuit.by else ""
    return OldDefinitionsView(
        mid=mid,
        since=since,
        code=circuit.code,
        text=f"{hidden(circuit.text) or 'calls fail'}{by}",
        advice=with_what_follows(fix_for(circuit.code, login), "they are read anew by themselves"),
    )
