"""The lines of a [[source]]: what every kind has, and how each kind is checked; all that is wrong is said at once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sfmc_import.errors import MissingExtraError, SettingsError
from sfmc_import.settings import Settings
from sfmc_import.settings.policy_file import RouteTable, SourceTable, Tables
from sfmc_import.settings.problems import field_problems
from sfmc_import.settings.schedule_table import SCHEDULE
from sfmc_import.settings.values import CustomerKey, Mid, Seconds
from sfmc_producers.delivery.opening import target_problems
from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.intake import Intake, SetAside


class Options(BaseModel):
    """What every [[source]] can say; times in seconds or as "15m", "6h", "2d"."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    mid: Mid | None = Field(None, description="the MID of the business unit of its files; without it SFMC_ACCOUNT_ID")
    customer_key: CustomerKey | None = Field(
        None, description="the definition that every file starts; without it the routes decide"
    )
    scan_every: Seconds | None = Field(
        None, description="how often the source is also listed, for what its events missed; without it never"
    )
    route: tuple[RouteTable, ...] = Field((), description="[[source.route]]: tried before the other routes")

    @property
    def is_served(self) -> bool:
        """Whether `sfmc-import serve` alone takes what its senders post, so that nothing else runs."""
        return False

    @classmethod
    def broken_rules(cls, lines: Mapping[str, Any]) -> list[str]:  # noqa: ARG003 - kinds need it
        """Say which rules over several lines are broken, where others are wrong and the rules were not reached."""
        return []

    @property
    def not_listed(self) -> str | None:
        """Why these lines lead to a source that cannot be listed; None where its kind decides."""
        return None


class Source(Protocol):
    """A source that runs in a thread of its own."""

    name: str

    def run(self, wakeup: Wakeup) -> None:
        """Yield arrivals until `wakeup` closes; raises SourceRefusedError when a person must act."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a source is put together from; `secrets` gives SFMC_SOURCE_<name>_<what>."""

    name: str
    settings: Settings
    intake: Intake
    set_aside: SetAside


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of source: its lines, and how it is opened; opening connects to nothing.

    With `is_shared` the object that runs can be listed meanwhile, so that both together keep to its number of
    connections.
    """

    options: type[Options]
    open: Callable[[Any, Parts], Source]
    is_shared: bool = False


def read_options(tables: Iterable[SourceTable], kinds: Mapping[str, Callable[[], Kind]]) -> list[tuple[Kind, Options]]:
    """Check the lines of sources.

    Raises SettingsError with a line for everything that is wrong in any of them.
    """
    problems: list[str] = []
    found = [_read(table, kinds, problems) for table in tables]
    if problems:
        raise SettingsError(problems)
    return [each for each in found if each is not None]


def problems_in(
    wanted: Callable[[SourceTable], bool], kinds: Mapping[str, Callable[[], Kind]], *, targets: bool = True
) -> Callable[[Tables], list[str]]:
    """Say what is wrong in the lines of some sources, and in those of all targets: with all else, at once.

    What needs a library that is not there is checked when it is there.
    """

    def problems_of(tables: Tables) -> list[str]:
        problems: list[str] = []
        routes = list(tables.routes)
        for table in tables.sources:
            with suppress(MissingExtraError):
                if table.kind != SCHEDULE and wanted(table) and (read := _read(table, kinds, problems)):
                    routes += [each.as_route() for each in read[1].route]
        return problems + (target_problems(tables.targets, routes) if targets else [])

    return problems_of


def _read(
    table: SourceTable, kinds: Mapping[str, Callable[[], Kind]], problems: list[str]
) -> tuple[Kind, Options] | None:
    if table.kind not in kinds:
        problems.append(
            f"{table.where} kind: {table.kind!r}: there is no such kind; use one of {', '.join((*kinds, SCHEDULE))}"
        )
        return None
    kind = kinds[table.kind]()
    try:
        options = kind.options.model_validate(table.lines)
    except ValidationError as error:
        found = field_problems(error, kind.options, table.lines, str)
        rules = [] if "" in found else kind.options.broken_rules(table.lines)
        problems += [f"{table.where} {line}" for line in (*found.values(), *rules)]
        return None
    if options.scan_every is not None and options.not_listed:
        problems.append(f"{table.where} scan_every: {options.not_listed}")
    return kind, options


def chosen(settings: Settings, names: Sequence[str]) -> list[SourceTable]:
    """Give the tables of these sources, or of all that beat does not run; raises SettingsError if one cannot run."""
    by_beat = {table.name for table in settings.sources if table.kind == SCHEDULE}
    known = {table.name: table for table in settings.sources if table.name not in by_beat}
    if asked := sorted(by_beat.intersection(names)):
        raise SettingsError([f"source {name}: beat runs schedules; start it with: sfmc-import beat" for name in asked])
    if not known:
        text = f"the policy file has only schedules ({', '.join(sorted(by_beat))}), which beat runs: sfmc-import beat"
        none = "there is no [[source]] in the policy file (SFMC_CONFIG, or sfmc-import.toml): add one"
        raise SettingsError([text if by_beat else none])
    if missing := [name for name in names if name not in known]:
        raise SettingsError([f"source {name}: the policy file has only {', '.join(known)}" for name in missing])
    return [known[name] for name in names or known]
