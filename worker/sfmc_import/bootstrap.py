"""Puts the parts of the use cases together from the settings; each part connects on first use."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Literal
from zoneinfo import ZoneInfo

import structlog

from sfmc_import import marketing_cloud
from sfmc_import.calls import retry_call
from sfmc_import.checking import Days
from sfmc_import.clocks import Clocks, how_wrong
from sfmc_import.definitions import CachedDefinitions
from sfmc_import.gathering import GatheringMarketingCloud, Pace
from sfmc_import.known_logins import known_login
from sfmc_import.ledger import RedisLedger
from sfmc_import.ledger.opening import ledger_settings, open_ledger, open_redis, open_shared
from sfmc_import.marketing_cloud import MarketingCloudConfig, SoapMarketingCloud, TokenSharing
from sfmc_import.marketing_cloud.http import BootClock, boottime
from sfmc_import.permit_lots import LOT_SECONDS, together
from sfmc_import.permits import Gate, QuotaLimits, Share
from sfmc_import.ports import Deps, MarketingCloud, Timing
from sfmc_import.quota import COUNTS_SECONDS, SharedQuota
from sfmc_import.retrying import IN_CALL, LEDGER, RECONCILE, REPEAT, SCHEDULED, Backoff
from sfmc_import.sealing import Seal
from sfmc_import.secret_forms import read_key
from sfmc_import.settings import Settings
from sfmc_import.thread_use import ThreadUse

log = structlog.get_logger(__name__)

Role = Literal["worker", "watcher", "source", "server"]
"""Which process asks Marketing Cloud, in the word that people read."""


def marketing_cloud_config(settings: Settings) -> MarketingCloudConfig:
    """Choose the settings of the SOAP adapter."""
    given = {
        "client_id": settings.client_id,
        "client_secret": settings.client_secret,
        "username": settings.username,
        "password": settings.password,
        "auth_url": settings.auth_url,
        "account_id": settings.account_id,
        "verify": str(settings.ca_bundle) if settings.ca_bundle else None,
    }
    return MarketingCloudConfig(
        soap_url=settings.soap_url or "",
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        token_timeout=settings.token_timeout,
        query_deadline=settings.call_retry_seconds,
        reading_timeout=settings.reading_timeout,
        starts_on_kept=settings.start_connection == "kept",
        proxies=settings.proxies,
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )


def open_marketing_cloud(
    settings: Settings, gate: Gate | None = None, ledger: RedisLedger | None = None, clock: Clocks | None = None
) -> SoapMarketingCloud:
    """Open the SOAP adapter; it connects on first use.

    Without a `gate` its calls are not limited, without a `ledger` it asks for tokens of its own. `clock` notes the time
    that its answers name.
    """
    sharing = None if ledger is None else token_sharing(settings, ledger)
    return marketing_cloud.connect(marketing_cloud_config(settings), gate=gate, sharing=sharing, clock=clock)


def token_sharing(settings: Settings, ledger: RedisLedger) -> TokenSharing | None:
    """Say how the processes of the account share their tokens; None when each asks for its own."""
    key = settings.token_key.get_secret_value()
    return TokenSharing(ledger.tokens(), Seal(read_key(key)), settings.prefix) if key and settings.client_id else None


def quota_limits(settings: Settings) -> QuotaLimits:
    """Choose what holds for the calls of the account."""
    return QuotaLimits(
        account=settings.tenant,
        calls_per_minute=settings.calls_per_minute,
        per_day=settings.calls_per_day,
        per_year=settings.calls_per_year,
        when_spent=settings.when_budget_spent,
        time_zone=settings.time_zone,
        probe_seconds=settings.connect_timeout + max(settings.read_timeout, settings.token_timeout) + LOT_SECONDS,
    )


def open_quota(settings: Settings, ledger: RedisLedger, role: Role, share: Share | None = None) -> SharedQuota:
    """Open the quota of the account, for all calls of this process; with `share` they all count for that."""
    limits = quota_limits(settings)
    return SharedQuota(
        ledger.quota(limits),
        boottime,
        limit=limits.calls_per_minute,
        share=share,
        login=known_login(settings),
        role=role,
    )


def open_definitions(settings: Settings, role: Role, clock: Clocks) -> CachedDefinitions:
    """Open the cache of definitions with a connection to Marketing Cloud of its own; `clock` notes its time."""
    ledger = None if settings.api_url else RedisLedger(open_redis(settings), ledger_settings(settings))
    quota = None if ledger is None else open_quota(settings, ledger, role, "rest")
    service = open_marketing_cloud(settings, quota, ledger, clock)
    return CachedDefinitions(
        service,
        describing=service,
        ttl=settings.definition_ttl,
        clock=boottime,
        longest_wait=settings.reading_timeout,
        shared=None if settings.api_url else open_shared(settings, open_redis(settings), boottime),
        login="" if settings.api_url else known_login(settings).id,
    )


def gathering(service: SoapMarketingCloud, settings: Settings, use: ThreadUse) -> MarketingCloud:
    """Let the questions of all threads gather, unless the settings say never."""
    if not settings.gather_ms:
        return service
    return GatheringMarketingCloud(service, service, gathering_pace(settings), settings.reading_timeout, use=use)


def gathering_pace(settings: Settings) -> Pace:
    """Choose how long questions gather: where calls are not limited, threads may be scarcer."""
    are_calls_limited = bool(settings.calls_per_minute or settings.calls_per_day or settings.calls_per_year)
    return Pace(settings.gather_ms / 1000, spares_threads=not are_calls_limited)


@contextmanager
def _carrying(use: ThreadUse) -> Iterator[None]:
    with use.carrying(), together():
        yield


def timing(settings: Settings) -> Timing:
    """Choose the times of the use cases."""
    delay = settings.results_delay
    requests = Backoff(floor=settings.retry_backoff, cap=settings.retry_backoff_cap)
    queries = RECONCILE.backoff
    return Timing(
        call=settings.connect_timeout + settings.read_timeout,
        check_age=settings.definition_check_ttl,
        days=Days(zone=ZoneInfo(settings.time_zone), margin=settings.midnight_margin),
        results_delay=delay,
        scheduled=replace(SCHEDULED, backoff=requests, results_delay=delay),
        repeat=replace(REPEAT, backoff=requests, results_delay=delay),
        reconcile=replace(
            RECONCILE, backoff=replace(queries, floor=min(queries.floor, delay), cap=max(queries.floor, delay))
        ),
        follow=Backoff(floor=settings.follow_min_interval, cap=settings.follow_max_interval),
    )


def _log_server_change(run_id: str) -> None:
    detail = "it was started anew or took over, and may lack the last writes: starts look for earlier ones first"
    log.warning("redis_server_changed", run_id=run_id, detail=detail)


def _log_clocks(ahead: float) -> None:
    off = abs(round(ahead))
    if not how_wrong(ahead):
        log.info("redis_clock_right", seconds_off=off)
        return
    detail = f"the clock of Redis is {off} s {'ahead of' if ahead > 0 else 'behind'} that of Marketing Cloud"
    log.warning("redis_clock_wrong", seconds_off=off, detail=detail, fix=FIX_CLOCK)


FIX_CLOCK = "synchronise the machine of Redis (NTP): until then starts in doubt end as start_unknown more often"


def open_clock() -> Clocks:
    """Open the clocks of this process; it is logged when that of Redis is wrong."""
    clock = BootClock()
    clock.on_change = _log_clocks
    return clock


def build(settings: Settings) -> Deps:
    """Make the dependencies of the use cases; each connects on first use."""
    ledger = open_ledger(settings, client := open_redis(settings, keeps_connections=True))
    ledger.server.on_change = _log_server_change
    clock = open_clock()
    service = open_marketing_cloud(settings, quota := open_quota(settings, ledger, "worker"), ledger, clock)
    asked = gathering(service, settings, use := ThreadUse())
    return Deps(
        marketing_cloud=asked,
        ledger=ledger,
        definitions=CachedDefinitions(
            asked,
            ttl=settings.definition_ttl,
            clock=boottime,
            longest_wait=settings.reading_timeout,
            shared=open_shared(settings, client, boottime),
        ),
        clock=clock,
        retry_call=retry_call(
            replace(IN_CALL, deadline=settings.call_retry_seconds), "start_attempt_failed", sleep=service.pause
        ),
        retry_ledger=retry_call(LEDGER),
        policies=settings.policy,
        chance=random.random,
        timing=timing(settings),
        baseline=settings.known_runs != "ledger",
        whole_baseline=settings.known_runs == "all",
        together=partial(_carrying, use),
        count_usage=partial(quota.flush, older_than=COUNTS_SECONDS),
    )
