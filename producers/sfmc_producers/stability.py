"""Which files are arrivals, and since when they are stable."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache, partial
from typing import Literal

UNFINISHED_NAMES = (
    ".*",  # rsync writes .NAME.XXXXXX, and many others hide what is not done
    "*~",
    "~*",
    "*.part",
    "*.partial",
    "*.filepart",
    "*.tmp",
    "*.temp",
    "*.crdownload",
    "*.opdownload",
    "*.download",
    "*.aria2",
    "*.!*",  # synchronisation and peer-to-peer programs
    "*._copying_",  # hdfs dfs -put
    "*.writing",
    "*.inprogress",
    "*.in_progress",
    "*.incomplete",
    "*.uploading",
    "*.wip",
    "*.swp",
    "*.lock",
    "*.lck",
)
"""Names that writers use until they are done, in lower case."""

HANDLED_NAMES = (
    "*.done",
    "*.ok",
    "*.ready",
    "*.processed",
    "*.imported",
    "*.archived",
    "*.completed",
    "*.finished",
    "*.failed",
    "*.error",
    "*.rejected",
    "*.bak",
    "*.old",
    "*.orig",
    "*.md5",
    "*.sha1",
    "*.sha256",
)
"""Names of markers and of files that another program has handled, in lower case."""

IGNORED_NAMES = UNFINISHED_NAMES + HANDLED_NAMES


def is_named(name: str, patterns: Sequence[str]) -> bool:
    """Say whether one of these globs means the whole name, in upper or lower case."""
    return _any_of(tuple(patterns)).match(name.lower()) is not None


@lru_cache(maxsize=32)
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern.lower()) for pattern in patterns) or r"(?!)")


LOCAL_SECONDS = 10.0
"""Writers pause: a copy over a network for seconds, an export between two queries. On a local file system the last
look also sees who has the file open, so this is for writers that close a file and open it again."""

NETWORK_SECONDS = 60.0
"""A client of a network file system sees old attributes: NFS for up to 60 s (acregmax), sshfs for 20 s (dcache)."""


@dataclass(frozen=True, slots=True)
class FileStat:
    """A file as one scan of the folder shows it; `name` is its path within the folder.

    `changed_ns` is when its content or its attributes were last changed (ctime): unlike the time stamp, no program
    can set it. So it tells that a file was replaced by one of the same size and time stamp.
    """

    name: str
    size: int
    modified_ns: int
    changed_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilityRule:
    """When a file counts as finished.

    Its size and times must be the same in `scans` looks in a row and for `seconds`: since the first of these looks
    or, where a `Dating` says it, since its last change. A copy that keeps an old time stamp is not taken early: what
    counts is ctime, which no program can set. `ignored`
    are glob patterns of names that never count, in upper or lower case, `complete` those that count all the same.
    With `marker` a file also needs a file beside it: with ".done" `x.csv` waits for `x.csv.done`. The marker does
    not replace the stability rule, for it may be left over from an earlier file of the same name. `empty` says
    whether a file without a byte counts, `open_files` whether one counts that a program has open for writing.
    """

    scans: int = 2
    seconds: float = LOCAL_SECONDS
    ignored: tuple[str, ...] = IGNORED_NAMES
    complete: tuple[str, ...] = ()
    marker: str | None = None
    empty: Literal["run", "skip"] = "skip"
    open_files: Literal["run", "wait"] = "wait"

    def is_candidate(self, name: str) -> bool:
        """Say whether a file of this name can ever count: neither ignored nor a marker."""
        if self.marker and name.endswith(self.marker):
            return False
        *folders, last = name.split("/")
        if any(is_named(part, self.ignored) for part in folders):
            return False
        return is_named(last, self.complete) or not is_named(last, self.ignored)

    def why_ignored(self, name: str) -> str | None:
        """Say why a file of this name never counts; None where it can."""
        if self.is_candidate(name):
            return None
        if self.marker and name.endswith(self.marker):
            return f"its name ends in {self.marker}: it is the marker of another file"
        *folders, last = name.split("/")
        within = next((part for part in folders if is_named(part, self.ignored)), None)
        whose, ignored = ("its name is", last) if within is None else (f"it lies in {within}, whose name is", within)
        glob = next(each for each in self.ignored if is_named(ignored, (each,)))
        return f"{whose} {_kind_of(glob)} ({glob})"


def _kind_of(glob: str) -> str:
    if glob in UNFINISHED_NAMES:
        return "one of files that are hidden or not complete"
    return "one of files that are handled, or are markers" if glob in HANDLED_NAMES else "to be ignored"


def is_complete_at_once(file: FileStat, now: float, rule: StabilityRule) -> bool:
    """Say whether one look is enough: its content and attributes have been the same for `seconds`.

    `now` is in seconds since 1970, on the clock that dates ctime. The marker is not looked for.
    """
    is_quiet = now - file.changed_ns / 1e9 >= rule.seconds
    return rule.is_candidate(file.name) and is_quiet and (file.size > 0 or rule.empty == "run")


@dataclass(frozen=True, slots=True)
class Dating:
    """Tells when a file that looks new was last changed, in the watcher's seconds.

    `offset` is what the watcher's clock says more than the clock that dates ctime. `not_before` is when the look
    before began: that saw another state of the file, or none, so the change came later whatever ctime says.
    """

    offset: float
    not_before: float

    def changed_at(self, file: FileStat, now: float) -> float:
        """Give the time; never one after now."""
        return min(now, max(self.not_before, file.changed_ns / 1e9 + self.offset))


@dataclass(frozen=True, slots=True)
class TrackedFile:
    """One state of a file: how often it was seen in a row, and since when it is so, in the watcher's seconds.

    `waiting_since` is when the file was first seen, or changed after it had been stable.
    """

    file_stat: FileStat
    scans: int
    since: float
    waiting_since: float
    is_stable: bool


Reason = Literal[
    "growing",
    "no_marker",
    "empty",
    "open",
    "unmatched",
    "ambiguous",
    "refused",
    "unavailable",
    "delivering",
    "unreadable",
    "unnamable",
    "unmoved",
]
"""Why a file waits: the first three are known from scans, the others from what followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingFile:
    """A file that starts nothing yet, since when and when it is tried again, and in words what else is known.

    One that grows is complete at `again_at` if it does not change until then.
    Times are in the watcher's seconds.
    """

    name: str
    reason: Reason
    since: float
    size: int | None = None
    text: str = ""
    code: str = ""
    again_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """What one scan yields: `seen` is the memory for the next one.

    `stable` are the finished files, again in every scan until they change or go; `waiting` those that are not
    finished, have no marker, or are empty and skipped; `gone` the names seen before and not now; `next_in` the
    seconds until a further scan can find a stable file, None when none is on the way.
    """

    seen: Mapping[str, TrackedFile] = field(default_factory=dict)
    stable: tuple[FileStat, ...] = ()
    waiting: tuple[WaitingFile, ...] = ()
    gone: tuple[str, ...] = ()
    next_in: float | None = None


def evaluate(
    before: Mapping[str, TrackedFile],
    file_stats: Iterable[FileStat],
    now: float,
    rule: StabilityRule,
    dating: Dating | None = None,
) -> ScanResult:
    """Take one scan: `before` is `seen` of the last one, `now` the seconds of a steady clock.

    Without a `dating` a state counts from the look that first saw it.
    """
    present = {each.name: each for each in file_stats}
    candidates = (each for each in present.values() if rule.is_candidate(each.name))
    since = (lambda _: now) if dating is None else partial(dating.changed_at, now=now)
    seen = {each.name: _again(before.get(each.name), each, now, since, rule) for each in candidates}
    reasons = {name: _reason(each, present, rule) for name, each in seen.items()}
    return ScanResult(
        seen=seen,
        stable=tuple(each.file_stat for name, each in seen.items() if reasons[name] is None),
        waiting=tuple(_waiting(seen[name], reason, rule) for name, reason in reasons.items() if reason),
        gone=tuple(name for name in before if name not in seen),
        next_in=min((pause(each, now, rule) for each in seen.values() if not each.is_stable), default=None),
    )


def _again(
    last: TrackedFile | None,
    file_stat: FileStat,
    now: float,
    changed_at: Callable[[FileStat], float],
    rule: StabilityRule,
) -> TrackedFile:
    if last is None:
        scans, since, waiting_since = 1, changed_at(file_stat), now
    elif last.is_stable and last.file_stat == file_stat:
        # Nothing new is kept of a file that lies there: a folder of many files costs no more with each scan.
        return last
    elif last.file_stat != file_stat:
        scans, since, waiting_since = 1, changed_at(file_stat), now if last.is_stable else last.waiting_since
    else:
        scans, since, waiting_since = last.scans + 1, last.since, last.waiting_since
    is_stable = scans >= rule.scans and now - since >= rule.seconds
    return TrackedFile(file_stat, scans, since, waiting_since, is_stable)


def _reason(seen: TrackedFile, present: Mapping[str, FileStat], rule: StabilityRule) -> Reason | None:
    if not seen.is_stable:
        return "growing"
    if rule.marker is not None and seen.file_stat.name + rule.marker not in present:
        return "no_marker"
    return "empty" if seen.file_stat.size == 0 and rule.empty == "skip" else None


def _waiting(seen: TrackedFile, reason: Reason, rule: StabilityRule) -> WaitingFile:
    file, again_at = seen.file_stat, seen.since + rule.seconds if reason == "growing" else None
    return WaitingFile(name=file.name, reason=reason, since=seen.waiting_since, size=file.size, again_at=again_at)


def pause(seen: TrackedFile, now: float, rule: StabilityRule) -> float:
    """Give the seconds until the next look at a file: those that are left are spread over the time that is left."""
    left = max(0.0, rule.seconds - (now - seen.since))
    return left / max(1, rule.scans - seen.scans)
