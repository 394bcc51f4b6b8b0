"""The wiring of this adapter: from a configuration to a client; nothing is opened or loaded before its first use."""

import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from worker.adapters.boot_clock import BootClock
from worker.adapters.marketing_cloud.client import SoapMarketingCloud
from worker.adapters.marketing_cloud.config import MarketingCloudConfig
from worker.adapters.marketing_cloud.credentials import Logins, UserLogins
from worker.adapters.marketing_cloud.envelopes import Envelopes
from worker.adapters.marketing_cloud.exchange import Exchange
from worker.adapters.marketing_cloud.fresh import FreshPost
from worker.adapters.marketing_cloud.pooled import PooledPost
from worker.adapters.marketing_cloud.wire import Failed, Reply, tls_context
from worker.adapters.patience import persistence
from worker.adapters.tokens import Tokens
from worker.ports import Clock

if TYPE_CHECKING:
    from worker.adapters.marketing_cloud.service import Service


def connect(
    config: MarketingCloudConfig, *, clock: Clock | None = None, sleep: Callable[[float], None] = time.sleep
) -> SoapMarketingCloud:
    """Make the client of a process; call it in each process, and `prepare` it where the first start must be quick.

    `clock` is what `not_after` and the life of tokens are held against, `sleep` waits between two tries of a query.
    """
    clock = clock or BootClock()
    tls = cache(lambda: tls_context(config.verify))
    service = cache(_load_service)
    post = PooledPost(tls, config.connect_timeout)
    logins: Logins = Tokens(config, post, clock.boottime) if config.uses_tokens else UserLogins(config)
    envelopes = Envelopes(config, service)
    send_start = FreshPost(config.soap_address, _headers("Perform"), tls, config.connect_timeout, config.read_timeout)

    def send_query(envelope: bytes) -> Reply | Failed:
        return post(config.soap_address, envelope, _headers("Retrieve"), config.read_timeout)

    exchange = Exchange(
        logins, envelopes, lambda operation, reply: service().understand(operation, reply), send_start, send_query
    )
    persist = persistence(
        "query_attempt_failed", deadline=config.query_deadline, attempts=config.query_attempts, sleep=sleep
    )
    return SoapMarketingCloud(exchange, envelopes, persist, clock)


def _headers(operation: str) -> dict[str, str]:
    return {
        "Content-Type": "text/xml; charset=utf-8",
        "SOAPAction": f'"{operation}"',
        "User-Agent": "sfmc-import",
    }


def _load_service() -> "Service":
    # zeep takes 0.14 s to import: commands that never call Marketing Cloud do not wait for it.
    from worker.adapters.marketing_cloud.service import Service  # noqa: PLC0415

    return Service()
