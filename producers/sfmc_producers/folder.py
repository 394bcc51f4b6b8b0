"""Scans one folder, waits until files are stable, routes and submits them; what it remembers is only a cache."""

import io
import os
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import structlog

from sfmc_import.client import SubmitResult
from sfmc_import.request import FileInfo
from sfmc_import.routing import AmbiguousRoute, Routed, Unrouted
from sfmc_producers.checked_files import OpenContent, Refused, open_regular
from sfmc_producers.clocks import Clocks
from sfmc_producers.delivery.content import LocalFile
from sfmc_producers.delivery.records import Held
from sfmc_producers.file_systems import MOUNTINFO, file_systems_of
from sfmc_producers.hidden_names import is_hidden
from sfmc_producers.listing import LastLook, Listing, Progress, list_folder, list_named, look_again, reason_of, shown
from sfmc_producers.mounts import is_network
from sfmc_producers.next_looks import NextLooks, with_markers
from sfmc_producers.preflight import LARGEST_PART
from sfmc_producers.removals import Removals, Stuck
from sfmc_producers.removing import After, Remover
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.intake import Answer, Intake, is_unchecked
from sfmc_producers.stability import (
    NETWORK_SECONDS,
    FileStat,
    Reason,
    ScanResult,
    StabilityRule,
    TrackedFile,
    WaitingFile,
    evaluate,
    pause,
)
from sfmc_producers.submitter import InvalidRequest, Submitter
from sfmc_producers.undecided import Undecided, alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What to watch and how.

    `location` is what stands for the folder in the identity of its files: by default its absolute path, a name of
    one's own where the same folder is mounted at different places. With `key` every file starts that definition and
    nothing is routed; only names that `pattern` matches (a glob, upper and lower case differ) are looked at.
    `network_seconds` takes the place of the seconds of the rule on a network file system. `source` is what requests
    name as their source; `after` says what becomes of a file when the ledger has its request.
    """

    path: Path
    location: str
    mid: str | None = None
    key: str | None = None
    pattern: str = "*"
    recursive: bool = False
    rule: StabilityRule = field(default_factory=StabilityRule)
    network_seconds: float = NETWORK_SECONDS
    source: str | None = None
    after: After = field(default_factory=After)

    def is_named(self, last: str) -> bool:
        """Tell whether a file of this name, without its folders, is looked at."""
        return fnmatchcase(last, self.pattern) and not is_hidden(last)

    def rule_on(self, *, is_network: bool) -> StabilityRule:
        """Give the rule; a network file system refuses leases, so it cannot say who has a file open."""
        return replace(self.rule, seconds=self.network_seconds, open_files="run") if is_network else self.rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Since when a folder cannot be listed, in the watcher's seconds, and why."""

    since: float
    text: str


TOGETHER, TOGETHER_SECONDS = 250, 0.1
"""How many files are submitted together, and how long after the last look at the first of them at most."""

MOST_UNCONFIRMED = 5000
"""Files of one look whose requests are confirmed together at most, and then removed."""

DELIVERING_SECONDS = 1.0
"""How long after a look the next one asks what became of a delivery."""

LATER_SECONDS = 0.0005
"""A look a little too early would cost a whole pause."""


class FolderScanner:
    """Scans one folder. A file is done only when the ledger has it, so whatever fails is tried again.

    One thread scans; others may read `progress`, `waiting_now`, `outage`, `stuck` and `mount` (see `mount_of`).
    `mountinfo` names the mounts of this system, `wall` is the clock that dates ctime on a local file system.
    """

    def __init__(
        self,
        folder: Folder,
        submitter: Submitter,
        clock: Callable[[], float],
        mountinfo: Path = MOUNTINFO,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.folder, self._submitter, self._clock, self._mountinfo = folder, submitter, clock, mountinfo
        self._clocks, self._looks = Clocks(wall), NextLooks()
        self._together, self._together_since = list[tuple[FileStat, Arrival, Routed]](), 0.0
        self._answered: list[tuple[FileStat, Routed, Answer]] = []
        self._log = structlog.get_logger("sfmc_producers.folder").bind(folder=str(folder.path))
        self._seen: dict[str, TrackedFile] = {}
        self._done: dict[str, FileStat] = {}
        self._refused: dict[str, str] = {}
        self._kept, self._logged = dict[str, None](), dict[str, object]()
        self._held: dict[str, WaitingFile] = {}
        self._alone = partial(alone, logged=self._logged, log=self._log, hold=self._hold)
        source = folder.source or f"folder:{folder.location}"
        self._intake = Intake(source, submitter, mid=folder.mid, key=folder.key, folder=str(folder.path))
        self.progress, self._undecided = Progress(clock), Undecided(clock)
        remover = Remover(folder.path, folder.after, folder.rule.marker)
        self._removals = Removals(remover, self.progress, clock, self._log)
        self.waiting: tuple[WaitingFile, ...] = ()
        self.outage: Outage | None = None
        self.is_network, self.mount = False, ""
        self.identity: object = None
        """What tells this folder from another at the same path, after a mount or a removal."""

    @property
    def stuck(self) -> Stuck | None:
        """Since when accepted files can be neither moved nor deleted, and why."""
        return self._removals.stuck

    def scan(self) -> float | None:
        """Scan once and submit stable files; returns the seconds until a further look can find a stable file."""
        try:
            return self._scan()
        finally:
            self.progress.answered()

    def look(self, names: Iterable[str]) -> float | None:
        """Look at these files, and at those whose time has come, and at no others; returns what `scan` does.

        All files are scanned where that would say too little: after an outage, on a network file system, which shows
        old attributes of single files, and when something else is mounted there.
        """
        try:
            return self._scan() if self._needs_scan() else self._look(names)
        finally:
            self.progress.answered()

    @property
    def waiting_now(self) -> tuple[WaitingFile, ...]:
        """What waits, also while a look waits for the definitions."""
        return self._undecided.among(self.waiting, self._seen)

    def _needs_scan(self) -> bool:
        before, path = self.identity, self.folder.path
        if self.outage is not None or before is None or self.is_network:
            return True
        try:
            self.progress.at(str(path))
            self._recognize(os.stat(path))  # noqa: PTH116 - the plain call, as in scandir
        except OSError:
            return True
        return self.is_network or self.identity != before

    def _look(self, names: Iterable[str]) -> float | None:
        wanted = with_markers(self._looks.take(self._clock()) | set(names), self.folder.rule.marker)
        looked = {name for name in wanted if self._is_wanted(name)}
        if looked:
            listing = list_named(self.folder.path, sorted(looked), self.progress)
            before = {name: self._held.pop(name) for name in looked if name in self._held}
            self._take(listing, before, looked)
        return self._looks.next_in(self._clock())

    def _scan(self) -> float | None:
        begun = self._clock()
        listing = self._list()
        if listing is None:
            return None
        before, self._held = self._held, {}
        self._finish_removals(listing, before)
        self._take(listing, before, None)
        self._clocks.scanned(begun)
        return self._looks.next_in(self._clock())

    def _take(self, listing: Listing, before: dict[str, WaitingFile], looked: Collection[str] | None) -> None:
        """Bring the files of a listing as far as possible; `looked` are those it was made for, None for all."""
        # A scan that broke off leaves some behind: their last look is long ago.
        self._together, self._answered = [], []
        self._hold_unreadable(listing, before)
        files = [each for each in listing.files if self._is_wanted(each.name)]
        known = self._seen if looked is None else {name: self._seen[name] for name in looked if name in self._seen}
        now = self._clock()
        dating = None if self.is_network else self._clocks.look(now)
        taken = evaluate(known, files, now, self._rule(), dating)
        self._remember(taken, listing, looked)
        self._plan(taken, now, is_whole=looked is None)
        for each in taken.waiting:
            self._hold_unfinished(each)
        # The oldest first, so that follow-ups of one definition come in the order of arrival.
        for file in self._undecided.each(sorted(taken.stable, key=lambda file: (file.modified_ns, file.name))):
            with self._alone(file):
                self._bring(file)
        self._submit_together()
        self._confirm()
        self.waiting = tuple(self._held.values())
        self._removals.end(is_anything_left=any(each.reason == "unmoved" for each in self.waiting))

    def _plan(self, taken: ScanResult, now: float, *, is_whole: bool) -> None:
        rule = self._rule()
        begin = now + LATER_SECONDS
        looks = [(begin + pause(each, now, rule), name) for name, each in taken.seen.items() if not each.is_stable]
        if is_whole:
            self._looks.replace(looks)
        else:
            for at, name in looks:
                self._looks.add(at, name)

    def _list(self) -> Listing | None:
        path = self.folder.path
        try:
            self.progress.at(str(path))
            self._recognize(os.stat(path))  # noqa: PTH116 - the plain call, as in scandir
            listing = list_folder(path, self.progress, recursive=self.folder.recursive)
        except OSError as error:
            if self.outage is None:
                self.outage = Outage(since=self._clock(), text=reason_of(error))
                self._log.error("folder_unreadable", reason=reason_of(error), action="waiting")
            # What happened meanwhile is unknown, so every file must become stable again.
            self._seen, self._held, self.waiting, self.identity = {}, {}, (), None
            self._clocks.forget()
            self._looks.replace(())
            return None
        finally:
            self.progress.answered()
        if self.outage is not None:
            self._log.info("folder_readable_again")
        self.outage = None
        return listing

    def _recognize(self, status: os.stat_result) -> None:
        """Find out whether this is a network file system: at first, and when another is mounted there."""
        identity = (status.st_dev, status.st_ino)
        if identity == self.identity and not self.folder.recursive:
            return
        self.identity = identity
        kinds, mount = file_systems_of(self.folder.path, self._mountinfo, recursive=self.folder.recursive)
        self._note_mount(mount)
        was_network, self.is_network = self.is_network, any(map(is_network, kinds))
        if self.is_network and not was_network:
            seconds = self._rule().seconds
            self._log.info("network_folder_recognized", file_systems=sorted(set(kinds)), stable_seconds=seconds)

    def _note_mount(self, mount: str) -> None:
        if self.mount and mount != self.mount:
            self._log.warning("folder_on_other_file_system", before=shown(self.mount), now=shown(mount))
        self.mount = mount

    def _rule(self) -> StabilityRule:
        return self.folder.rule_on(is_network=self.is_network)

    def _is_wanted(self, name: str) -> bool:
        marker = self.folder.rule.marker
        last = name.rpartition("/")[2]
        is_marker = marker is not None and last.endswith(marker)
        return is_marker or self.folder.is_named(last)

    def _bring(self, file: FileStat) -> None:
        if self._done.get(file.name) != file:
            self._on_stable_file(file)
        elif file.name in self._refused:
            self._hold(file, "refused", self._refused[file.name])
        elif file.name not in self._kept:
            self._remove(file)

    def _on_stable_file(self, file_stat: FileStat) -> None:
        """Bring one finished file as far as possible; what is not done now comes again with the next scan."""
        file_info, since = describe_file(self.folder, file_stat), self._submitter.moment
        with self._undecided.asking(file_stat.name):
            routing = self._intake.route(Arrival(file=file_info))
        if isinstance(routing, Routed) and not self._submitter.is_ledger_waiting:
            self._look_and_submit(file_stat, file_info, routing)
        elif isinstance(routing, (Unrouted, AmbiguousRoute)):
            self._report(file_stat, file_info, routing, since)
        else:
            self._hold_unavailable(file_stat)

    def _report(
        self, file_stat: FileStat, file_info: FileInfo, routing: Unrouted | AmbiguousRoute, since: float
    ) -> None:
        if isinstance(routing, Unrouted):
            self._hold(file_stat, "unmatched", routing.text, routing.reason)
        else:
            self._hold(file_stat, "ambiguous", routing.text)
        state = (file_stat, routing)
        if self._logged.get(file_stat.name) != state and self._intake.report(Arrival(file=file_info), routing, since):
            self._logged[file_stat.name] = state

    def _look_and_submit(self, file_stat: FileStat, file_info: FileInfo, target: Routed) -> None:
        path = self.folder.path / file_stat.name
        self.progress.at(str(path))
        look = look_again(path, file_stat, open_files=self._rule().open_files)
        self.progress.answered()
        if look.outcome == "unchanged":
            self._offer(file_stat, replace(file_info, content_hash=look.content_hash), target)
        else:
            self._on_look(file_stat, look)

    def _on_look(self, file_stat: FileStat, look: LastLook) -> None:
        state = (look.outcome, file_stat)
        if look.outcome == "gone":
            self._log_once(file_stat.name, state, "file_gone_before_submit", reason=look.text)
        elif look.outcome == "unreadable":
            self._hold(file_stat, "unreadable", look.text)
            self._log_once(file_stat.name, state, "entry_unreadable", reason=look.text)
        elif look.outcome == "open":
            self._hold(file_stat, "open", look.text)
            if self._logged.get(file_stat.name) != state:
                self._log.info("file_open_for_writing", file=file_stat.name, action="waiting")
            self._logged[file_stat.name] = state
        else:
            self._hold(file_stat, "growing")

    def _offer(self, file_stat: FileStat, file_info: FileInfo, target: Routed) -> None:
        """Submit a file together with the next ones, unless its route looks into it or delivers it."""
        path = self.folder.path / file_stat.name
        if not is_unchecked(target):
            self._submit_together()
            content: OpenContent = (
                partial(LocalFile, path, file_stat) if target.deliver else partial(self._beginning, path)
            )
            arrival = Arrival(file=file_info, open_content=content)
            self._note_answer(file_stat, target, self._intake.offer(arrival, target))
            return
        if not self._together:
            self._together_since = self._clock()
        self._together.append((file_stat, Arrival(file=file_info), target))
        if len(self._together) >= TOGETHER or self._clock() - self._together_since >= TOGETHER_SECONDS:
            self._submit_together()

    def _submit_together(self) -> None:
        """Record the requests that were gathered; a file is remembered after its request is in the ledger."""
        together, self._together = self._together, []
        offers = [(arrival, target) for _, arrival, target in together]
        try:
            answers = self._intake.offer_many(offers) if offers else []
        except Exception:  # noqa: BLE001 - which of them met an error of this program is found by offering each alone
            for file_stat, arrival, target in together:
                with self._alone(file_stat):
                    self._note_answer(file_stat, target, *self._intake.offer_many([(arrival, target)]))
            return
        for (file_stat, _, target), answer in zip(together, answers, strict=True):
            self._note_answer(file_stat, target, answer)

    def _note_answer(self, file_stat: FileStat, target: Routed, answer: Answer) -> None:
        self._answered.append((file_stat, target, answer))
        if len(self._answered) >= MOST_UNCONFIRMED:
            self._confirm()

    def _confirm(self) -> None:
        """Remember and remove the files whose requests are confirmed; the others are submitted again."""
        answered, self._answered = self._answered, []
        done = [answer.request_id for _, _, answer in answered if isinstance(answer, (SubmitResult, Refused))]
        are_confirmed = not done or self._intake.confirm(done)
        for file_stat, target, answer in answered:
            is_lost = isinstance(answer, (SubmitResult, Refused)) and not are_confirmed
            self._on_answer(file_stat, target, None if is_lost else answer)

    def _on_answer(self, file_stat: FileStat, target: Routed, answer: Answer) -> None:
        if answer is None or isinstance(answer, Held):
            if answer is None:
                self._hold_unavailable(file_stat)
            else:
                self._hold(file_stat, "delivering", answer.text, answer.code, answer.again_at)
                self._looks.add(self._clock() + DELIVERING_SECONDS, file_stat.name)
            return
        memories: tuple[dict[str, Any], ...] = (self._kept, self._refused)
        for memory in memories:
            memory.pop(file_stat.name, None)
        if isinstance(answer, InvalidRequest):
            names = {"file": file_stat.name, "customer_key": target.customer_key, "mid": target.mid}
            self._log.error("file_rejected", problems=list(answer.problems), **names)
            self._refused[file_stat.name] = "; ".join(answer.problems)
            self._hold(file_stat, "refused", self._refused[file_stat.name])
        elif not isinstance(answer, SubmitResult):
            self._kept[file_stat.name] = None
        self._done[file_stat.name] = file_stat
        if isinstance(answer, SubmitResult):
            self._remove(file_stat)

    def _beginning(self, path: Path) -> BinaryIO:
        """Read what a preflight looks at: a file system that hangs shows meanwhile, as in every other step."""
        self.progress.at(str(path))
        try:
            with open_regular(path) as file:
                return io.BytesIO(file.read(LARGEST_PART))
        finally:
            self.progress.answered()

    def _finish_removals(self, listing: Listing, before: dict[str, WaitingFile]) -> None:
        """Go on with files whose removal a process did not end."""
        self._removals.begin()
        for file in () if self.folder.after.keeps else filter(lambda each: is_hidden(each.name), listing.files):
            removed = self._removals.finish(file.name)
            if removed is None:
                self._hold_unseen(file.name, "unmoved", self._removals.why, before)
            elif removed.outcome == "left":
                text = "it was replaced while it was removed, and its name is taken"
                self._log_once(file.name, removed, "file_not_removed", reason=text)
                self._hold_unseen(file.name, "unmoved", text, before)

    def _remove(self, file: FileStat) -> None:
        """Move or delete a file whose request the ledger has; what fails is tried again after the next scan."""
        if self.folder.after.keeps:
            return
        removed = self._removals.remove(file)
        if removed is None:
            self._hold(file, "unmoved", self._removals.why)
        elif removed.outcome in {"moved", "deleted", "gone"}:
            memories: tuple[dict[str, Any], ...] = (self._seen, self._done, self._logged)
            for memory in memories:
                memory.pop(file.name, None)

    def _remember(self, taken: ScanResult, listing: Listing, looked: Collection[str] | None) -> None:
        """Keep what was seen, and forget what is gone."""
        for name in taken.gone:
            if not _lies_in(name, listing.unreadable):
                self._log.info("file_gone", file=name, was_submitted=name in self._done)
        if looked is None:
            self._seen = dict(taken.seen)
        else:
            for name in looked:
                self._seen.pop(name, None)
            self._seen.update(taken.seen)
        memories: tuple[dict[str, Any], ...] = (self._done, self._refused, self._kept, self._logged)
        for memory in memories:
            for name in (memory if looked is None else memory.keys() & looked) - taken.seen.keys() - self._held.keys():
                del memory[name]

    def _hold(
        self, file_stat: FileStat, reason: Reason, text: str = "", code: str = "", again_at: float | None = None
    ) -> None:
        name, since = file_stat.name, self._seen[file_stat.name].waiting_since
        self._held[name] = WaitingFile(
            name=name, reason=reason, since=since, size=file_stat.size, text=text, code=code, again_at=again_at
        )

    def _hold_unavailable(self, file_stat: FileStat) -> None:
        mid = self.folder.mid
        self._hold(file_stat, "unavailable", *self._submitter.outage(mid), self._submitter.tried_at(mid))

    def _hold_unfinished(self, file: WaitingFile) -> None:
        file_stat = self._seen[file.name].file_stat
        if self._done.get(file.name) == file_stat:
            return
        self._held[file.name] = file
        if file.reason == "empty":
            self._log_once(file.name, ("empty", file_stat), "file_empty_skipped")

    def _hold_unreadable(self, listing: Listing, before: dict[str, WaitingFile]) -> None:
        for name in listing.unnamable:
            self._hold_unseen(name, "unnamable", "", before)
            self._log_once(name, "unnamable", "file_name_undecodable")
        for name, reason in listing.unreadable.items():
            may_be_subfolder = self.folder.recursive
            if self.folder.rule.is_candidate(name) and (may_be_subfolder or self._is_wanted(name)):
                self._hold_unseen(name, "unreadable", reason, before)
                self._log_once(name, ("unreadable", reason), "entry_unreadable", reason=reason)

    def _hold_unseen(self, name: str, reason: Reason, text: str, before: dict[str, WaitingFile]) -> None:
        known = before.get(name)
        since = known.since if known is not None and known.reason == reason else self._clock()
        self._held[name] = WaitingFile(name=name, reason=reason, since=since, text=text)

    def _log_once(self, name: str, state: object, event: str, **fields: object) -> None:
        """Say something about a file once, and again only when its state has changed."""
        if self._logged.get(name) != state:
            self._log.warning(event, file=name, **fields)
        self._logged[name] = state


def describe_file(folder: Folder, file: FileStat) -> FileInfo:
    """Give the identity of a file, without its content."""
    within, _, name = file.name.rpartition("/")
    location = f"{folder.location}/{within}" if within else folder.location
    return FileInfo(location=location, name=name, size=file.size, modified_ns=file.modified_ns)


def _lies_in(name: str, unreadable: dict[str, str]) -> bool:
    """Say whether a file is among these, or in a subfolder that is."""
    return name in unreadable or any(name.startswith(f"{each}/") for each in unreadable)
