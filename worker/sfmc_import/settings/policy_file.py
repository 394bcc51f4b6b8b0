"""The tables of the policy file: checks policies, routes, notifications, the heads of sources and targets."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from sfmc_import.file_format import Preflight
from sfmc_import.policy import Policies
from sfmc_import.request import fold_key
from sfmc_import.routing import BadRouteError, Route, Routes
from sfmc_import.settings.notify_table import KINDS, NotifyTable
from sfmc_import.settings.problems import field_problems, unknown_name
from sfmc_import.settings.schedule_table import SCHEDULE, ScheduleTable
from sfmc_import.settings.values import CustomerKey, Encoding, Hours, Mid, Seconds

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
T = TypeVar("T", bound=BaseModel)

TABLES = ("defaults", "definition", "group", "route", "source", "target", "notify")
SEE_TABLES = "use [defaults], [[definition]], [[group]], [[route]], [[source]], [[target]] or [[notify]]"
RENAMED = {"max_import_frequency": "frequency"}
"""Keys of the file that the domain calls otherwise."""


@dataclass(frozen=True, slots=True)
class SourceTable:
    """One [[source]]: its name, its kind, and the other lines as they stand; the producers check those.

    `where` begins what is said about it.
    """

    name: str
    kind: str
    lines: Mapping[str, Any]
    where: str


@dataclass(frozen=True, slots=True)
class TargetTable(SourceTable):
    """One [[target]], to which files are delivered: as a [[source]]."""


@dataclass(frozen=True, slots=True)
class Tables:
    """What the policy file says."""

    policies: Policies = field(default_factory=Policies)
    routes: tuple[Route, ...] = ()
    sources: tuple[SourceTable, ...] = ()
    schedules: Mapping[str, ScheduleTable] = field(default_factory=dict)
    targets: tuple[TargetTable, ...] = ()
    notifications: Mapping[str, NotifyTable] = field(default_factory=dict)


class PolicyTable(BaseModel):
    """What can be said in [defaults] and [[definition]]; times in seconds or as "15m", "6h", "2d"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_import_frequency: Hours | None = Field(None, description="hours, instead of what the definition says")
    frequency_floor: Hours | None = Field(None, description="hours, the least that is used")
    when_too_soon: Literal["defer", "drop"] | None = Field(None, description="defer or drop")
    coalesce: Literal["same_name", "latest", "each"] | None = Field(None, description="same_name, latest or each")
    on_error: Literal["free", "keep"] | None = Field(
        None, description="free or keep (the window after a failed import)"
    )
    error_pause: Seconds | None = Field(None, description='a time such as "1m"')
    when_ambiguous: Literal["unknown", "repeat"] | None = Field(None, description="unknown or repeat")
    when_mismatch: Literal["reject", "wait", "start"] | None = Field(
        None, description="reject, wait or start (when another file than that of the request would be imported)"
    )
    retry_deadline: Seconds | None = Field(None, description='a time such as "6h"')
    reconcile_deadline: Seconds | None = Field(None, description='a time such as "15m"')
    follow_deadline: Seconds | None = Field(None, description='a time such as "24h"')

    after: tuple[CustomerKey, ...] | None = Field(
        None, max_length=20, description='CustomerKeys that must have a completed run first, such as ["Contacts"]'
    )
    after_since: time | None = Field(
        None, description='a time of day such as "06:00": since when their runs count; without it since the arrival'
    )
    group: str | None = Field(None, min_length=1, description="the name of a [[group]], whose limit of runs counts")
    min_rows: int | None = Field(None, ge=1, le=10**12, description="a whole number: the least rows of a completed run")
    max_failed_share: Share | None = Field(None, description="from 0 to 1: the greatest share of rows that failed")
    min_share_of_last_run: Share | None = Field(
        None, description="from 0 to 1: the least rows, as a share of those of the last run"
    )

    def changes(self) -> dict[str, Any]:
        """Give what this table sets, under the names of Policy."""
        given = self.model_dump(exclude_none=True, exclude={"customer_key", "mid"})
        return {RENAMED.get(name, name): value for name, value in given.items()}


class DefinitionTable(PolicyTable):
    """One [[definition]]."""

    customer_key: CustomerKey = Field(description="the CustomerKey of an ImportDefinition, 36 characters at most")
    mid: Mid | None = Field(None, description="the MID of a business unit; without it any")


class GroupTable(BaseModel):
    """One [[group]] of definitions, of which only some run at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$",
        description="a name: up to 40 letters, digits, dashes and underscores",
    )
    max_running: int = Field(ge=1, le=10_000, description="a whole number: how many imports of it run at once")


class PreflightTable(BaseModel):
    """What is checked of the files of a route."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(1000, ge=0, le=100_000, description="a whole number: how many rows are checked")
    encoding: Encoding = Field("utf-8", description="an encoding such as utf-8 or cp1252")
    empty: Literal["fail", "skip", "run"] = Field("fail", description="fail, skip or run (for a file without rows)")
    columns: tuple[Annotated[str, Field(max_length=256)], ...] = Field(
        (), max_length=4000, description="the columns of the destination in the order of the file"
    )


def _one_or_more(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class RouteTable(BaseModel):
    """One [[route]]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pattern: str = Field(min_length=1, description='a glob such as "orders-*.csv", or a regular expression after re:')
    customer_key: str = Field(
        min_length=1, description="the CustomerKey of an ImportDefinition; may hold {1} or {name}"
    )
    mid: Mid | None = Field(None, description="the MID of a business unit")
    name: str | None = Field(None, min_length=1, description="a name for logs")
    priority: int | None = Field(None, ge=0, le=9, description="0 to 9, 0 first: which waiting message is taken first")
    folder: str | None = Field(
        None, min_length=1, description='a glob for all of the location, such as "/data/*"; ** crosses folders'
    )

    preflight: PreflightTable | None = Field(
        None, description="{rows = 1000, encoding = …, empty = …, columns = […]}: what is checked before a start"
    )
    deliver: str | None = Field(None, min_length=1, description="the name of a [[target]]: the file is put there first")
    deliver_as: str | None = Field(
        None, min_length=1, max_length=255, description="the name of the file at the target; may hold {1} or {name}"
    )
    unpack: Annotated[tuple[Literal["gz", "zip", "pgp"], ...], BeforeValidator(_one_or_more)] = Field(
        (), max_length=4, description='gz, zip or pgp, or several, the outermost first: ["pgp", "gz"]'
    )
    verify_with: Annotated[tuple[str, ...], BeforeValidator(_one_or_more)] = Field(
        (), min_length=1, max_length=20, description="with pgp: files of public keys, one of which must have signed"
    )

    def as_route(self) -> Route:
        """Give the route that this table describes."""
        given = self.model_dump(exclude={"preflight"})
        preflight = None if self.preflight is None else Preflight(**self.preflight.model_dump())
        return Route(**given, preflight=preflight)

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        if self.deliver is None and self.deliver_as:
            raise ValueError("deliver_as is for files that are delivered; add deliver, or remove it")
        if self.deliver is None and self.unpack:
            raise ValueError("unpack is for files that are delivered; add deliver, or remove it")
        if self.verify_with and "pgp" not in self.unpack:
            raise ValueError("verify_with is for files that PGP has encrypted; add pgp to unpack, or remove it")
        if "zip" in self.unpack[1:]:
            raise ValueError("unpack: zip is read from its end, so it comes first; send the zip file, or gz instead")
        try:
            Routes([self.as_route()], "", date.min)
        except BadRouteError as error:
            raise ValueError(f"{error}; correct the pattern") from None
        return self


class SourceHead(BaseModel):
    """What every [[source]] and [[target]] has; the kinds have more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
        description="a name: up to 40 small letters, digits and dashes",
    )
    kind: str = Field(min_length=1, description="what it is, such as folder, sftp, sqs or push")


def read_tables(document: Mapping[str, Any], where: str, problems: list[str]) -> Tables:
    """Check a parsed TOML document; lines about what is wrong go to `problems`, beginning with `where`."""
    problems += [f"{where} {unknown_name(name, TABLES, SEE_TABLES)}" for name in document if name not in TABLES]
    defaults = _checked(PolicyTable, document.get("defaults", {}), f"{where} [defaults]", problems)
    definitions = _checked_list(DefinitionTable, document, "definition", where, problems)
    routes = _checked_list(RouteTable, document, "route", where, problems)
    named: dict[tuple[str | None, str], Mapping[str, Any]] = {}
    for table in definitions:
        place = (table.mid, fold_key(table.customer_key))
        if place in named:
            problems.append(f"{where} [[definition]] {table.customer_key}: given twice; keep one")
        named[place] = table.changes()
    names = tuple((table.mid, table.customer_key) for table in definitions)
    usual = defaults.changes() if defaults else {}
    order = (*_order_problems(usual, definitions), *_without_after(defaults, definitions))
    problems += [f"{where} {line}" for line in order]
    groups = _read_groups(document, where, problems)
    problems += [f"{where} {line}" for line in _unknown_groups(defaults, definitions, groups)]
    sources = _read_named(document, "source", SourceTable, where, problems)
    return Tables(
        Policies(usual, named, names, groups),
        tuple(table.as_route() for table in routes),
        sources,
        schedules=_read_schedules(sources, problems),
        targets=_read_named(document, "target", TargetTable, where, problems),
        notifications=_read_notifications(_read_named(document, "notify", SourceTable, where, problems), problems),
    )


def _read_groups(document: Mapping[str, Any], where: str, problems: list[str]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for table in _checked_list(GroupTable, document, "group", where, problems):
        if table.name in found:
            problems.append(f"{where} [[group]] {table.name}: given twice; keep one")
        found[table.name] = table.max_running
    return found


def _unknown_groups(
    defaults: PolicyTable | None, tables: Sequence[DefinitionTable], groups: Mapping[str, int]
) -> Iterator[str]:
    """Name each group that a definition is in and that the file does not have."""
    named = [("[defaults]", defaults.group if defaults else None)]
    named += [(f"[[definition]] {table.customer_key}", table.group) for table in tables]
    for place, group in named:
        if group is not None and group not in groups:
            near = difflib.get_close_matches(group, groups, n=1, cutoff=0.6)
            advice = f"did you mean {near[0]}?" if near else "add a [[group]] with this name"
            yield f"{place} group: there is no [[group]] {group}; {advice}"


def _order_problems(defaults: Mapping[str, Any], tables: Sequence[DefinitionTable]) -> Iterator[str]:
    """Name what waits for itself, over any number of steps: it would wait for ever.

    Looked at as it is used: in each business unit, with what [defaults] say of those without `after` of their own.
    """
    own = {(each.mid, fold_key(each.customer_key)): each for each in tables if each.after is not None}
    usual = tuple(defaults.get("after", ()))
    found: set[tuple[str, ...]] = set()
    for mid in dict.fromkeys([None, *(each.mid for each in tables)]):
        folded = {fold_key(key): None for key in _named(usual, tables)}
        if mid is None:
            # In units that no table names. Who says it of one definition for a unit may have no other unit.
            folded = {key: None for key in folded if not any(key == name for unit, name in own if unit)}
        keys = {key: own.get((mid, key), own.get((None, key))) for key in folded}
        after = {key: _folded(usual if table is None else table.after or ()) for key, table in keys.items()}
        ways = {key: way for key in keys if (way := tuple(_way_back(key, after))) and way not in found}
        found.update(ways.values())
        for key, way in ways.items():
            place = "[defaults]" if (table := keys[key]) is None else f"[[definition]] {table.customer_key}"
            shown = " after ".join([*way, way[0]]) + (f" in business unit {mid}" if mid else "")
            yield f"{place} after: {shown} is a circle, so none would start; break it"


def _folded(keys: Sequence[str]) -> list[str]:
    return [fold_key(key) for key in keys]


def _named(usual: Sequence[str], tables: Sequence[DefinitionTable]) -> Iterator[str]:
    """Give each definition that has a table, or that another one comes after."""
    yield from usual
    for table in tables:
        yield from (table.customer_key, *(table.after or ()))


def _without_after(defaults: PolicyTable | None, tables: Sequence[DefinitionTable]) -> Iterator[str]:
    """Name each `after_since` that no `after` goes with: it would do nothing."""
    text = "after_since: there is no after that it goes with; add it, or remove this"
    usual = defaults or PolicyTable()  # type: ignore[call-arg]
    ordered = {fold_key(each.customer_key) for each in tables if each.after}
    if usual.after_since is not None and not usual.after and not ordered:
        yield f"[defaults] {text}"
    for table in tables:
        if table.after_since is not None and not usual.after and fold_key(table.customer_key) not in ordered:
            yield f"[[definition]] {table.customer_key} {text}"


def _way_back(key: str, after: Mapping[str, Sequence[str]]) -> list[str]:
    """Give a way from a definition to itself; empty without one."""
    ways = [[key]]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        for step in after.get(way[-1], ()):
            if step == key:
                return way
            if step not in seen:
                seen.add(step)
                ways.append([*way, step])
    return []


N = TypeVar("N", bound=SourceTable)


def _read_named(
    document: Mapping[str, Any], name: str, made: type[N], where: str, problems: list[str]
) -> tuple[N, ...]:
    """Read the tables that have a name and a kind; their other lines are checked by their kind."""
    found: dict[str, N] = {}
    for head, lines in _checked_each(SourceHead, document, name, where, problems):
        if head.name in found:
            problems.append(f"{where} [[{name}]] {head.name}: given twice; give each {name} its own name")
        rest = {each: value for each, value in lines.items() if each not in SourceHead.model_fields}
        found[head.name] = made(head.name, head.kind, rest, f"{where} [[{name}]] {head.name}")
    return tuple(found.values())


def _read_schedules(sources: Sequence[SourceTable], problems: list[str]) -> Mapping[str, ScheduleTable]:
    found = {
        each.name: _checked(ScheduleTable, dict(each.lines), each.where, problems)
        for each in sources
        if each.kind == SCHEDULE
    }
    return {name: table for name, table in found.items() if table is not None}


def _read_notifications(tables: Sequence[SourceTable], problems: list[str]) -> Mapping[str, NotifyTable]:
    found = {}
    for each in tables:
        if each.kind not in KINDS:
            wrong = f"{each.kind!r}: there is no such kind; use one of {', '.join(KINDS)}"
            problems.append(f"{each.where} kind: {wrong}")
        elif (table := _checked(KINDS[each.kind], dict(each.lines), each.where, problems)) is not None:
            found[each.name] = table
    return found


def _checked_list(model: type[T], document: Mapping[str, Any], name: str, where: str, problems: list[str]) -> list[T]:
    return [table for table, _ in _checked_each(model, document, name, where, problems)]


def _checked_each(
    model: type[T], document: Mapping[str, Any], name: str, where: str, problems: list[str]
) -> list[tuple[T, Mapping[str, Any]]]:
    """Give the tables that are right, each with its lines."""
    tables = document.get(name, [])
    if not isinstance(tables, list):
        problems.append(f"{where} [{name}]: write it in two brackets: [[{name}]]")
        return []
    checked = [
        (_checked(model, table, f"{where} [[{name}]] {number}", problems), table)
        for number, table in enumerate(tables, start=1)
    ]
    return [(found, table) for found, table in checked if found is not None]


def _checked(model: type[T], table: object, where: str, problems: list[str]) -> T | None:
    if not isinstance(table, dict):
        problems.append(f"{where}: not a table; write {where} on a line of its own, then name = value lines")
        return None
    try:
        return model.model_validate(table)
    except ValidationError as error:
        found = field_problems(error, model, table, str)
        problems += [f"{where} {line}" for line in found.values()]
        return None
