"""What the command `serve` does: puts push sources together from the settings, and serves until a signal."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

import structlog
import uvicorn
from fastapi import FastAPI
from redis import Redis
from redis.exceptions import RedisError

from sfmc_import import logs
from sfmc_import.access import ReadAccess, unused_api
from sfmc_import.bootstrap import open_clock, open_definitions
from sfmc_import.client import Client
from sfmc_import.errors import SettingsError, SfmcImportError
from sfmc_import.ledger.keys import Keys as LedgerKeys
from sfmc_import.ledger.opening import durability_of
from sfmc_import.redaction import KNOWN
from sfmc_import.redis_client import connect
from sfmc_import.redis_clock import RedisClock, compared, named
from sfmc_import.settings import Settings, load
from sfmc_import.settings.policy_file import SourceTable
from sfmc_producers.notifications import Wakeup
from sfmc_producers.push.inbox import Inbox
from sfmc_producers.push.options import PushOptions
from sfmc_producers.reporting import Reporter
from sfmc_producers.sources.commands import open_intake
from sfmc_producers.sources.dead_letters import SourceDeadLetters
from sfmc_producers.sources.kinds import KINDS
from sfmc_producers.sources.standing import describe_all
from sfmc_producers.sources.tables import problems_in, read_options
from sfmc_producers.watch import ended_by_signals
from sfmc_server import api
from sfmc_server.amazon import SnsMessages
from sfmc_server.application import create_app
from sfmc_server.authentication import (
    BearerTokens,
    Everybody,
    HmacSignatures,
    StandardWebhooks,
    Verifier,
    read_secrets,
)
from sfmc_server.connection import TimedConnection
from sfmc_server.console import application as console
from sfmc_server.fetching import Fetch, HttpsFetcher
from sfmc_server.google import GoogleTokens, KeySet
from sfmc_server.push_source import PushSource
from sfmc_server.webhook_keys import webhook_key
from sfmc_transport import Keys

END_SECONDS = 20
"""How long the end waits for what is worked on."""

KEEP_ALIVE_SECONDS = 75
"""Longer than load balancers keep a connection that says nothing (60): otherwise they post into a closed one."""

REPORT_SECONDS = 5.0
"""How long the end waits until the ledger has it."""

REPLAY_SECONDS = 2.0
PING_SECONDS = 1.0

log = structlog.get_logger("sfmc_server.serving")


AddApi = Callable[[FastAPI, Callable[[], bool]], None]
"""Adds what stands under /v1 to an application; it is given what says that the server ends."""


def run_serve(host: str, port: int, *, as_json: bool) -> None:
    """Serve until a signal; raises KeyboardInterrupt in the end if it was SIGINT, SystemExit otherwise."""
    settings = load(os.environ, more=problems_in(lambda table: table.kind == "push", KINDS, targets=False))
    note = unused_api(settings, "serve")
    tables = [table for table in settings.sources if table.kind == "push"]
    verifiers = verifiers_of(tables, settings)
    form = "json" if as_json else settings.log_format
    logs.configure(level=settings.log_level, form=form, secrets=settings.secrets())
    if note:
        log.warning("api_url_not_used", detail=note)
    with ExitStack() as stack:
        listening = stack.enter_context(listen(host, port))
        sources = open_sources(tables, verifiers, settings, stack)
        redis = stack.enter_context(
            connect(settings.redis, retries=0, connect_seconds=PING_SECONDS, answer_seconds=PING_SECONDS)
        )
        client = stack.enter_context(Client.from_settings(settings))
        access = ReadAccess(settings)

        def add(app: FastAPI, is_ending: Callable[[], bool]) -> None:
            api.add_to(app, access, client, is_ending)
            stack.callback(app.state.explainer.close)
            console.add_to(app, access, client, is_ending)

        with compared(RedisClock(client.now), partial(client.note_clock, named("server"))):
            received = serve(sources, redis, listening, add)
    log.info("server_ended")
    if signal.SIGINT in received:
        raise KeyboardInterrupt
    raise SystemExit(0)


def serve(
    sources: Mapping[str, PushSource],
    redis: Redis,
    listening: socket.socket,
    add_api: AddApi = lambda _, __: None,
) -> list[int]:
    """Serve on a socket until a signal; gives the signals received."""
    wakeup = Wakeup()
    servers: list[uvicorn.Server] = []

    def is_ending() -> bool:
        return any(server.should_exit for server in servers)

    app = create_app(sources, lambda: is_answering(redis), lambda app: add_api(app, is_ending))
    replays = threading.Thread(target=replay, args=(sources, wakeup), name="sfmc-replays", daemon=True)
    with ended_by_signals(wakeup) as received:
        replays.start()
        reporter = begin_reports(sources)
        host, port = listening.getsockname()[:2]
        log.info("server_started", host=host, port=port, sources=list(sources))
        servers.append(uvicorn.Server(_config(app)))
        servers[0].run(sockets=[listening])
        wakeup.stop()
        if reporter is not None:
            reporter.stop()
            reporter.join(REPORT_SECONDS)
    return received


def begin_reports(sources: Mapping[str, PushSource]) -> Reporter | None:
    """Tell the ledger from now on how each source stands, as the processes of other sources do."""
    if not sources:
        return None
    standings = {name: each.standing for name, each in sources.items()}
    submitter = next(iter(sources.values())).submitter
    reporter = Reporter(
        submitter,
        lambda: [each.state for each in standings.values()],
        lambda now: describe_all(standings, now),
        time.monotonic,
    )
    reporter.start()
    return reporter


def _config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=TimedConnection,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=END_SECONDS,
    )


def listen(host: str, port: int) -> socket.socket:
    """Open the socket; raises SfmcImportError when the address cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        fix = "give another --host or --port, or end what listens there"
        raise SfmcImportError(f"cannot listen on {host} port {port}: {error.strerror or error}", fix) from None


def open_sources(
    tables: Sequence[SourceTable],
    verifiers: Sequence[tuple[PushOptions, Verifier]],
    settings: Settings,
    stack: ExitStack,
) -> dict[str, PushSource]:
    """Put the sources together; they connect on first use."""
    client = stack.enter_context(Client.from_settings(settings, confirms_each=False))
    broker = stack.enter_context(connect(settings.broker))
    client.prepare()
    durability = durability_of(settings)
    set_aside = SourceDeadLetters(broker, Keys(settings.transport_prefix, settings.broker_prefix), durability)
    definitions = open_definitions(settings, "server", heard := open_clock())
    ledger = stack.enter_context(connect(settings.redis))

    def inbox_of(name: str, options: PushOptions) -> Inbox | None:
        return None if options.is_served else Inbox(ledger, LedgerKeys(settings.prefix), name, durability=durability)

    return {
        table.name: PushSource(
            options,
            each,
            open_intake(table, options, settings, client, definitions, heard),
            set_aside,
            inbox_of(table.name, options),
        )
        for table, (options, each) in zip(tables, verifiers, strict=True)
    }


def verifiers_of(tables: Sequence[SourceTable], settings: Settings) -> list[tuple[PushOptions, Verifier]]:
    """Check the lines and the secrets of push sources; raises SettingsError with everything that is wrong."""
    fetch = HttpsFetcher(str(settings.ca_bundle) if settings.ca_bundle else True, settings.proxies)
    problems: list[str] = []
    found: list[tuple[PushOptions, Verifier]] = []
    for table, (_, options) in zip(tables, read_options(tables, KINDS), strict=True):
        assert isinstance(options, PushOptions)
        try:
            found.append((options, verifier_of(table.name, options, settings, fetch)))
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(problems)
    return found


def verifier_of(name: str, options: PushOptions, settings: Settings, fetch: Fetch) -> Verifier:
    """Make what knows the senders of a source; raises SettingsError when its secret cannot be used."""
    if options.form == "sns":
        return SnsMessages(frozenset(options.topics), fetch, time.monotonic)
    if options.auth == "google-oidc":
        keys = KeySet(options.keys, fetch, time.monotonic)
        return GoogleTokens(keys, options.audience or "", options.email or "")
    if options.auth == "none":
        return Everybody()
    given = settings.secret_of(name, "secret")
    is_webhook = options.auth == "standard-webhooks"
    secrets = read_secrets(name, given.get_secret_value() if given else "", webhooks=is_webhook)
    KNOWN.learn(*secrets)
    if is_webhook:
        return StandardWebhooks([webhook_key(each) for each in secrets], options.tolerance, time.time)
    if options.auth == "hmac":
        return HmacSignatures(secrets, options.header, options.prefix)
    return BearerTokens(secrets, in_query=options.token_in == "query")  # noqa: S105 - no token


def replay(sources: Mapping[str, PushSource], wakeup: Wakeup) -> None:
    """Take what operators send back from the dead letters, until the end."""
    while not wakeup.is_closing:
        for source in sources.values():
            try:
                source.replay()
                source.say_unread()
                source.forget_not_taken()
            except Exception:
                # The edge of this thread: the next round tries again.
                log.exception("replay_failed", source=source.name)
        wakeup.wait(REPLAY_SECONDS)


def is_answering(redis: Redis) -> bool:
    """Tell whether Redis answers."""
    try:
        return bool(redis.ping())
    except RedisError:
        return False
