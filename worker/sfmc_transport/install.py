"""Choosing the transport for a process: kombu's table of transports is the only thing touched."""

import kombu.transport

SCHEMES = {
    "redis": "Transport",
    "rediss": "Transport",
    "sentinel": "SentinelTransport",
}
"""URL schemes; `redis+socket://` is looked up as `redis`."""

RELIABLE = "sfmc_transport.channel"
STOCK = "kombu.transport.redis"


def install() -> None:
    """Make `redis://`, `rediss://`, `redis+socket://` and `sentinel://` of this process deliver without loss.

    Call it before the process connects: connections that exist keep what they have.
    """
    _choose(RELIABLE)


def install_stock() -> None:
    """Take `install` back: kombu's own transport."""
    _choose(STOCK)


def _choose(module: str) -> None:
    for scheme, name in SCHEMES.items():
        kombu.transport.TRANSPORT_ALIASES[scheme] = f"{module}:{name}"
        kombu.transport._transport_cache.pop(scheme, None)  # type: ignore[attr-defined]  # noqa: SLF001 - a lookup before this call would win
