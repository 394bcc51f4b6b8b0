"""Lists of definitions that may be old although no watcher says so: while no call is made, none is read anew."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from sfmc_import.access import ReadAccess
from sfmc_import.operations.fixing import Login, fix_for, login_of, with_what_follows
from sfmc_import.operations.folders import AN_OLD_LIST, BY_THE_LIST, by_an_old_list
from sfmc_import.operations.open_circuits import OpenCircuit, open_circuits
from sfmc_import.operations.outdated import OldDefinitionsView, living, logins_by_watcher, old_definitions
from sfmc_import.operations.views import FolderView, time_of
from sfmc_import.redaction import hidden


def marked(
    found: Iterable[FolderView], circuits: Sequence[OpenCircuit], login: Login, readers: Mapping[str, str]
) -> tuple[FolderView, ...]:
    """Say of each file that a list of definitions decided about since when none is read, and for what failure.

    `readers` gives the id of the login with which each watcher reads it, empty where that is not known.
    """
    return tuple(_said_of(each, circuits, login, [readers.get(name, "") for name in each.watchers]) for each in found)


def _said_of(folder: FolderView, circuits: Sequence[OpenCircuit], login: Login, readers: Sequence[str]) -> FolderView:
    known = [each for each in circuits if _keeps_lists_old(each, readers)]
    first = min(known, key=lambda each: each.since or 0.0, default=None)
    return folder if first is None else _marked(folder, first, login)


def _keeps_lists_old(circuit: OpenCircuit, readers: Collection[str]) -> bool:
    """Tell whether one of these logins may read no list; of one that none tries any more none is kept."""
    if circuit.since is None or (circuit.is_of_login and circuit.is_untried):
        return False
    # What fails for a login of other processes makes no list old here.
    is_known = circuit.is_of_login and bool(circuit.login) and bool(readers) and "" not in readers
    return not is_known or circuit.login in readers


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
    said = old_definitions(access.reader, login, access.settings.time_zone)
    left = dict.fromkeys(each for each in mids if each and each not in {old.mid for old in said})
    readers = {*logins_by_watcher(living(access.reader)).values()} if left else set()
    circuits = [each for each in open_circuits(access) if _keeps_lists_old(each, readers)] if left else []
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
