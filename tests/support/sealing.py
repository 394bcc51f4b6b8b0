"""What keeps the machine out of the tests: no settings from its environment, no way out to its network."""

import ipaddress
import sys
from collections.abc import MutableMapping
from typing import Any

FOREIGN_PREFIXES = ("SFMC_", "CELERY_", "C_FORCE_ROOT", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "REDIS_")


class NetworkSealedError(RuntimeError):
    """A test tried to reach something outside this machine."""


def scrub_environment(environ: MutableMapping[str, str]) -> None:
    """Remove every variable that could change the outcome of a test."""
    for name in list(environ):
        if name.upper().startswith(FOREIGN_PREFIXES):
            del environ[name]


def seal_network() -> None:
    """Refuse every connection of this process that leaves the machine."""
    sys.addaudithook(_refuse_foreign_connections)


def _refuse_foreign_connections(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and not is_local(arguments[1]):
        raise NetworkSealedError(f"tests may not connect to {arguments[1]!r}")


def is_local(address: object) -> bool:
    """Tell whether a socket address stays on this machine: a unix path, or a loopback host."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"
