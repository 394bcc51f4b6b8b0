"""Folders that are watched, and those that no watcher reads any more: their state, which files wait in them and why."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any, NamedTuple

from sfmc_import.advice import Command
from sfmc_import.display import date_of, span
from sfmc_import.ledger.ledger_settings import WATCH_SECONDS
from sfmc_import.ledger.reading import LedgerReader, SeenFolder
from sfmc_import.operations import unreadable
from sfmc_import.operations.fixing import Login, fix_for, with_what_follows
from sfmc_import.operations.mounts import changed_mount
from sfmc_import.operations.outdated import said_by
from sfmc_import.operations.views import FolderFileView, FolderView, View, time_of
from sfmc_import.redaction import hidden_in

MOST = 500
"""Folders that one answer has; those in trouble come first."""

HEARD_SECONDS = 20.0
"""A watcher speaks every 15 seconds: what one said before that counts less than what another says now."""

REASONS = {
    "growing": "not complete yet",
    "no_marker": "its marker file is missing",
    "empty": "empty",
    "open": "a program has it open for writing",
    "unmatched": "no definition matches",
    "ambiguous": "several definitions match",
    "refused": "refused",
    "unavailable": "is not looked at: Redis or the list of definitions does not answer",
    "delivering": "is not delivered yet",
    "unreadable": "cannot be read",
    "unnamable": "its name is no text",
    "unmoved": "accepted, and cannot be moved or deleted",
}
STATES = {
    "watched": "watched",
    "hanging": "HANGING: its file system does not answer",
    "unreadable": "CANNOT BE READ",
    "replaced": "ANOTHER FILE SYSTEM than before",
    "unreachable": "DOES NOT ANSWER",
    "not_read": "NO PRODUCER TAKES UP its events",
    "not_taken": "DID NOT TAKE what was posted last, and asked its sender to post it again",
    "held": "HOLDS its events: they are not acknowledged now",
    "failing": "FAILS",
    "undelivered": "ITS FILES ARE NOT DELIVERED",
    "full": "NO ROOM to move accepted files",
    "unmoved": "ACCEPTED FILES STAY: they cannot be moved or deleted",
    "refused": "STOPPED, and not tried again",
    "unseen": "NO WATCHER READS IT",
    "stopped": "its watcher was stopped",
}
ADVICE = {
    "hanging": "see its mount and the server behind it; its files go on by themselves when it answers",
    "unreadable": f"{unreadable.OTHERWISE}; {unreadable.FOLLOWS}",
    "unreachable": "see its server and the network; it is asked again by itself, and its files go on after that",
    "refused": "correct what the text names, then start its process again",
    "not_read": "start the source process of this name; nothing is lost meanwhile, and its files go on after that",
    "not_taken": "see what the text names; what is posted again goes on by itself after that",
    "held": "see what the text names; its events go on by themselves after that, and none is lost",
    "failing": "see what the text names, and the log of beat; its next tick is tried all the same",
    "undelivered": "see the target and what the text names: its server, its disk, or its login (start this process"
    " again after a change of the login, with a shorter lock_out if it shall not wait); its files go on by themselves"
    " after that",
    "full": "make room on that disk; files are imported meanwhile, and are moved by themselves after that",
    "unmoved": "let the watcher move and delete files there, or make room; files are imported meanwhile, and go by"
    " themselves after that",
    "replaced": "mount it again, or let it be forgotten where it lay before",
    "unseen": "start its watcher again, or let it be forgotten if no watcher shall read it any more",
    "stopped": "files in it start nothing until a watcher is started",
}
OF_ANOTHER_KIND = {
    ("push", "unseen"): ("NO SERVER TAKES what is posted", "start the server again"),
    ("push", "stopped"): ("its server was stopped", "what is posted is refused until a server is started"),
    ("schedule", "unseen"): ("NO BEAT RUNS IT", "start a beat again"),
    ("schedule", "stopped"): ("its beat was stopped", "it starts nothing until a beat is started"),
    ("source", "unseen"): ("NO PROCESS READS IT", "start the source process of this name again"),
    ("source", "stopped"): ("its process was stopped", "what comes starts nothing until that process is started"),
}
"""Other words for what no watcher reads: by the kind that its location begins with, and the state."""

_EXPLAIN = "add a [[route]], or correct FileSpec; explain says what matches"
FILE_ADVICE = {
    "no_marker": "let its sender put the marker file beside it",
    "empty": "let its sender send it with its content; an empty file starts nothing",
    "open": "let the program that has it open close it",
    "unmatched": _EXPLAIN,
    "ambiguous": _EXPLAIN,
    "refused": "do what the text names: rename the file, or correct its route",
    "unreadable": unreadable.RIGHT,
    "unnamable": "rename it: its name is no UTF-8",
    "unmoved": "give the watcher the right to move or delete it, or make room where it is moved to",
}
"""What helps a file that waits for itself alone; one that grows or is being delivered goes on by itself."""

_RENAME = "if its rows shall be imported, let its sender send it under the name that FileSpec has, or correct FileSpec"
OF_NEARLY_MATCHED = {
    "date_differs": "Marketing Cloud would import another file now: if its rows shall be imported, let its sender send"
    " it under the name of today; see also SFMC_TIME_ZONE. A [[route]] does not help",
    "case_differs": _RENAME,
    "blanks_differ": _RENAME,
}
"""What helps a file that no definition matches, and one nearly: by the code that its watcher gives."""

_FORGET = ("replaced", "unseen")
"""States that an operator ends who says that it shall be so."""

_HELD_BY_ALL = "unavailable"
"""The reason of files that wait for something that every file needs."""


def _is_held(file: FolderFileView) -> bool:
    """Tell whether a file waits for what other files need too: a backend, or the target that has failed."""
    return file.reason == _HELD_BY_ALL or (file.reason == "delivering" and bool(file.code))


class WaitingFileView(View):
    """A file that has no request yet, and the folders in which files of this name wait."""

    file: str
    folders: tuple[FolderView, ...]


class _Said(NamedTuple):
    """What one watcher says of one folder, and of the list of definitions that it routes by and that is old longest."""

    watcher: str
    seen_at: float
    folder: Mapping[str, Any]
    old: Mapping[str, Any] | None = None

    @property
    def host(self) -> str:
        parts = self.watcher.rsplit(":", 2)
        return parts[0] if len(parts) > 2 else self.watcher


def folders(reader: LedgerReader, login: Login = "", *, named: str | None = None) -> tuple[FolderView, ...]:
    """Give the folders, those in trouble first; with `named` those in which a file of this name waits, and it alone."""
    found = sorted_out(reader.watchers(), reader.folders_seen(), reader.now(), login)
    chosen = found[:MOST] if named is None else with_file(found, named)
    return tuple(FolderView.model_validate(hidden_in(each.model_dump())) for each in chosen)


def with_file(found: Iterable[FolderView], name: str) -> Iterator[FolderView]:
    """Yield the folders in which a file of this name waits, below any subfolder, with these files alone."""
    for each in found:
        files = tuple(file for file in each.files if name in {file.name, file.name.rpartition("/")[2]})
        if files:
            yield each.model_copy(update={"files": files})


def sorted_out(
    watchers: Sequence[Mapping[str, Any]], seen: Sequence[SeenFolder], now: float, login: Login = ""
) -> tuple[FolderView, ...]:
    """Bring together what watchers say now, and what is remembered of folders that none of them reads."""
    living = [each for each in watchers if now - each["seen_at"] < WATCH_SECONDS]
    said = [
        _Said(each["watcher"], each["seen_at"], folder, old)
        for each in living
        for old in (min(said_by(each), key=lambda old: float(old["since"]), default=None),)
        for folder in each["folders"]
    ]
    views = [*_read_now(said, seen, now, login), *_read_no_more({each.folder["location"] for each in said}, seen)]
    return tuple(sorted(views, key=lambda each: (not each.is_trouble, each.location, each.state)))


def _read_now(said: Iterable[_Said], seen: Sequence[SeenFolder], now: float, login: Login) -> Iterator[FolderView]:
    """Yield each folder, in each state in which a watcher sees it, once."""
    named = sorted(((_named(each, seen), each) for each in said), key=lambda pair: pair[0][:2])
    for (location, state), pairs in groupby(named, key=lambda pair: pair[0][:2]):
        group = list(pairs)
        yield _view((location, state), [each for _, each in group], group[0][0].before, now, login)


class _Named(NamedTuple):
    location: str
    state: str
    before: SeenFolder | None


def _named(said: _Said, seen: Sequence[SeenFolder]) -> _Named:
    folder = said.folder
    before = changed_mount(folder.get("mount") or "", said.host, folder["location"], seen)
    state = "replaced" if before and folder["state"] == "watched" else folder["state"]
    return _Named(folder["location"], state, before)


def _silence(seconds: float) -> str:
    return f", but not heard of for {span(seconds)}" if seconds >= HEARD_SECONDS else ""


def _view(
    place: tuple[str, str], group: Sequence[_Said], before: SeenFolder | None, now: float, login: Login
) -> FolderView:
    location, state = place
    newest = max(each.seen_at for each in group)
    heard = [each for each in group if newest - each.seen_at < HEARD_SECONDS]
    # Of two watchers the one with more to say: the other has just begun.
    said = max(heard, key=lambda each: len(each.folder["files"]))
    folder, files = said.folder, tuple(_file(each, said.old, login) for each in said.folder["files"])
    text, since = folder.get("text") or "", folder.get("since")
    if state == "replaced" and before is not None:
        text, since = f"until then it was {before.mount}, now it is {folder['mount']}", before.seen_at
    is_held = any(map(_is_held, files))
    return FolderView(
        folder=folder["folder"],
        location=location,
        state=state,
        text=f"{STATES.get(state, state)}{f' ({text})' if text else ''}{_silence(now - newest)}",
        since=time_of(since),
        until=time_of(folder.get("until")),
        seen_at=date_of(newest),
        looked_at=time_of(folder.get("looked_at")),
        watchers=tuple(sorted(each.watcher for each in heard)),
        is_trouble=state != "watched" or is_held,
        advice=_advice_of(state, folder.get("text") or "") or (_advice_for(files, login) if is_held else None),
        command=_command(state, location),
        waiting=len(files) + folder["more"],
        files=files,
        more=folder["more"],
    )


def _advice_of(state: str, text: str) -> str | None:
    return unreadable.advice_for_folder(text) if state == "unreadable" else ADVICE.get(state)


def _advice_of_file(said: Mapping[str, Any]) -> str | None:
    reason = said["reason"]
    if reason == "unmatched" and said.get("code") in OF_NEARLY_MATCHED:
        return OF_NEARLY_MATCHED[said["code"]]
    return unreadable.advice_for_file(said.get("text") or "") if reason == "unreadable" else FILE_ADVICE.get(reason)


BY_THE_LIST = ("unmatched", "ambiguous")
"""Reasons that a list of definitions gives."""

AN_OLD_LIST = ", by a list of definitions that cannot be read anew"


def by_an_old_list(file: FolderFileView, code: str, login: Login) -> FolderFileView:
    """Advise what helps against the failure for which a list cannot be read anew: the list may lack the definition."""
    if file.code in OF_NEARLY_MATCHED:
        return file
    advice = with_what_follows(fix_for(code, login), "the file is looked at again by itself")
    return file.model_copy(update={"advice": advice})


def _file(said: Mapping[str, Any], old: Mapping[str, Any] | None, login: Login) -> FolderFileView:
    reason, more = REASONS.get(said["reason"], said["reason"]), said.get("text")
    text = f"{reason} ({more})" if more else reason
    is_old = old is not None and said["reason"] in BY_THE_LIST
    if old is not None and is_old:
        text += f"{AN_OLD_LIST} since {date_of(old['since']):%Y-%m-%d %H:%M:%S} UTC"
    about = {"name": said["name"], "reason": said["reason"], "text": text, "since": time_of(said.get("since"))}
    about |= {"until": time_of(said.get("until")), "advice": _advice_of_file(said)}
    view = FolderFileView(**about, size=said.get("size"), code=said.get("code"))
    return by_an_old_list(view, old["code"], login) if old is not None and is_old else view


def _advice_for(files: Iterable[FolderFileView], login: Login) -> str:
    held = [each for each in files if _is_held(each)]
    if all(each.reason == "delivering" for each in held):
        return ADVICE["undelivered"]
    code = next((each.code for each in held if each.reason == _HELD_BY_ALL and each.code), "")
    return with_what_follows(fix_for(code, login), "the files go on by themselves")


def _read_no_more(read_now: set[str], seen: Sequence[SeenFolder]) -> Iterator[FolderView]:
    newest = {each.location: each for each in sorted(seen, key=lambda each: each.seen_at)}
    for location in newest.keys() - read_now:
        last = newest[location]
        state = "stopped" if last.has_stopped else "unseen"
        text, advice = _words(location, state)
        yield FolderView(
            folder=last.folder,
            location=location,
            state=state,
            text=f"{text} (it was {'read' if text == STATES[state] else 'run'} last on {last.host})",
            since=date_of(last.seen_at),
            seen_at=date_of(last.seen_at),
            is_trouble=state == "unseen",
            advice=advice,
            command=_command(state, location),
        )


def _words(location: str, state: str) -> tuple[str, str]:
    """Say what a state means, and what to do."""
    found = OF_ANOTHER_KIND.get((location.partition(":")[0], state))
    if found is None:
        return STATES[state], ADVICE[state]
    text, advice = found
    return text, f"{advice}, or let it be forgotten if none shall run it any more" if state == "unseen" else advice


def _command(state: str, location: str) -> str | None:
    return str(Command(("folders", "forget", location))) if state in _FORGET else None


def title(folder: FolderView) -> str:
    """Name it in a sentence; a source that is no folder is named as one."""
    return folder.folder if folder.location.startswith(NO_FOLDERS) else f"folder {folder.folder}"


NO_FOLDERS = ("source:", "push:", "schedule:")
"""What the locations of sources begin with that are no folders: of a process, of a server, of a beat."""


def readers(watchers: Iterable[str]) -> list[str]:
    """Give who reads a folder: processes of one host, or of one token, are named behind it, and it once."""
    found: dict[str, list[str]] = {}
    for each in watchers:
        host, number, rest = each.rsplit(":", 2) if each.count(":") >= 2 else (each, "", "")
        found.setdefault(host, []).append(f"{number}:{rest}" if number else "")
    return [_reader(*pair) for pair in found.items()]


def _reader(host: str, processes: Sequence[str]) -> str:
    if len(processes) > 1:
        return f"{host} ({', '.join(processes)})"
    return f"{host}:{processes[0]}" if processes[0] else host


def sentence(folder: FolderView) -> str:
    """Say in what state a folder is and since when; and of one that is read, which files cannot go on and why."""
    since = "" if folder.since is None else f", since {folder.since:%Y-%m-%d %H:%M:%S} UTC"
    held = min(filter(_is_held, folder.files), key=lambda each: each.reason != _HELD_BY_ALL, default=None)
    if folder.state != "watched" or held is None:
        return f"{folder.text}{since}{tried_again(folder)}"
    at = "" if held.since is None else f", since {held.since:%Y-%m-%d %H:%M:%S} UTC"
    known = f"; {NOT_KNOWN_YET}" if held.reason == _HELD_BY_ALL else ""
    return f"{_held_files(folder, held)}{at}{tried_again(held)}{known}"


NOT_KNOWN_YET = "which of them have a request already is not known before"


def _held_files(folder: FolderView, held: FolderFileView) -> str:
    """Say how many files wait for the same reason, and what it is."""
    same = [each for each in folder.files if each.reason == held.reason and _is_held(each)]
    number = folder.waiting if len(same) == len(folder.files) else len(same)
    more = " or more" if folder.more and number < folder.waiting else ""
    is_one, said = number == 1 and not more, held.text.removeprefix("is ")
    return f"{number}{more} file{'' if is_one else 's'} in it {'is' if is_one else 'are'} {said}"


def tried_again(of: FolderFileView | FolderView) -> str:
    """Say when a file or a source is tried again, where that is known; it goes on as long as it is necessary."""
    if of.until is not None and isinstance(of, FolderFileView) and of.reason == "growing":
        return f", complete at {of.until:%H:%M:%S} UTC if it does not change"
    if of.until is not None and isinstance(of, FolderView) and of.state == "watched":
        # It is said as a number of seconds from now, so it is a little off.
        return f", next at {of.until + timedelta(seconds=0.5):%Y-%m-%d %H:%M:%S} UTC"
    return "" if of.until is None else f", tried again at {of.until:%H:%M:%S} UTC, and on without an end"
