"""Keeps tests apart from the machine: from its environment, its network and, for unit tests, its processes."""

import ipaddress
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

FOREIGN_PREFIXES = ("SFMC_", "CELERY_", "C_FORCE_ROOT", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "REDIS_", "COLUMNS")


class NetworkSealedError(RuntimeError):
    """A test tried to reach something outside this machine."""


def scrub_environment(environ: MutableMapping[str, str]) -> None:
    """Remove every variable that could change the outcome of a test."""
    for name in list(environ):
        if name.upper().startswith(FOREIGN_PREFIXES):
            del environ[name]


class ProcessStartedError(RuntimeError):
    """A unit test tried to start a process."""


STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec"})
"""The audit events with which Python starts a process."""

_refused: set[str] = set()
"""The audit events that are refused now, in every thread."""


def seal() -> None:
    """Refuse every connection of this process that leaves the machine, and processes inside `no_processes`."""
    sys.addaudithook(_refuse)


@contextmanager
def no_processes() -> Iterator[None]:
    """Refuse to start a process inside this block.

    Raises:
        ProcessStartedError: from the call that would start one.
    """
    _refused.update(STARTS)
    try:
        yield
    finally:
        _refused.difference_update(STARTS)


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and not is_local(arguments[1]):
        raise NetworkSealedError(f"tests may not connect to {arguments[1]!r}")
    if event in _refused:
        raise ProcessStartedError(f"a unit test may not start a process ({event} {arguments[:1]})")


def is_local(address: object) -> bool:
    """Tell whether a socket address stays on this machine: a unix path, or a loopback host."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
