"""When a file is stable: a pure function of what was seen of it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from typing import Literal

TEMPORARY = ("*.part", "*.partial", "*.tmp", "*.filepart", "*.crdownload", "*.swp", "*~", "~*", ".*")
"""Names that writers use until they are done: browsers, SFTP clients, editors, rsync (leading dot)."""


@dataclass(frozen=True, slots=True)
class FileStat:
    """A file as one scan of the folder shows it; `name` is its path within the folder."""

    name: str
    size: int
    modified_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilityRule:
    """When a file counts as finished.

    Its size and time must be the same in `scans` scans in a row and for `seconds` since the first
    of them, by the watcher's own clock: a copy that keeps an old time stamp is not taken early. `temporary`
    are glob patterns of names that never count, in upper or lower case. With `done_suffix` a file also
    needs a marker beside it: `x.csv` waits for `x.csv.done`. The marker does not replace the stability rule,
    for it may be left over from an earlier file of the same name. `empty` says whether a file without a
    byte counts.
    """

    scans: int = 2
    seconds: float = 2.0
    temporary: tuple[str, ...] = TEMPORARY
    done_suffix: str | None = None
    empty: Literal["run", "skip"] = "skip"

    def is_candidate(self, name: str) -> bool:
        """Say whether a file of this name can ever count: neither temporary nor a marker."""
        if self.done_suffix and name.endswith(self.done_suffix):
            return False
        matches = _any_of(self.temporary).match
        return not any(matches(part.lower()) for part in name.split("/"))


@dataclass(frozen=True, slots=True)
class TrackedFile:
    """One state of a file: how often it was seen in a row and since when, in the watcher's seconds."""

    file_stat: FileStat
    scans: int
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """What one scan yields: `seen` is the memory for the next one.

    `stable` are the finished files, again in every scan until they change or go; `empty` those finished
    without a byte that the rule skips; `gone` the names seen before and not now; `next_in` the seconds
    until a further scan can find a stable file, None when none is on the way.
    """

    seen: Mapping[str, TrackedFile] = field(default_factory=dict)
    stable: tuple[FileStat, ...] = ()
    empty: tuple[FileStat, ...] = ()
    gone: tuple[str, ...] = ()
    next_in: float | None = None


def evaluate(
    before: Mapping[str, TrackedFile], file_stats: Iterable[FileStat], now: float, rule: StabilityRule
) -> ScanResult:
    """Take one scan: `before` is `seen` of the last one, `now` the seconds of a steady clock."""
    present = {each.name: each for each in file_stats}
    candidates = (each for each in present.values() if rule.is_candidate(each.name))
    seen = {each.name: _again(before.get(each.name), each, now) for each in candidates}
    finished = [each for each in seen.values() if _is_stable(each, now, rule)]
    marked = [each.file_stat for each in finished if _is_marked(each.file_stat, present, rule)]
    waiting = (each for each in seen.values() if not _is_stable(each, now, rule))
    return ScanResult(
        seen=seen,
        stable=tuple(each for each in marked if not _is_skipped(each, rule)),
        empty=tuple(each for each in marked if _is_skipped(each, rule)),
        gone=tuple(name for name in before if name not in seen),
        next_in=min((_pause(each, now, rule) for each in waiting), default=None),
    )


@lru_cache(maxsize=32)
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern.lower()) for pattern in patterns) or r"(?!)")


def _again(last: TrackedFile | None, file_stat: FileStat, now: float) -> TrackedFile:
    if last is None or last.file_stat != file_stat:
        return TrackedFile(file_stat, 1, now)
    return TrackedFile(file_stat, last.scans + 1, last.since)


def _is_stable(seen: TrackedFile, now: float, rule: StabilityRule) -> bool:
    return seen.scans >= rule.scans and now - seen.since >= rule.seconds


def _is_marked(file_stat: FileStat, present: Mapping[str, FileStat], rule: StabilityRule) -> bool:
    return rule.done_suffix is None or file_stat.name + rule.done_suffix in present


def _is_skipped(file_stat: FileStat, rule: StabilityRule) -> bool:
    return file_stat.size == 0 and rule.empty == "skip"


def _pause(seen: TrackedFile, now: float, rule: StabilityRule) -> float:
    """Spread the scans that are left over the time that is left."""
    left = max(0.0, rule.seconds - (now - seen.since))
    return left / max(1, rule.scans - seen.scans)
