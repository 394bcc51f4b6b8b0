"""Says what an error of Redis means: whether it lasts, and what a person can do about it."""

import socket
import ssl
from dataclasses import dataclass
from typing import Literal

from redis.exceptions import AuthenticationError, InvalidResponse, NoPermissionError, ResponseError

from sfmc_import.advice import Advice, Command
from sfmc_import.display import clause
from sfmc_import.errors import RedisAwayError, ServiceUnavailableError, UnconfirmedError
from sfmc_import.ports import NotConfirmedError
from sfmc_import.redis_address import RedisAddress
from sfmc_import.redis_client import known_masters

PROBE_SECONDS = 2.0
SILENCE_SECONDS = 0.5
"""A server that refuses a certificate says so right after the handshake; Redis itself waits for a command."""

NO_TLS = "write redis:// in {variable}, or give the port of TLS"
SLOW = "see the disk of Redis, its replicas and their lag (SFMC_DURABILITY), then do it again, best with the same id"
ENCODE = "a password with : / ? # @ or % must be percent-encoded"

RIGHTS = Advice(
    ("give its user the rights of ops/docs/redis.md",), Command(("doctor",)), at_prompt="see each one that is missing"
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One line of what is wrong, one of what to do; `lasts` if waiting cannot help, `is_away` without any answer.

    `is_recorded`: what was asked for is there, and not confirmed.
    """

    text: str
    advice: Advice
    lasts: bool = True
    is_away: bool = False
    is_recorded: bool = False

    @property
    def fix(self) -> str:
        """What to do, for the command line and the log."""
        return str(self.advice)

    def __str__(self) -> str:
        return self.text

    def as_error(self) -> ServiceUnavailableError:
        """Give the error that says both lines."""
        if self.is_recorded:
            return UnconfirmedError(self.text, self.advice)
        return (RedisAwayError if self.is_away else ServiceUnavailableError)(self.text, self.advice)


def trouble(error: BaseException, address: RedisAddress, variable: str, *, probe: bool = False) -> Trouble:
    """Explain what a client of this address met; `variable` is the setting that has the address.

    With `probe` a server that closes the connection is asked whether it speaks TLS, which takes up to two seconds.
    """
    place, reason = f"Redis at {address.shown}", clause(" ".join(str(error).split()))
    for found in (_login(error, reason), _database(reason), _tls(address, reason), _no_redis(error, reason)):
        if found is not None:
            text, fix = found
            return Trouble(f"{place} {text}", _advice(fix, variable))
    if "No master found" in reason and (found_there := _sentinels(address, reason, probe=probe)):
        return Trouble(f"{place} {found_there[0]}", _advice(found_there[1], variable))
    if probe and _speaks_tls(address, reason):
        return Trouble(
            f"{place} closes the connection: it speaks TLS", _advice("write rediss:// in {variable}", variable)
        )
    if probe and _wants_a_certificate(address, reason):
        certificate = _advice("check ssl_certfile and ssl_keyfile in {variable}", variable)
        return Trouble(f"{place} refuses the TLS handshake", certificate)
    if probe and _speaks_plain(address):
        return Trouble(f"{place} does not speak TLS", _advice(NO_TLS, variable))
    text, fix = _passing(error, reason)
    is_away = not isinstance(error, (ResponseError, NotConfirmedError))
    is_recorded = isinstance(error, NotConfirmedError) and error.is_recorded
    advice = _advice(fix, variable)
    return Trouble(f"{place} {text}", advice, lasts=False, is_away=is_away, is_recorded=is_recorded)


def in_short(error: BaseException, address: RedisAddress, variable: str) -> tuple[str, str]:
    """Say what Redis does, and what to do, without its address and its own words: for readers of a server."""
    found = trouble(error, address, variable)
    text = found.text.removeprefix(f"Redis at {address.shown} ")
    short = text if text in _REFUSALS else text.partition(":")[0]
    return short, found.advice.in_words()


def _advice(fix: str | Advice, variable: str) -> Advice:
    return fix if isinstance(fix, Advice) else Advice((fix.format(variable=variable),))


_NO_WRITES = (
    (
        "used memory > 'maxmemory'",
        "has no memory left and takes nothing new",
        "give it more memory (maxmemory); what is accepted is worked off meanwhile",
    ),
    (
        "NOREPLICAS",
        "takes no writes: fewer replicas are connected than min-replicas-to-write asks for",
        "connect the replicas and see their lag, or lower min-replicas-to-write in the configuration of Redis",
    ),
    (
        "writing to the AOF",
        "takes no writes: it cannot write its append-only file",
        "free space on the disk of Redis and see its log",
    ),
    (
        "MISCONF",
        "takes no writes: its last snapshot to disk failed (stop-writes-on-bgsave-error)",
        "free space on the disk of Redis, see its log, and let it write a snapshot (BGSAVE)",
    ),
    (
        "read only replica",
        "is a replica, which takes no writes",
        "set {variable} to the primary, or to sentinel://…",
    ),
    (
        "MASTERDOWN",
        "is a replica that has lost its primary",
        "set {variable} to the primary, or to sentinel://…",
    ),
)
"""States in which a server answers and yet takes no writes: a part of its error, what that means, what to do."""

_REFUSALS = frozenset(text for _, text, _ in _NO_WRITES)


def _passing(error: BaseException, reason: str) -> tuple[str, str]:
    if isinstance(error, NotConfirmedError):
        return reason, SLOW
    for sign, text, fix in _NO_WRITES:
        if isinstance(error, ResponseError) and sign in reason:
            return text, fix
    if isinstance(error, ResponseError):
        return f"refused a command: {reason}", "check what {variable} points to"
    if "No master found" in reason:
        fix = "start the Sentinels, or wait for the end of the failover; they stand in {variable}"
        return "has no primary that a Sentinel names now", fix
    return f"does not answer: {reason}", "start it, or set {variable}"


def _login(error: BaseException, reason: str) -> tuple[str, str | Advice] | None:
    if isinstance(error, NoPermissionError) or "NOPERM" in reason:
        return f"refused a command: {reason}", RIGHTS
    if "No master found" in reason:
        return None
    words = ("WRONGPASS", "invalid username-password", "invalid password", "NOAUTH", "Authentication required")
    if isinstance(error, AuthenticationError) or any(word in reason for word in words):
        return f"refuses the login: {reason}", "check user and password in {variable}; " + ENCODE
    return None


def _database(reason: str) -> tuple[str, str] | None:
    if "DB index" in reason or "SELECT is not allowed" in reason:
        return f"has no such database: {reason}", "end {variable} with the number of a database that it has, such as /0"
    return None


def _tls(address: RedisAddress, reason: str) -> tuple[str, str] | None:
    if address.tls is None:
        return None
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return f"has a certificate that is not trusted: {reason}", "set ssl_ca_certs in {variable}"
    if any(word in reason for word in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "record layer failure")):
        return f"does not speak TLS: {reason}", NO_TLS
    if "ALERT" in reason or "CERTIFICATE_REQUIRED" in reason:
        return f"refuses the TLS handshake: {reason}", "check ssl_certfile and ssl_keyfile in {variable}"
    return None


def _no_redis(error: BaseException, reason: str) -> tuple[str, str] | None:
    if isinstance(error, InvalidResponse) or "Protocol Error" in reason or "Protocol error" in reason:
        return f"is no Redis: {reason}", "check host and port in {variable}"
    return None


def _sentinels(address: RedisAddress, reason: str, *, probe: bool) -> tuple[str, str] | None:
    if "AuthenticationError" in reason:
        return "has Sentinels that refuse the login", "check sentinel_username and sentinel_password in {variable}"
    known = known_masters(address) if probe else None
    if known is None or address.master_name in known:
        return None
    names = ", ".join(sorted(known)) or "none"
    return (
        f"has no primary named {address.master_name}; its Sentinels know {names}",
        "correct master_name in {variable}",
    )


def _speaks_plain(address: RedisAddress) -> bool:
    """Ask a server that did not answer the TLS handshake without TLS: a Redis takes the handshake for a long line."""
    if address.scheme != "rediss":
        return False
    try:
        with socket.create_connection(address.hosts[0], PROBE_SECONDS) as plain:
            plain.settimeout(PROBE_SECONDS)
            plain.sendall(b"PING\r\n")
            return plain.recv(1) in {b"+", b"-"}
    except OSError:
        return False


def _speaks_tls(address: RedisAddress, reason: str) -> bool:
    """Ask a server that closed the connection for a TLS handshake: any answer to it, also a refusal, is TLS."""
    return address.scheme == "redis" and _was_cut(reason) and _handshake(address) is not None


def _wants_a_certificate(address: RedisAddress, reason: str) -> bool:
    """Ask a server that cut a TLS connection again: some say only after the handshake that they refuse it."""
    return address.scheme == "rediss" and _was_cut(reason) and _handshake(address) == "refused"


def _was_cut(reason: str) -> bool:
    return any(word in reason for word in ("closed", "reset", "EOF", "Broken pipe"))


def _handshake(address: RedisAddress) -> Literal["done", "refused"] | None:
    """Do a TLS handshake without a certificate; None if the server does not speak TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection(address.hosts[0], PROBE_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=address.hosts[0][0]) as secured,
        ):
            secured.settimeout(SILENCE_SECONDS)
            secured.recv(1)
    except TimeoutError:
        return "done"
    except ssl.SSLError as error:
        return "refused" if "ALERT" in str(error).upper() else None
    except OSError:
        return None
    return "done"
