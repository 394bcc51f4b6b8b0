"""Why a file that would start something starts nothing yet, as its file system or its watcher shows it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from sfmc_import.ledger.reading import SeenFolder
from sfmc_import.operations.folders import REASONS, sorted_out
from sfmc_import.operations.views import FolderView
from sfmc_import.request import FileInfo
from sfmc_producers.file_systems import file_systems_of
from sfmc_producers.listing import look_again, reason_of
from sfmc_producers.mounts import is_network
from sfmc_producers.sources.explaining import Decided, Explained, moment
from sfmc_producers.stability import NETWORK_SECONDS, FileStat, StabilityRule

SAID = frozenset({"growing", "no_marker", "empty", "open", "unreadable", "unavailable", "delivering"})
"""Reasons of a watcher that keep a file from its request for a while; of the others the rules and the ledger know."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """Why it waits, since when, and when it is complete at the earliest, in seconds since 1970."""

    reason: str
    text: str
    since: float | None = None
    until: float | None = None


class Watchers(Protocol):
    """What is read of the ledger."""

    def now(self) -> float:
        """Redis time in seconds since 1970."""
        ...

    def watchers(self) -> Sequence[Mapping[str, Any]]:
        """Give what each watcher says of its folders."""
        ...

    def folders_seen(self) -> Sequence[SeenFolder]:
        """Give what is remembered of folders."""
        ...


def not_yet(
    file: FileInfo, watchers: Watchers, *, source: str | None, rule: StabilityRule | None, here: Path | None
) -> NotYet | None:
    """Say why a file starts nothing yet; None where nothing says that.

    `here` is where it can be looked at, `rule` that of its source, and `source` the name of that.
    """
    said = _said_by_watchers(file, watchers, source)
    found = None if here is None else _looked_at(here, rule)
    if found is None and file.size == 0 and (rule is None or rule.empty == "skip"):
        found = NotYet("empty", REASONS["empty"])
    if found is None or said is None:
        return found or said
    # The watcher knows since when, the file system until when.
    return NotYet(found.reason, found.text, said.since, found.until or said.until)


def held(explained: Explained, found: NotYet | None) -> Explained:
    """Give an explanation with why nothing of it follows yet; one of a file that would start nothing stays."""
    decision = explained.decision
    if found is None or decision.what not in {"start", "wait"}:
        return explained
    since = "" if found.since is None else f", since {moment(found.since)}"
    until = "" if found.until is None else moment(found.until)
    again = f", until {until} at the earliest" if until else ""
    if found.reason == "empty":
        said = Decided(what="nothing", reason="empty", text=f"nothing is started: it is empty{since}")
    else:
        text = f"waits: {found.text} ({found.reason}){since}{again}; after that: {decision.text}"
        said = Decided(what="wait", reason=found.reason, until=until or None, text=text)
    # The id of a request has the size and the time of its file, and those are not the last ones.
    return replace(explained, decision=said, request_id=None)


def _said_by_watchers(file: FileInfo, watchers: Watchers, source: str | None) -> NotYet | None:
    for folder in sorted_out(watchers.watchers(), watchers.folders_seen(), watchers.now()):
        name = _name_in(folder, file, source)
        for each in () if name is None else folder.files:
            if each.name == name and each.reason in SAID:
                since = None if each.since is None else each.since.timestamp()
                return NotYet(each.reason, each.text, since, None if each.until is None else each.until.timestamp())
    return None


def _name_in(folder: FolderView, file: FileInfo, source: str | None) -> str | None:
    """Give the name that a file would have in what is said of a folder; None for a file that does not lie there."""
    if source is not None and folder.location == f"source:{source}":
        within = folder.folder.partition(" (")[2].removesuffix(")")
        return _below(within, file) or file.name
    return _below(folder.location, file)


def _below(location: str, file: FileInfo) -> str | None:
    if file.location == location:
        return file.name
    is_below = file.location.startswith(f"{location}/")
    return f"{file.location.removeprefix(f'{location}/')}/{file.name}" if location and is_below else None


def _looked_at(path: Path, given: StabilityRule | None) -> NotYet | None:
    """Look at it as a watcher would, once."""
    rule = given or _usual_rule(path)
    try:
        status = path.stat()
    except OSError as error:
        return NotYet("unreadable", f"{REASONS['unreadable']} ({reason_of(error)})")
    changed_at = status.st_ctime
    if time.time() - changed_at < rule.seconds:
        return NotYet("growing", REASONS["growing"], changed_at, changed_at + rule.seconds)
    if rule.marker is not None and not Path(f"{path}{rule.marker}").exists():
        return NotYet("no_marker", f"{REASONS['no_marker']} ({path.name}{rule.marker})", changed_at)
    if status.st_size == 0 and rule.empty == "skip":
        return NotYet("empty", REASONS["empty"], changed_at)
    return _opened(path, FileStat(path.name, status.st_size, status.st_mtime_ns, status.st_ctime_ns), rule)


def _opened(path: Path, seen: FileStat, rule: StabilityRule) -> NotYet | None:
    look = look_again(path, seen, open_files=rule.open_files)
    if look.outcome in {"unchanged", "gone"}:
        return None
    reason = "growing" if look.outcome == "changed" else look.outcome
    return NotYet(reason, f"{REASONS[reason]}{f' ({look.text})' if look.text else ''}")


def _usual_rule(path: Path) -> StabilityRule:
    kinds = file_systems_of(path.parent, recursive=False).kinds
    return StabilityRule(seconds=NETWORK_SECONDS, open_files="run") if any(map(is_network, kinds)) else StabilityRule()
