"""What the commands `source` and `sources` do: put sources together from the settings, and run them."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from sfmc_import import logs
from sfmc_import.bootstrap import open_clock, open_definitions
from sfmc_import.clocks import Clocks
from sfmc_import.definitions import CachedDefinitions
from sfmc_import.errors import SettingsError, noted, require_none
from sfmc_import.ledger.opening import durability_of
from sfmc_import.redis_client import connect
from sfmc_import.redis_clock import RedisClock, compared, named
from sfmc_import.routing import Route
from sfmc_import.settings import Settings, load
from sfmc_import.settings.policy_file import SourceTable
from sfmc_producers.delivery.deliveries import Target
from sfmc_producers.delivery.opening import close_targets, open_targets, require_keys
from sfmc_producers.delivery.progress import Lines, WatchFile
from sfmc_producers.delivery.progress import chosen as followed
from sfmc_producers.ledger import Ledger, open_ledger
from sfmc_producers.sources.dead_letters import ApiDeadLetters, SourceDeadLetters
from sfmc_producers.sources.intake import Intake, SetAside
from sfmc_producers.sources.kinds import KINDS
from sfmc_producers.sources.running import run_sources
from sfmc_producers.sources.scanning import Listable, ScannedSource
from sfmc_producers.sources.standing import Standing
from sfmc_producers.sources.tables import Kind, Options, Parts, Source, chosen, problems_in, read_options
from sfmc_producers.submitter import RoutingRules, Submitter
from sfmc_transport import Keys

NO_TARGETS: Mapping[str, Target] = MappingProxyType({})
"""For who only asks, and delivers nothing."""


def _set_aside(settings: Settings, stack: ExitStack) -> SetAside:
    """Open what keeps records that cannot be read."""
    if settings.api_url:
        from sfmc_import.api_client import ApiClient  # noqa: PLC0415 - httpx, which Redis does not need
        from sfmc_import.api_client.submitting import ApiSubmitter  # noqa: PLC0415 - as above

        api = ApiClient(settings.api_url, settings.api_token.get_secret_value())
        return ApiDeadLetters(stack.enter_context(ApiSubmitter(api)))
    broker = stack.enter_context(connect(settings.broker))
    keys = Keys(settings.transport_prefix, settings.broker_prefix)
    beside_ledger = settings.broker == settings.redis
    return SourceDeadLetters(broker, keys, durability_of(settings), beside_ledger=beside_ledger)


@dataclass(frozen=True, slots=True)
class Opened:
    """One source of the policy file, put together; nothing connects before it is used. One for `serve` does not run."""

    table: SourceTable
    options: Options
    intake: Intake
    source: Source | None


class Opening:
    """Puts sources together; what they share connects on first use and is closed with `stack`.

    With `only_asks` nothing is delivered, and the secrets of targets are not needed.
    """

    def __init__(
        self, settings: Settings, stack: ExitStack, watch: WatchFile = Lines, *, only_asks: bool = False
    ) -> None:
        self.settings = settings
        self.client: Ledger = stack.enter_context(open_ledger(settings, confirms_each=False))
        self.set_aside = _set_aside(settings, stack)
        self.clock = RedisClock(self.client.now)
        self.heard = open_clock()
        self.definitions = open_definitions(settings, "source", self.heard)
        self.problems: list[str] = []
        self.intakes: dict[str, Intake] = {}
        self.targets = NO_TARGETS if only_asks else open_targets(settings, watch, self.problems)
        stack.callback(close_targets, self.targets)

    @property
    def standings(self) -> dict[str, Standing]:
        """What each source that was opened says of itself."""
        return {name: each.standing for name, each in self.intakes.items()}

    def open(self, table: SourceTable, kind: Kind, options: Options) -> Opened:
        """Open one source; raises SettingsError with all that is wrong in it and in the targets."""
        problems, source = [*self.problems], None
        intake = open_intake(
            table, options, self.settings, self.client, self.definitions, self.heard, self.targets, clock=self.clock
        )
        intake.standing.place = table.kind
        # Of a source that is listed beside itself there are two: the first one runs.
        self.intakes.setdefault(table.name, intake)
        with noted(problems):
            require_keys((*_own_routes(options), *self.settings.routes), self.targets)
        with noted(problems):
            parts = Parts(table.name, self.settings, intake, self.set_aside)
            source = None if options.is_served else kind.open(options, parts)
        require_none(problems)
        return Opened(table, options, intake, source)

    def open_to_run(self, table: SourceTable, kind: Kind, options: Options) -> Source | None:
        """Open one source, with its scans beside it if its lines say so; None for one that does not run."""
        opened = self.open(table, kind, options)
        if options.scan_every is None or opened.source is None:
            return opened.source
        listed = require_listable(opened if kind.is_shared else self.open(table, kind, options), "scan_every")
        return ScannedSource(opened.source, listed, opened.intake, options.scan_every, self.remembered_since)

    def remembered_since(self) -> float:
        """Give the time from which on the ledger remembers every file; raises ServiceUnavailableError."""
        return remembered_since(self.settings, self.clock.now().timestamp())


def run_named(names: Sequence[str], *, as_json: bool) -> None:
    """Run these sources of the policy file, or all, until a signal; ends the process with the exit code."""
    settings = load(os.environ, more=problems_in(lambda table: not names or table.name in names, KINDS))
    tables = chosen(settings, names)
    read = read_options(tables, KINDS)
    require_run(tables, read, names)
    form = "json" if as_json else settings.log_format
    watch, stream = followed(sys.stderr, as_json=form == "json")
    logs.configure(level=settings.log_level, form=form, secrets=settings.secrets(), stream=stream)
    with ExitStack() as stack:
        opening = Opening(settings, stack, watch)
        opening.client.prepare()
        sources = open_all(opening, tables, read)
        submitter = opening.intakes[sources[0].name].submitter
        note = partial(opening.client.note_clock, named("source process"))
        with compared(opening.clock, note):
            code = run_sources(sources, opening.standings, submitter)
    raise SystemExit(code)


def open_all(opening: Opening, tables: Sequence[SourceTable], read: Sequence[tuple[Kind, Options]]) -> list[Source]:
    """Open the sources that run; raises SettingsError with what is wrong in any of them."""
    problems: list[str] = []
    found: list[Source | None] = []
    for table, each in zip(tables, read, strict=True):
        with noted(problems):
            found.append(opening.open_to_run(table, *each))
    require_none(problems)
    return [each for each in found if each is not None]


def _own_routes(options: Options) -> tuple[Route, ...]:
    return tuple(each.as_route() for each in options.route)


def require_listable(opened: Opened, asked: str) -> Listable:
    """Give the source as one that can be listed; raises SettingsError."""
    source: object = opened.source
    if isinstance(source, Listable) and not opened.options.not_listed:
        return source
    text = opened.options.not_listed or f"a source of kind {opened.table.kind} cannot be listed"
    raise SettingsError([f"{opened.table.where} {asked}: {text}"])


def remembered_since(settings: Settings, now: float) -> float:
    """Give the time from which on the ledger remembers every file: older ones could be imported again by a scan."""
    return now - min(settings.seen_ttl, settings.request_ttl)


def require_run(tables: Sequence[SourceTable], read: Sequence[tuple[Kind, Options]], names: Sequence[str]) -> None:
    """Raise SettingsError for a source that is named and for `serve`, or when all are."""
    served = [table.name for table, (_, options) in zip(tables, read, strict=True) if options.is_served]
    if wrong := [name for name in served if name in names or len(served) == len(tables)]:
        raise SettingsError(
            [f"source {name}: its senders post to it; run it with: sfmc-import serve" for name in wrong]
        )


def open_intake(
    table: SourceTable,
    options: Options,
    settings: Settings,
    client: Ledger,
    definitions: CachedDefinitions,
    heard: Clocks,
    targets: Mapping[str, Target] = NO_TARGETS,
    *,
    clock: RedisClock | None = None,
) -> Intake:
    """Put together what takes the arrivals of one source: its own routes are tried before those of all.

    `heard` notes the time that the answers with the definitions name, `clock` gives that of Redis.
    """
    rules = RoutingRules(
        definitions=definitions,
        routes=(*_own_routes(options), *settings.routes),
        time_zone=settings.time_zone,
        margin=settings.midnight_margin,
        clock=heard,
        targets=targets,
        max_age=settings.definition_check_ttl,
    )
    submitter = Submitter(client, rules, time.monotonic, (clock or RedisClock(client.now)).now)
    return Intake(table.name, submitter, mid=options.mid, key=options.customer_key)
