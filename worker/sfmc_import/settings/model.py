"""The settings: names, types, defaults, what to give for each, and which of them exclude each other."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, SecretStr, field_validator

from sfmc_import.permits import LEAST_LIMIT
from sfmc_import.policy import Policies, Policy
from sfmc_import.proxies import Proxies
from sfmc_import.redis_address import RedisAddress, parse_redis_url
from sfmc_import.request import DEFAULT_PREFIX, broker_prefix
from sfmc_import.routing import Route
from sfmc_import.schedules import Schedule
from sfmc_import.settings.notify_table import NotifyTable
from sfmc_import.settings.policy_file import SourceTable, TargetTable
from sfmc_import.settings.schedule_table import ScheduleTable
from sfmc_import.settings.values import (
    ApiToken,
    ApiUrl,
    CaBundle,
    LoginName,
    LoginSecret,
    Mid,
    ProxyAddress,
    RedisUrl,
    Seconds,
    TokenKey,
    Url,
    Zone,
)

HOUR = 3600.0
DAY = 24 * HOUR
REDIS_FORMS = "redis://, rediss://, unix:///path or sentinel://host,host/0?master_name=NAME"


class Settings(BaseModel):
    """Everything that can be set, checked and frozen; times in seconds.

    Each field is the variable SFMC_ + its name in capitals, except those of the TOML file;
    an empty text or secret means that it is not set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    redis_url: RedisUrl = Field("redis://127.0.0.1:6379/0", repr=False, description=REDIS_FORMS)
    broker_url: RedisUrl | None = Field(None, repr=False, description=f"{REDIS_FORMS}; without it SFMC_REDIS_URL")
    redis_password: SecretStr = Field(
        SecretStr(""), description="the password of Redis, for addresses that have none; best as a secret file"
    )
    prefix: str = Field(DEFAULT_PREFIX, pattern=r"^[^\s{}]{1,64}$", description="the beginning of all keys in Redis")
    wait_replicas: int = Field(
        0, ge=0, le=16, description="how many replicas must confirm that a start or a request is recorded"
    )
    durability: Literal["none", "wait", "waitaof"] = Field(
        "none",
        description="what confirms a start before it is sent, and a request before its source lets go of it: none, wait"
        " (replicas) or waitaof (the local disk too; Redis 7.2 or later)",
    )

    api_url: ApiUrl = Field(
        "", description="the address of `sfmc-import serve`: commands and producers then use its API instead of Redis"
    )
    api_token: ApiToken = Field(SecretStr(""), description="a token of `sfmc-import tokens add`, for SFMC_API_URL")

    auth_url: Url = Field("", description="https://SUBDOMAIN.auth.marketingcloudapis.com")
    soap_url: Url = Field("", description="https://SUBDOMAIN.soap.marketingcloudapis.com/Service.asmx")
    client_id: LoginName = Field("", description="the client id of the installed package")
    client_secret: LoginSecret = Field(SecretStr(""), description="the client secret of the installed package")
    account_id: Mid = Field("", description="the MID of the business unit, such as 510001234")
    token_key: TokenKey = Field(
        SecretStr(""),
        description="32 bytes as url-safe base64: seals the access token that all processes share; without it each"
        " process asks for its own",
    )
    username: LoginName = Field("", description="the user of the legacy login")
    password: LoginSecret = Field(SecretStr(""), description="the password of the legacy login")
    ca_bundle: CaBundle | None = Field(
        None, description="a file of certificates (PEM) to trust instead of the usual ones"
    )
    proxy: ProxyAddress = Field(
        SecretStr(""),
        description="http://HOST:PORT of the proxy for all calls to Marketing Cloud, with USER:PASSWORD@ before HOST if"
        " it asks for a login, or none; without it HTTPS_PROXY, HTTP_PROXY and NO_PROXY",
    )
    time_zone: Zone = Field(
        # Marketing Cloud docs, "Time zones": system time is US Central standard, without daylight saving.
        "Etc/GMT+6", description="the time zone of dates in FileSpec as IANA names it, such as Europe/Berlin"
    )  # fmt: skip
    midnight_margin: Seconds = Field(
        60.0, le=6 * HOUR, description="seconds before and after midnight without a start whose FileSpec has a date"
    )

    connect_timeout: Seconds = Field(5.0, description="seconds to reach Marketing Cloud")
    read_timeout: Seconds = Field(120.0, description="seconds Marketing Cloud may take to answer")
    token_timeout: Seconds = Field(30.0, description="seconds the token endpoint may take to answer")
    call_retry_seconds: Seconds = Field(
        20.0, description="seconds in which one call is repeated, before the request waits for its next attempt"
    )

    calls_per_minute: int = Field(
        2000,
        ge=0,
        le=1_000_000,
        description="calls to Marketing Cloud of all processes of the account in a minute, at least 60; 0: no limit",
    )
    max_running: int = Field(
        0,
        ge=0,
        le=10_000,
        description="how many imports of the account run at once, up to 10,000; 0: no limit",
    )
    calls_per_day: int = Field(0, ge=0, le=10**12, description="the budget of calls of a day; 0: none")
    calls_per_year: int = Field(0, ge=0, le=10**12, description="the budget of calls of a year; 0: none")
    when_budget_spent: Literal["warn", "hold"] = Field(
        "warn",
        description="warn, or hold (no start, no question before the next day or a higher budget; runs are followed)",
    )

    lease_seconds: Seconds = Field(180.0, description="seconds after which another worker may take over a request")
    results_delay: Seconds = Field(60.0, description="most seconds until a started run shows in ImportResultsSummary")
    reconcile_deadline: Seconds = Field(900.0, description="seconds to look for the run of a start that got no answer")
    retry_deadline: Seconds = Field(
        6 * HOUR, description="seconds until a request that cannot be started ends as gave_up"
    )
    retry_backoff: Seconds = Field(15.0, description="seconds before the second attempt")
    retry_backoff_cap: Seconds = Field(900.0, description="most seconds between two attempts")
    follow_deadline: Seconds = Field(24 * HOUR, description="seconds to follow a run")
    follow_min_interval: Seconds = Field(5.0, description="seconds before the first poll of a run")
    follow_max_interval: Seconds = Field(60.0, description="most seconds between two polls of a run")
    error_pause: Seconds = Field(
        60.0, description="seconds a definition waits after an import that ended in Error; longer after each in a row"
    )
    sweep_seconds: Seconds = Field(
        1.0, description="seconds between two sweeps; a sweep wakes the requests that are due"
    )
    sweep_batch: int = Field(250, ge=1, le=10_000, description="how many requests one sweep wakes, 1 to 10000")
    definition_ttl: Seconds = Field(300.0, description="seconds until a definition is read again")
    definition_check_ttl: Seconds = Field(
        10.0,
        description="seconds that a definition may be old right before a start, and when a file is routed by FileSpec",
    )
    known_runs: Literal["query", "all", "ledger"] = Field(
        "query",
        description="query (before a start, ask Marketing Cloud for runs newer than the newest one known), all (for all"
        " runs of the definition) or ledger (only runs in the ledger)",
    )
    gather_ms: int = Field(
        100,
        ge=0,
        le=1000,
        description="most milliseconds in which questions to Marketing Cloud gather to go as one, 0 to 1000; 0: never."
        " Where calls are not limited, none gathers while Performs hold more than half of the threads for so long",
    )
    start_connection: Literal["kept", "new"] = Field(
        "kept",
        description="kept (a start goes over a connection that answered within the last second, where there is one) or"
        " new (each start makes its own)",
    )
    stream_maxlen: int = Field(
        1_000_000, ge=1000, le=10**9, description="how many events the stream keeps, 1000 to 1000000000"
    )
    request_ttl: Seconds = Field(30 * DAY, description="seconds an ended request is remembered")
    seen_ttl: Seconds = Field(30 * DAY, description="seconds a file or event is remembered as handled")

    concurrency: int = Field(32, ge=1, le=512, description="tasks at the same time in one worker, 1 to 512")
    slow_call_seconds: Seconds = Field(
        2.0, description="seconds after which a start or a poll gives its thread to other work and goes on by itself"
    )
    slow_calls: int = Field(
        128, ge=0, le=4096, description="starts and polls of one worker that may go on by themselves, 0 to 4096"
    )
    pool: Literal["threads", "prefork", "solo"] = Field("threads", description="threads, prefork or solo")
    stop_seconds: Seconds = Field(
        20.0, description="seconds that a start under way may take after SIGTERM; then it is cut and looked for later"
    )
    transport: Literal["reliable", "stock"] = Field("reliable", description="reliable, or stock (kombu's own)")
    remote_control: bool = Field(
        False, description="true or false: whether workers answer Celery's inspect and control, and Flower"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")
    log_format: Literal["auto", "json", "pretty"] = Field(
        "auto", description="auto (pretty on a terminal), json, pretty"
    )
    public_url: Url = Field(
        "", description="the address of `serve` in browsers, such as https://ops.example.com/imports; without it /"
    )
    heartbeat_file: Path | None = Field(None, description="a file that worker and beat touch while they live")

    policies: InstanceOf[Policies] = Field(
        default_factory=Policies, description="[defaults] and [[definition]] of the TOML file"
    )
    routes: tuple[InstanceOf[Route], ...] = Field((), description="[[route]] of the TOML file")
    sources: tuple[InstanceOf[SourceTable], ...] = Field((), description="[[source]] of the TOML file")
    schedule_tables: Mapping[str, InstanceOf[ScheduleTable]] = Field(
        default_factory=dict, description="those of kind `schedule`, by name"
    )
    targets: tuple[InstanceOf[TargetTable], ...] = Field((), description="[[target]] of the TOML file")
    notifications: Mapping[str, InstanceOf[NotifyTable]] = Field(
        default_factory=dict, description="[[notify]] of the TOML file, by name"
    )
    source_secrets: Mapping[str, SecretStr] = Field(
        default_factory=dict,
        repr=False,
        description="SFMC_SOURCE_NAME_…, SFMC_TARGET_NAME_… and SFMC_NOTIFY_NAME_…: their secrets",
    )
    proxies: InstanceOf[Proxies] = Field(
        default_factory=Proxies, repr=False, description="SFMC_PROXY, or HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
    )

    @field_validator(
        "durability",
        "known_runs",
        "start_connection",
        "when_budget_spent",
        "pool",
        "transport",
        "log_level",
        "log_format",
        mode="before",
    )
    @classmethod
    def _in_any_case(cls, value: object) -> object:
        return value.strip().lower() if isinstance(value, str) else value

    @property
    def redis(self) -> RedisAddress:
        """Where ledger and stream are."""
        return parse_redis_url(self.redis_url).with_password(self.redis_password.get_secret_value())

    @property
    def broker(self) -> RedisAddress:
        """Where Celery's messages are; `broker.celery_url` and `broker.celery_tls` are for Celery."""
        address = parse_redis_url(self.broker_url or self.redis_url)
        return address.with_password(self.redis_password.get_secret_value())

    @property
    def broker_variable(self) -> str:
        """The setting that has the address of Celery's messages."""
        return "SFMC_BROKER_URL" if self.broker_url else "SFMC_REDIS_URL"

    @property
    def account(self) -> str:
        """Whose requests this process starts: the business unit and the host; empty without a login."""
        host = urlsplit(self.soap_url).hostname
        return f"{self.account_id} at {host}" if self.account_id and host else ""

    @property
    def tenant(self) -> str:
        """Whose calls are counted together: the host of the SOAP API, for all its business units; empty without one."""
        return (urlsplit(self.soap_url).hostname or "").lower()

    @property
    def broker_prefix(self) -> str:
        """What Celery's own keys begin with: kombu's `global_keyprefix`."""
        return broker_prefix(self.prefix)

    @property
    def transport_prefix(self) -> str:
        """What the keys of the reliable transport begin with; its hash tag is the name of the stream."""
        return f"{{{self.prefix}events}}:transport:"

    def policy(self, mid: str, customer_key: str) -> Policy:
        """How this definition is treated: its own table, then [defaults], then the settings."""
        return self.policies.of(mid, customer_key, self._usual())

    def may_use(self, mid: str) -> bool:
        """Tell whether the login can work in a business unit: a user name works in its own one alone."""
        return not self.username or mid in {"", self.account_id}

    def secrets(self) -> tuple[str, ...]:
        """Texts that must never be seen, for the redaction of logs."""
        addresses = (self.redis, self.broker)
        held = [secret.get_secret_value() for secret in self._plain_secrets()]
        held += [secret.get_secret_value() for secret in self.source_secrets.values()]
        held += [text for one in addresses for text in one.secrets]
        held += [self.proxy.get_secret_value() if "@" in self.proxy.get_secret_value() else "", *self.proxies.secrets()]
        return tuple(dict.fromkeys(text for text in held if text))

    def _plain_secrets(self) -> tuple[SecretStr, ...]:
        return (self.client_secret, self.password, self.redis_password, self.api_token, self.token_key)

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """What beat starts by the clock."""
        return tuple(table.as_schedule(name, self.time_zone) for name, table in self.schedule_tables.items())

    def secret_of(self, source: str, what: str) -> SecretStr | None:
        """Give the secret SFMC_SOURCE_<source>_<what>, from the environment or a secret file; None without one."""
        return self._secret("SOURCE", source, what)

    def target_secret(self, target: str, what: str) -> SecretStr | None:
        """Give the secret SFMC_TARGET_<target>_<what>; None without one."""
        return self._secret("TARGET", target, what)

    def notify_secret(self, name: str, what: str) -> SecretStr | None:
        """Give the secret SFMC_NOTIFY_<name>_<what>; None without one."""
        return self._secret("NOTIFY", name, what)

    def _secret(self, kind: str, name: str, what: str) -> SecretStr | None:
        return self.source_secrets.get(f"SFMC_{kind}_{name.upper().replace('-', '_')}_{what.upper()}")

    @property
    def reading_timeout(self) -> float:
        """Seconds for all attempts and pages of one query: up to three of them happen under one lease."""
        return max(0.1, (self.lease_seconds - LEASE_MARGIN) / 3)

    def _usual(self) -> Policy:
        return Policy(
            retry_deadline=self.retry_deadline,
            reconcile_deadline=self.reconcile_deadline,
            follow_deadline=self.follow_deadline,
            error_pause=self.error_pause,
            time_zone=self.time_zone,
            max_running=self.max_running,
        )


LEASE_MARGIN = 2.0
"""Seconds a lease outlasts the longest call: the answer still has to be written down."""

Finding = tuple[set[str], str]
"""The fields that a line is about, and the line."""


def cross_problems(settings: Settings) -> Iterator[Finding]:
    """Yield a line for every pair of settings that cannot both hold."""
    yield from _lease(settings)
    yield from _orders(settings)
    yield from _quota(settings)
    yield from _durability(settings)
    yield from _api(settings)
    yield from _sealing(settings)
    yield from _logins(settings)
    yield from _legacy_business_units(settings)


def unplaced_schedules(settings: Settings) -> Iterator[str]:
    """Yield a line for each schedule of which beat would not know the business unit."""
    for name, table in settings.schedule_tables.items():
        if not (table.mid or settings.account_id):
            yield f"[[source]] {name} mid: missing; expected: the MID of its business unit, or SFMC_ACCOUNT_ID for beat"


def missing_login(settings: Settings) -> Iterator[Finding]:
    """Yield a line for each missing setting of the login at Marketing Cloud."""
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
        wrong = f"{settings.lease_seconds:.10g} is shorter than one call can take"
        advice = f"give {least:g} or more ({parts}), or shorten the timeouts"
        yield {"lease_seconds", "connect_timeout", "read_timeout"}, f"SFMC_LEASE_SECONDS: {wrong}; {advice}"


def _orders(settings: Settings) -> Iterator[Finding]:
    for less, more in (
        ("follow_min_interval", "follow_max_interval"),
        ("retry_backoff", "retry_backoff_cap"),
        ("results_delay", "reconcile_deadline"),
        ("retry_deadline", "request_ttl"),
        ("follow_deadline", "request_ttl"),
    ):
        small, great = getattr(settings, less), getattr(settings, more)
        if small > great:
            wrong = f"{small:.10g} is more than SFMC_{more.upper()} {great:.10g}"
            yield {less, more}, f"SFMC_{less.upper()}: {wrong}; lower it, or raise SFMC_{more.upper()}"


def _quota(settings: Settings) -> Iterator[Finding]:
    if 0 < settings.calls_per_minute < LEAST_LIMIT:
        wrong = f"{settings.calls_per_minute} is too few for one start"
        advice = f"give {LEAST_LIMIT} or more, or 0 for no limit"
        yield {"calls_per_minute"}, f"SFMC_CALLS_PER_MINUTE: {wrong}; {advice}"


def _durability(settings: Settings) -> Iterator[Finding]:
    if settings.durability == "wait" and settings.wait_replicas == 0:
        yield (
            {"durability", "wait_replicas"},
            "SFMC_WAIT_REPLICAS: SFMC_DURABILITY=wait needs at least 1; give that, or set SFMC_DURABILITY=none",
        )


def _api(settings: Settings) -> Iterator[Finding]:
    if settings.api_url and not _is_set(settings, "api_token"):
        advice = "give one of `sfmc-import tokens add`, best as a secret file"
        yield {"api_url", "api_token"}, f"SFMC_API_TOKEN: missing, but SFMC_API_URL is given; {advice}"


def _sealing(settings: Settings) -> Iterator[Finding]:
    if _is_set(settings, "token_key") and find_spec("cryptography") is None:
        wrong = "needs cryptography, which is not installed"
        advice = "install it with: pip install 'sfmc-import[tokens]', or give no key"
        yield {"token_key"}, f"SFMC_TOKEN_KEY: {wrong}; {advice}"


def _logins(settings: Settings) -> Iterator[Finding]:
    for one, other in (("client_id", "client_secret"), ("username", "password")):
        if _is_set(settings, one) != _is_set(settings, other):
            missing, given = (other, one) if _is_set(settings, one) else (one, other)
            yield (
                {one, other},
                f"SFMC_{missing.upper()}: missing, but SFMC_{given.upper()} is given; give both or neither",
            )
    if _is_set(settings, "client_id") and _is_set(settings, "username"):
        yield (
            {"client_id", "username"},
            "SFMC_USERNAME: given together with SFMC_CLIENT_ID; give one login and remove the other",
        )


def _legacy_business_units(settings: Settings) -> Iterator[Finding]:
    named = [mid for mid, _ in settings.policies.definitions] + [route.mid for route in settings.routes]
    named += [table.mid for table in settings.schedule_tables.values()]
    others = dict.fromkeys(mid for mid in named if mid is not None and not settings.may_use(mid))
    if others:
        wrong = f"this login cannot choose the business unit {', '.join(others)} that the policy file names"
        advice = "remove that mid, or use an installed package (SFMC_CLIENT_ID)"
        yield {"username", "account_id"}, f"SFMC_USERNAME: {wrong}; {advice}"


def _is_set(settings: Settings, field: str) -> bool:
    value = getattr(settings, field)
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)
