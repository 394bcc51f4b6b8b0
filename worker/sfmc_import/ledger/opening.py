"""Opens Redis and the ledger as the settings say."""

from collections.abc import Callable
from typing import Any

from redis import Redis

from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.ledger_settings import Durability, LedgerSettings, careful_seconds
from sfmc_import.ledger.redis_ledger import RedisLedger
from sfmc_import.ledger.shared_definitions import SharedDefinitions
from sfmc_import.redis_client import connect
from sfmc_import.settings import Settings


def durability_of(settings: Settings) -> Durability:
    """Choose who confirms what is recorded."""
    return Durability(kind=settings.durability, replicas=settings.wait_replicas)


def ledger_settings(settings: Settings) -> LedgerSettings:
    """Choose what the ledger needs of the settings."""
    return LedgerSettings(
        prefix=settings.prefix,
        lease=settings.lease_seconds,
        answer=settings.connect_timeout + settings.read_timeout,
        results_delay=settings.results_delay,
        loss_ttl=careful_seconds(settings.connect_timeout + settings.read_timeout, settings.results_delay),
        first_poll=settings.follow_min_interval,
        request_ttl=settings.request_ttl,
        seen_ttl=settings.seen_ttl,
        definition_ttl=settings.definition_ttl,
        stream_maxlen=settings.stream_maxlen,
        durability=durability_of(settings),
    )


def open_redis(settings: Settings, *, keeps_connections: bool = False) -> Redis:
    """Open the client for ledger and stream; it connects on first use.

    A process that asks all the time `keeps_connections`. Through Sentinel it does not: a pool leaves an old primary as
    soon as one connection has found the new one.
    """
    client: Any = connect(settings.redis)
    client.keeps_connections = keeps_connections and settings.redis.scheme != "sentinel"
    return client  # type: ignore[no-any-return]


def open_shared(settings: Settings, client: Redis, clock: Callable[[], float]) -> SharedDefinitions:
    """Open what processes share of definitions; it connects on first use."""
    return SharedDefinitions(client, Keys(settings.prefix), ttl=settings.definition_ttl, clock=clock)


def open_ledger(settings: Settings, client: Redis | None = None) -> RedisLedger:
    """Open the ledger of a worker or of an operator; it connects on first use."""
    client = client or open_redis(settings)
    ledger = RedisLedger(client, ledger_settings(settings))
    ledger.works_off = True
    ledger.server.watch(client)
    return ledger
