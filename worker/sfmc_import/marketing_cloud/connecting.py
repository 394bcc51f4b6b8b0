"""Puts the SOAP adapter of a process together: connections, login, envelopes, and what lets calls pass."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from sfmc_import.calls import retry_call
from sfmc_import.clocks import Clocks
from sfmc_import.marketing_cloud.client import SoapCall, SoapMarketingCloud
from sfmc_import.marketing_cloud.envelopes import Envelopes
from sfmc_import.marketing_cloud.exchange import (
    MAX_PAGE_BYTES,
    Hear,
    KeptConnections,
    Limits,
    PooledPost,
    Post,
    SplitPost,
)
from sfmc_import.marketing_cloud.http import BootClock, Connector, Failed, MarketingCloudConfig, Reply, tls_context
from sfmc_import.marketing_cloud.login import CredentialSource, PasswordSource, Share, TokenSource
from sfmc_import.marketing_cloud.shared_tokens import SharedToken, TokenSharing
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
    clock: Clocks | None = None,
    sleep: Callable[[float], None] | None = None,
    gate: Gate | None = None,
    sharing: TokenSharing | None = None,
) -> SoapMarketingCloud:
    """Make the client of a process. Call `prepare` where the first start must be quick.

    `clock` measures `not_after` and the life of tokens, and notes the time that answers name; `sleep` waits between two
    attempts, `gate` lets calls pass, with `sharing` all processes use one token.
    """
    stopping, clock = Stopping(), clock or BootClock()
    _hide_secrets_of(config)
    service = cache(_load_service)
    connector = Connector(cache(lambda: tls_context(config.verify)), config.proxies, config.connect_timeout)
    kept, hear = KeptConnections(), partial(_note_date, clock)
    post, pause = PooledPost(connector, stopping.queries, kept, hear), sleep or stopping.pause
    envelopes = Envelopes(config, service)
    soap = SoapCall(
        _logins(config, post, clock, _share(sharing, config, clock, pause)),
        envelopes,
        lambda operation, reply: service().understand(operation, reply),
        _way_of_starts(config, connector, stopping, kept, hear),
        partial(_send_query, config, post),
        clock.boottime,
        gate,
    )
    return SoapMarketingCloud(soap, envelopes, _retry_query(config, pause), clock, config.reading_timeout, stopping)


def _way_of_starts(
    config: MarketingCloudConfig, connector: Connector, stopping: Stopping, kept: KeptConnections, hear: Hear
) -> SplitPost:
    keeping = kept if config.starts_on_kept else None
    return SplitPost(config.soap_address, PERFORM, connector, config.read_timeout, stopping.starts, keeping, hear)


def _note_date(clock: Clocks, answer: Reply | Failed, sent: float) -> None:
    """Note the clock of Marketing Cloud; what it did not answer itself has another status than this one."""
    if isinstance(answer, Reply) and answer.status == HTTPStatus.OK and (date := answer.date) is not None:
        clock.note_service(date, sent)


def _hide_secrets_of(config: MarketingCloudConfig) -> None:
    KNOWN.learn(config.client_secret.get_secret_value(), config.password.get_secret_value(), *config.proxies.secrets())


def _share(
    sharing: TokenSharing | None, config: MarketingCloudConfig, clock: Clock, pause: Callable[[float], None]
) -> Share | None:
    if sharing is None:
        return None
    return lambda mid, note: SharedToken(sharing, config, mid, clock=clock.boottime, pause=pause, note=note)


def _logins(config: MarketingCloudConfig, post: Post, clock: Clock, share: Share | None) -> CredentialSource:
    return TokenSource(config, post, clock.boottime, share) if config.uses_tokens else PasswordSource(config)


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
