"""Settings that must agree with each other; each check names the fields it judges."""

from collections.abc import Iterator

from pydantic import SecretStr

from worker.settings.fields import Settings

LEASE_MARGIN = 2.0
"""Seconds a lease outlasts the longest call: the answer still has to be written down."""

Finding = tuple[set[str], str]
"""The fields that a line is about, and the line."""


def cross_problems(settings: Settings) -> Iterator[Finding]:
    """Yield a line for every pair of settings that cannot both hold."""
    yield from _lease(settings)
    yield from _orders(settings)
    yield from _durability(settings)
    yield from _logins(settings)
    if settings.ca_bundle is not None and not settings.ca_bundle.is_file():
        yield (
            {"ca_bundle"},
            f"SFMC_CA_BUNDLE: {str(settings.ca_bundle)!r} is not a file; give a file of certificates (PEM)",
        )


def missing_login(settings: Settings) -> Iterator[Finding]:
    """Yield a line for everything that is needed to call Marketing Cloud and was not given."""
    needed = ["soap_url", "account_id"]
    legacy = _is_set(settings, "username") or _is_set(settings, "password")
    needed += [] if legacy else ["auth_url", "client_id", "client_secret"]
    for field in needed:
        if not _is_set(settings, field):
            yield {field}, f"SFMC_{field.upper()}: missing; expected: {Settings.model_fields[field].description}"


def _lease(settings: Settings) -> Iterator[Finding]:
    least = settings.connect_timeout + settings.read_timeout + LEASE_MARGIN
    if settings.lease_seconds < least:
        parts = (
            f"connect timeout {settings.connect_timeout:g} + read timeout {settings.read_timeout:g} + {LEASE_MARGIN:g}"
        )
        wrong = f"{settings.lease_seconds:.10g} is shorter than one call may take"
        advice = f"give {least:g} or more ({parts}), or shorten the timeouts"
        yield {"lease_seconds", "connect_timeout", "read_timeout"}, f"SFMC_LEASE_SECONDS: {wrong}; {advice}"


def _orders(settings: Settings) -> Iterator[Finding]:
    for less, more in (
        ("follow_floor", "follow_cap"),
        ("retry_backoff", "retry_backoff_cap"),
        ("settle_seconds", "reconcile_deadline"),
        ("retry_deadline", "request_ttl"),
        ("follow_deadline", "request_ttl"),
    ):
        small, great = getattr(settings, less), getattr(settings, more)
        if small > great:
            wrong = f"{small:.10g} is more than SFMC_{more.upper()} {great:.10g}"
            yield {less, more}, f"SFMC_{less.upper()}: {wrong}; lower it or raise that"


def _durability(settings: Settings) -> Iterator[Finding]:
    if settings.durability == "wait" and settings.wait_replicas == 0:
        yield (
            {"durability", "wait_replicas"},
            "SFMC_WAIT_REPLICAS: 0 replicas cannot confirm; give the number of replicas, or SFMC_DURABILITY=none",
        )


def _logins(settings: Settings) -> Iterator[Finding]:
    for one, other in (("client_id", "client_secret"), ("username", "password")):
        if _is_set(settings, one) != _is_set(settings, other):
            missing, given = (other, one) if _is_set(settings, one) else (one, other)
            yield (
                {one, other},
                f"SFMC_{missing.upper()}: missing beside SFMC_{given.upper()}; give both or neither",
            )
    if _is_set(settings, "client_id") and _is_set(settings, "username"):
        yield (
            {"client_id", "username"},
            "SFMC_USERNAME: given beside SFMC_CLIENT_ID, which wins; give one login and leave the other out",
        )


def _is_set(settings: Settings, field: str) -> bool:
    value = getattr(settings, field)
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)
