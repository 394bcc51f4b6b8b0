"""What HTTP can answer, as values, and the TLS both ways of asking share; no SOAP is known here, nothing is logged."""

import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete HTTP answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)

    @property
    def retry_after(self) -> float | None:
        """Give the seconds that the header Retry-After names, as a number or as a date (RFC 9110, 10.2.3)."""
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return float(value)
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Failed:
    """No complete answer: `situation` is a word of worker.domain.fault_table.SITUATIONS."""

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


def not_connected(address: SplitResult, error: Exception) -> Failed:
    """Name a failure before the first byte was sent."""
    return Failed(_before_sending(error), f"cannot connect to {place(address)}: {say(error)}")


def say(error: Exception) -> str:
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
