"""Holds what an operator may decide for each definition, and what follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta, tzinfo
from typing import Any, Literal

from sfmc_import.request import fold_key
from sfmc_import.runs import Definition, Expectations

# A second import of the same file changes nothing with these update types (Marketing Cloud object page, UpdateType).
HARMLESS_TO_REPEAT = frozenset({"Overwrite"})


MAX_WINDOW_HOURS = 10 * 365 * 24.0
"""What MaxImportFrequency can ask for at most: Redis keeps no time that is further away than it can count."""


ACCOUNT = "*"
"""The group of all definitions of the account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How one definition is treated; times in seconds, frequencies in hours.

    `frequency` overrides MaxImportFrequency, `frequency_floor` is the least that is used;
    `on_error` says whether a pause replaces the rest of the window after an import that ended in Error (free):
    `error_pause` after the first, longer after each further one in a row, at most until the window is over.
    `when_ambiguous` says what follows a start of which no run was found: None decides by UpdateType.
    `when_mismatch` says what follows when a start would import another file than that of the request.
    `after` are definitions of the same business unit that must have a completed run before a start: since the file's
    arrival, or since the last `after_since`, a time of day in `time_zone`.
    `group` is a group of definitions of which `group_limit` imports run at once, of all of the account `max_running`; 0
    is no limit.
    `min_rows`, `max_failed_share` and `min_share_of_last_run` are what a completed run should look like.
    """

    frequency: float | None = None
    frequency_floor: float = 0.0
    when_too_soon: Literal["defer", "drop"] = "defer"
    coalesce: Literal["same_name", "latest", "each"] = "same_name"
    on_error: Literal["free", "keep"] = "free"
    error_pause: float = 60.0
    when_ambiguous: Literal["unknown", "repeat"] | None = None
    when_mismatch: Literal["reject", "wait", "start"] = "reject"
    retry_deadline: float = 6 * 3600.0
    reconcile_deadline: float = 15 * 60.0
    follow_deadline: float = 24 * 3600.0
    after: tuple[str, ...] = ()
    after_since: time | None = None
    time_zone: str = "UTC"
    group: str | None = None
    group_limit: int = 0
    max_running: int = 0
    min_rows: int | None = None
    max_failed_share: float | None = None
    min_share_of_last_run: float | None = None

    def order_begins(self, now: float) -> float:
        """Give since when completed runs of `after` count: since `now`, or since `after_since` came last before it."""
        return now if self.after_since is None else last_time_of_day(now, self.after_since, self.time_zone)

    @property
    def limits(self) -> tuple[tuple[str, int], ...]:
        """The limits of imports that run at once: the name of the group, `*` for the account, and how many."""
        of_group = ((self.group, self.group_limit),) if self.group else ()
        return tuple(limit for limit in ((ACCOUNT, self.max_running), *of_group) if limit[1])

    @property
    def expectations(self) -> Expectations:
        """What a completed run should look like."""
        return Expectations(
            min_rows=self.min_rows,
            max_failed_share=self.max_failed_share,
            min_share_of_last_run=self.min_share_of_last_run,
        )

    def window(self, definition: Definition) -> float:
        """Give the hours after an accepted start in which no further start is allowed; 0 means none."""
        own = definition.max_import_frequency or 0 if self.frequency is None else self.frequency
        return min(max(float(own), self.frequency_floor), MAX_WINDOW_HOURS)

    def may_repeat(self, definition: Definition | None) -> bool:
        """Say whether a start of which no run was found may be sent again."""
        if self.when_ambiguous is not None:
            return self.when_ambiguous == "repeat"
        return definition is not None and definition.update_type in HARMLESS_TO_REPEAT


@dataclass(frozen=True, slots=True)
class Policies:
    """What the file says about definitions.

    `by_definition` is keyed by (MID or None for any, CustomerKey folded by `fold_key`); `definitions` are the names as
    the file has them. `groups` says of how many definitions of each group an import may run at once.
    """

    defaults: Mapping[str, Any] = field(default_factory=dict)
    by_definition: Mapping[tuple[str | None, str], Mapping[str, Any]] = field(default_factory=dict)
    definitions: tuple[tuple[str | None, str], ...] = ()
    groups: Mapping[str, int] = field(default_factory=dict)

    @property
    def first(self) -> list[tuple[str | None, str]]:
        """The definitions that others wait for, each with the business unit of those."""
        tables = [(None, self.defaults), *((mid, table) for (mid, _), table in self.by_definition.items())]
        return [(mid, key) for mid, table in tables for key in table.get("after", ())]

    def of(self, mid: str, customer_key: str, usual: Policy) -> Policy:
        """Give `usual` as changed by [defaults], then by the table of any business unit, then by that of this one."""
        own = self.by_definition.get((mid, fold_key(customer_key)), {})
        anywhere = self.by_definition.get((None, fold_key(customer_key)), {})
        given = replace(usual, **{**self.defaults, **anywhere, **own})
        return replace(given, group_limit=self.groups[given.group]) if given.group else given


def last_time_of_day(now: float, begin: time, zone: str) -> float:
    """Give when it was `begin` last in this zone, in seconds since 1970; of a time that came twice the first one."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - hosts that only submit need no time zones

    here = ZoneInfo(zone)
    today = datetime.fromtimestamp(now, here).date()
    at = datetime.combine(today, begin, here).timestamp()
    return at if at <= now else datetime.combine(today - timedelta(days=1), begin, here).timestamp()


@dataclass(frozen=True, slots=True)
class Offsets:
    """What the clocks of a zone are ahead of UTC in the days around a moment; all in seconds.

    `changed` is when they go from `before` to `after`; 0 where they do not change in these days.
    """

    before: float
    after: float
    changed: float


def offsets_around(now: float, zone: str) -> Offsets:
    """Give the offsets of a zone in the two days before and after a moment."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - as above

    here = ZoneInfo(zone)
    begin, end = int(now) - CLOCK_SECONDS, int(now) + CLOCK_SECONDS
    before, after = _offset(begin, here), _offset(end, here)
    if before == after:
        return Offsets(before, after, 0.0)
    while end - begin > 1:
        middle = (begin + end) // 2
        begin, end = (middle, end) if _offset(middle, here) == before else (begin, middle)
    return Offsets(before, after, float(end))


CLOCK_SECONDS = 2 * 86_400


def _offset(at: float, zone: tzinfo) -> float:
    return (datetime.fromtimestamp(at, zone).utcoffset() or timedelta(0)).total_seconds()
