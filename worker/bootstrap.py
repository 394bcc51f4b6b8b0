"""The only place where settings, adapters and use cases meet; it opens what it is asked for, when it is asked."""

import random
from collections.abc import Callable
from typing import TypeVar

from redis import Redis
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from worker.adapters import marketing_cloud
from worker.adapters.boot_clock import BootClock
from worker.adapters.definitions import CachedDefinitions
from worker.adapters.ledger import LedgerSettings, RedisLedger
from worker.adapters.ledger.durability import Durability
from worker.adapters.marketing_cloud import MarketingCloudConfig, SoapMarketingCloud
from worker.adapters.patience import patience
from worker.adapters.redis_client import connect
from worker.domain.retrying import Backoff
from worker.ports import LedgerDownError
from worker.service.deps import Deps, Timing
from worker.settings import Settings

T = TypeVar("T")

# How long an outcome is kept in hand while Redis is away, in seconds; after that reconciliation finds it.
PERSIST_SECONDS = 60.0

# How often one try may send Perform while provably nothing is applied; after that the ledger waits longer.
START_ATTEMPTS = 5


def ledger_settings(settings: Settings) -> LedgerSettings:
    """Choose what the ledger needs of the settings."""
    return LedgerSettings(
        prefix=settings.prefix,
        lease=settings.lease_seconds,
        settle=settings.settle_seconds,
        first_look=settings.follow_floor,
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
        query_deadline=settings.retry_seconds,
        **{name: value for name, value in given.items() if value is not None},  # type: ignore[arg-type]
    )


def open_marketing_cloud(settings: Settings) -> SoapMarketingCloud:
    """Open the SOAP adapter; it connects on first use."""
    return marketing_cloud.connect(marketing_cloud_config(settings))


def timing(settings: Settings) -> Timing:
    """Choose the times of the use cases."""
    return Timing(
        call=settings.connect_timeout + settings.read_timeout,
        settle=settings.settle_seconds,
        retry=Backoff(floor=settings.retry_backoff, cap=settings.retry_backoff_cap),
        look=Backoff(floor=min(10.0, settings.settle_seconds), cap=max(10.0, settings.settle_seconds)),
        follow=Backoff(floor=settings.follow_floor, cap=settings.follow_cap, factor=1.5),
    )


def persist(step: Callable[[], T], seconds: float = PERSIST_SECONDS) -> T:
    """Repeat a step of the ledger while Redis is away; raises LedgerDownError when it stays away."""
    attempts = Retrying(
        retry=retry_if_exception_type(LedgerDownError),
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
        patience=patience(deadline=settings.retry_seconds, attempts=START_ATTEMPTS),
        persist=persist,
        policies=settings.policy,
        chance=random.random,
        timing=timing(settings),
        baseline=settings.baseline == "retrieve",
    )
