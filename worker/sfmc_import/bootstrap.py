"""The only place where settings, adapters and use cases meet; it opens what it is asked for, when it is asked."""

import random
from collections.abc import Callable
from typing import TypeVar

from redis import Redis
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from sfmc_import import marketing_cloud
from sfmc_import.clock import BootClock
from sfmc_import.definitions import CachedDefinitions
from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_import.ledger.schema import Durability
from sfmc_import.marketing_cloud import MarketingCloudConfig, SoapMarketingCloud
from sfmc_import.ports import Deps, LedgerUnavailableError, Timing
from sfmc_import.redis_server import connect
from sfmc_import.retry_call import retry_call
from sfmc_import.retrying import Backoff
from sfmc_import.settings import Settings

T = TypeVar("T")

# How long an outcome is kept in hand while Redis is away, in seconds; after that reconciliation finds it.
LEDGER_RETRY_SECONDS = 60.0

# How often one try may send Perform while provably nothing is applied; after that the ledger waits longer.
START_ATTEMPTS = 5


def ledger_settings(settings: Settings) -> LedgerSettings:
    """Choose what the ledger needs of the settings."""
    return LedgerSettings(
        prefix=settings.prefix,
        lease=settings.lease_seconds,
        results_delay=settings.results_delay,
        first_poll=settings.follow_min_interval,
        request_ttl=settings.request_ttl,
        seen_ttl=settings.seen_ttl,
        stream_maxlen=settings.stream_maxlen,
        durability=Durability(kind=settings.durability, replicas=settings.wait_replicas),
    )


def open_redis(settings: Settings) -> Redis:
    """Open the client for ledger and stream."""
    return connect(settings.redis)


def open_ledger(settings: Settings) -> RedisLedger:
    """Open the ledger; it connects on first use."""
    return RedisLedger(open_redis(settings), ledger_settings(settings))


def marketing_cloud_config(settings: Settings) -> MarketingCloudConfig:
    """Choose what the SOAP adapter needs of the settings."""
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
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )


def open_marketing_cloud(settings: Settings) -> SoapMarketingCloud:
    """Open the SOAP adapter; it connects on first use."""
    return marketing_cloud.connect(marketing_cloud_config(settings))


def timing(settings: Settings) -> Timing:
    """Choose the times of the use cases."""
    return Timing(
        call=settings.connect_timeout + settings.read_timeout,
        results_delay=settings.results_delay,
        retry=Backoff(floor=settings.retry_backoff, cap=settings.retry_backoff_cap),
        reconcile=Backoff(floor=min(10.0, settings.results_delay), cap=max(10.0, settings.results_delay)),
        follow=Backoff(floor=settings.follow_min_interval, cap=settings.follow_max_interval, factor=1.5),
    )


def retry_ledger(step: Callable[[], T], seconds: float = LEDGER_RETRY_SECONDS) -> T:
    """Repeat a step of the ledger while Redis is away; raises LedgerUnavailableError when it stays away."""
    attempts = Retrying(
        retry=retry_if_exception_type(LedgerUnavailableError),
        wait=wait_random_exponential(multiplier=0.1, max=2.0),
        stop=stop_after_delay(seconds),
        reraise=True,
    )
    return attempts(step)


def build(settings: Settings) -> Deps:
    """Put the use cases' parts together; nothing is connected before it is used."""
    service = open_marketing_cloud(settings)
    return Deps(
        marketing_cloud=service,
        ledger=open_ledger(settings),
        definitions=CachedDefinitions(service, ttl=settings.definition_ttl),
        clock=BootClock(),
        retry_call=retry_call(deadline=settings.call_retry_seconds, attempts=START_ATTEMPTS),
        retry_ledger=retry_ledger,
        policies=settings.policy,
        chance=random.random,
        timing=timing(settings),
        baseline=settings.known_runs == "query",
    )
