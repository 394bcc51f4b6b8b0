"""Where Marketing Cloud is, who we are there, and what comes back over HTTP: an answer, or why there is none."""

import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from sfmc_import.proxies import Proxies
from sfmc_import.retrying import MAX_RETRY_AFTER_SECONDS

TOKEN_PATH = "/v2/token"  # noqa: S105 - a path, not a secret
SOAP_PATH = "/Service.asmx"


class SecretValue(Protocol):
    """A text that does not show itself; pydantic's SecretStr is one."""

    def get_secret_value(self) -> str:
        """Give the text."""
        ...


class PlainSecret:
    """The plainest Secret, for programs without pydantic; it shows itself as pydantic's SecretStr does."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        """Give the text."""
        return self._value

    def __repr__(self) -> str:
        return f"PlainSecret('{self}')"

    def __str__(self) -> str:
        return "**********" if self._value else ""


NO_SECRET = PlainSecret("")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketingCloudConfig:
    """Where Marketing Cloud is and who we are there; times in seconds.

    `auth_url` and `soap_url` may be given with or without `/v2/token` and `/Service.asmx`.
    `client_id` and `client_secret` are those of an installed package with a server-to-server component;
    without a client id, `username` and `password` are sent as a WS-Security UsernameToken instead,
    and the service acts in that user's own business unit.
    `read_timeout` is for sending and the whole answer, `reading_timeout` for all attempts and pages of one query.
    `verify` is True for the system's certificates, the path of a CA bundle, or False for none.
    """

    soap_url: str
    auth_url: str = ""
    client_id: str = ""
    client_secret: SecretValue = NO_SECRET
    account_id: str = ""
    username: str = ""
    password: SecretValue = NO_SECRET
    connect_timeout: float = 3.0
    read_timeout: float = 60.0
    token_timeout: float = 10.0
    query_deadline: float = 15.0
    query_attempts: int = 4
    reading_timeout: float = 80.0
    verify: bool | str = True
    proxies: Proxies = field(default_factory=Proxies)

    @property
    def uses_tokens(self) -> bool:
        """Whether calls carry an OAuth2 token; otherwise user name and password."""
        return bool(self.client_id)

    @property
    def token_address(self) -> str:
        """Give the whole address of the token endpoint."""
        return _complete(self.auth_url, TOKEN_PATH)

    @property
    def soap_address(self) -> str:
        """Give the whole address of the SOAP endpoint."""
        return _complete(self.soap_url, SOAP_PATH)


def _complete(url: str, path: str) -> str:
    parts = urlsplit(url.strip())
    return parts._replace(path=parts.path if len(parts.path) > 1 else path, fragment="").geturl()


# Only Linux has CLOCK_BOOTTIME; elsewhere the monotonic clock stands in and may stop while a machine sleeps.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boottime() -> float:
    """Seconds since an arbitrary start: steady, never set back, and counting while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


class BootClock:
    """CLOCK_BOOTTIME as the port Clock."""

    def boottime(self) -> float:
        """Seconds since an arbitrary start."""
        return boottime()


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete HTTP answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)

    @property
    def retry_after(self) -> float | None:
        """Give the seconds that the header Retry-After names, as a number or as a date (RFC 9110, 10.2.3).

        They are finite and at most MAX_RETRY_AFTER_SECONDS; what is neither of both counts as absent.
        """
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return min(float(value), MAX_RETRY_AFTER_SECONDS)
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError, TypeError, IndexError):
            return None
        return min(max(0.0, seconds), MAX_RETRY_AFTER_SECONDS)


@dataclass(frozen=True, slots=True)
class Failed:
    """No complete answer: `situation` is a word of sfmc_import.faults.SITUATIONS."""

    situation: str
    text: str


def tls_context(verify: bool | str) -> ssl.SSLContext:
    """Make the one TLS context of a process: the system's certificates, those of a CA bundle, or no check."""
    context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def place(address: SplitResult) -> str:
    """Name a server without path, query or credentials."""
    return f"{address.scheme}://{address.hostname}:{port_of(address)}"


def port_of(address: SplitResult) -> int:
    """Give the port of an address, by default that of its scheme."""
    return address.port or (443 if address.scheme == "https" else 80)


def not_connected(server: str, error: Exception) -> Failed:
    """Name a failure before the first byte was sent."""
    return Failed(_before_sending(error), f"cannot connect to {server}: {describe_error(error)}")


def describe_error(error: Exception) -> str:
    """Put a network error in a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "timed out"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def _before_sending(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "dns"
    if isinstance(error, TimeoutError):
        return "connect_timeout"
    return "refused" if isinstance(error, ConnectionRefusedError) else "unreachable"
