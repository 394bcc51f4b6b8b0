"""What the commands `source` and `sources` do: put sources together from the settings, and run them."""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

from sfmc_import import logs
from sfmc_import.bootstrap import open_definitions
from sfmc_import.client import Client
from sfmc_import.definitions import CachedDefinitions
from sfmc_import.errors import SettingsError
from sfmc_import.redis_client import connect
from sfmc_import.settings import Settings, load
from sfmc_import.settings.policy_file import SourceTable
from sfmc_producers.sources.dead_letters import SourceDeadLetters
from sfmc_producers.sources.intake import Intake
from sfmc_producers.sources.kinds import KINDS
from sfmc_producers.sources.running import run_sources
from sfmc_producers.sources.tables import Kind, Options, Parts, Source, chosen, read_options
from sfmc_producers.submitter import RoutingRules, Submitter
from sfmc_transport import Keys


def run_named(names: Sequence[str], *, as_json: bool) -> None:
    """Run these sources of the policy file, or all, until a signal; ends the process with the exit code."""
    settings = load(os.environ)
    tables = chosen(settings, names)
    read = read_options(tables, KINDS)
    require_run(tables, read, names)
    logs.configure(
        level=settings.log_level, form="json" if as_json else settings.log_format, secrets=settings.secrets()
    )
    with ExitStack() as stack:
        client = stack.enter_context(Client.from_settings(settings))
        broker = stack.enter_context(connect(settings.broker))
        client.prepare()
        set_aside = SourceDeadLetters(broker, Keys(settings.transport_prefix, settings.broker_prefix))
        definitions = open_definitions(settings)
        sources: list[Source] = []
        for table, (kind, options) in zip(tables, read, strict=True):
            if kind.open is not None:
                intake = open_intake(table, options, settings, client, definitions)
                sources.append(kind.open(options, Parts(table.name, settings, intake, set_aside)))
        raise SystemExit(run_sources(sources))


def require_run(tables: Sequence[SourceTable], read: Sequence[tuple[Kind, Options]], names: Sequence[str]) -> None:
    """Raise SettingsError for a source that is named and for `serve`, or when all are."""
    served = [table.name for table, (kind, _) in zip(tables, read, strict=True) if kind.open is None]
    if wrong := [name for name in served if name in names or len(served) == len(tables)]:
        raise SettingsError(
            [f"source {name}: its senders post to it; run it with: sfmc-import serve" for name in wrong]
        )


def open_intake(
    table: SourceTable, options: Options, settings: Settings, client: Client, definitions: CachedDefinitions
) -> Intake:
    """Put together what takes the arrivals of one source: its own routes are tried before those of all."""
    routes = (*(each.as_route() for each in options.route), *settings.routes)
    max_age, zone = settings.definition_check_ttl, settings.time_zone
    rules = RoutingRules(definitions=definitions, routes=routes, time_zone=zone, max_age=max_age)
    submitter = Submitter(client, rules, time.monotonic, lambda: datetime.now(UTC))
    return Intake(table.name, submitter, mid=options.mid, key=options.customer_key)
