"""Puts the SOAP adapter of a process together: connections, login, envelopes, and what lets calls pass."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from sfmc_import.calls import retry_call
from sfmc_import.marketing_cloud.client import SoapCall, SoapMarketingCloud
from sfmc_import.marketing_cloud.envelopes import Envelopes
from sfmc_import.marketing_cloud.exchange import MAX_PAGE_BYTES, KeptConnections, Limits, PooledPost, Post, SplitPost
from sfmc_import.marketing_cloud.http import BootClock, Connector, Failed, MarketingCloudConfig, Reply, tls_context
from sfmc_import.marketing_cloud.login import CredentialSource, PasswordSource, TokenSource
from sfmc_import.marketing_cloud.stopping import Stopping
from sfmc_import.permits import Gate
from sfmc_import.ports import Clock, RetryCall
from sfmc_import.redaction import KNOWN
from sfmc_import.retrying import QUERY

if TYPE_CHECKING:
    from sfmc_import.marketing_cloud.soap_library import Service


def connect(
    config: MarketingCloudConfig,
    *,
    clock: Clock | None = None,
    sleep: Callable[[float], None] | None = None,
    gate: Gate | None = None,
) -> SoapMarketingCloud:
    """Make the client of a process. Call `prepare` where the first start must be quick.

    `clock` measures `not_after` and the life of tokens, `sleep` waits between two attempts, `gate` lets calls pass.
    """
    stopping, clock = Stopping(), clock or BootClock()
    _hide_secrets_of(config)
    service = cache(_load_service)
    connector = Connector(cache(lambda: tls_context(config.verify)), config.proxies, config.connect_timeout)
    kept = KeptConnections()
    post = PooledPost(connector, stopping.queries, kept)
    envelopes = Envelopes(config, service)
    keeping = kept if config.starts_on_kept else None
    soap = SoapCall(
        _logins(config, post, clock),
        envelopes,
        lambda operation, reply: service().understand(operation, reply),
        SplitPost(config.soap_address, PERFORM, connector, config.read_timeout, stopping.starts, keeping),
        partial(_send_query, config, post),
        clock.boottime,
        gate,
    )
    retrying = _retry_query(config, sleep or stopping.pause)
    return SoapMarketingCloud(soap, envelopes, retrying, clock, config.reading_timeout, stopping)


def _hide_secrets_of(config: MarketingCloudConfig) -> None:
    KNOWN.learn(config.client_secret.get_secret_value(), config.password.get_secret_value(), *config.proxies.secrets())


def _logins(config: MarketingCloudConfig, post: Post, clock: Clock) -> CredentialSource:
    return TokenSource(config, post, clock.boottime) if config.uses_tokens else PasswordSource(config)


def _retry_query(config: MarketingCloudConfig, sleep: Callable[[float], None]) -> RetryCall:
    policy = replace(QUERY, attempts=config.query_attempts, deadline=config.query_deadline)
    return retry_call(policy, "query_attempt_failed", sleep=sleep)


def _send_query(config: MarketingCloudConfig, post: Post, envelope: bytes, seconds: float) -> Reply | Failed:
    whole = min(seconds, config.connect_timeout + config.read_timeout)
    limits = Limits(whole=whole, answer=config.read_timeout, size=MAX_PAGE_BYTES)
    return post(config.soap_address, envelope, RETRIEVE, limits)


def _headers(operation: str) -> dict[str, str]:
    return {
        "Content-Type": "text/xml; charset=utf-8",
        "SOAPAction": f'"{operation}"',
        "User-Agent": "sfmc-import",
    }


PERFORM, RETRIEVE = _headers("Perform"), _headers("Retrieve")


def _load_service() -> "Service":
    # zeep takes 0.14 s to import: commands that never call Marketing Cloud do not wait for it.
    from sfmc_import.marketing_cloud.soap_library import Service  # noqa: PLC0415

    return Service()
