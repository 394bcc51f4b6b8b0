"""Decides which HTTP proxy leads to an address: SFMC_PROXY, or HTTPS_PROXY, HTTP_PROXY and NO_PROXY."""

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

EXPECTED = "http://HOST:PORT, with USER:PASSWORD@ before HOST if it asks for a login"
NONE = frozenset({"none", "off", "direct"})


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy; `repr` hides its login."""

    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def shown(self) -> str:
        """The address without the login."""
        return f"http://{self.host}:{self.port}"

    @property
    def authorization(self) -> str:
        """The value of Proxy-Authorization; empty without a login."""
        login = f"{self.user}:{self.password}".encode()
        return "Basic " + base64.b64encode(login).decode() if self.user or self.password else ""


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxy of each scheme, and the hosts that are reached without one."""

    by_scheme: Mapping[str, Proxy] = field(default_factory=dict)
    exceptions: tuple[str, ...] = ()

    def to(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Give the proxy that leads to this host, None for a direct connection."""
        proxy = self.by_scheme.get(scheme)
        return None if proxy is None or is_excepted(host, port, self.exceptions) else proxy

    def secrets(self) -> tuple[str, ...]:
        """Texts that must never be seen."""
        return tuple(text for proxy in self.by_scheme.values() for text in _secrets(proxy))


def _secrets(proxy: Proxy) -> tuple[str, ...]:
    return proxy.password, proxy.authorization.removeprefix("Basic ")


def parse_proxy(text: str) -> Proxy:
    """Read the address of a proxy; raise ValueError, whose text shows no login."""
    address = text.strip()
    parts = urlsplit(address if "://" in address else f"http://{address}")
    if parts.scheme != "http":
        raise ValueError(f"a proxy of the scheme {parts.scheme} is not supported, only http (it carries https too)")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("its port is not a number from 0 to 65535") from None
    if not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("not the address of a proxy")
    return Proxy(parts.hostname, port or 80, unquote(parts.username or ""), unquote(parts.password or ""))


def read_proxies(setting: str, environ: Mapping[str, str]) -> Proxies:
    """Choose the proxies: `setting` (SFMC_PROXY) is for every address, and wins; raise ValueError with one line."""
    if setting.strip().lower() in NONE:
        return Proxies()
    if setting.strip():
        proxy = _parse("SFMC_PROXY", setting)
        return Proxies({"https": proxy, "http": proxy})
    found = {scheme: _from_environment(scheme, environ) for scheme in ("https", "http")}
    return Proxies(
        {scheme: proxy for scheme, proxy in found.items() if proxy is not None},
        tuple(part.strip().lower() for part in _value("NO_PROXY", environ).split(",") if part.strip()),
    )


def _from_environment(scheme: str, environ: Mapping[str, str]) -> Proxy | None:
    for name in (f"{scheme.upper()}_PROXY", "ALL_PROXY"):
        if text := _value(name, environ):
            return _parse(name, text)
    return None


def _value(name: str, environ: Mapping[str, str]) -> str:
    # The usual programs take the lower-case name first.
    return (environ.get(name.lower()) or environ.get(name) or "").strip()


def _parse(name: str, text: str) -> Proxy:
    try:
        return parse_proxy(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}; expected: {EXPECTED}") from None


def is_excepted(host: str, port: int, exceptions: tuple[str, ...]) -> bool:
    """Tell whether NO_PROXY names this host: a name with all below it, an address, a network, or `*` for all."""
    return any(_names(entry, host.lower(), port) for entry in exceptions)


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        return _is_in_network(host, entry)
    name, _, number = entry.partition(":") if entry.count(":") == 1 else (entry.strip("[]"), "", "")
    if number and number != str(port):
        return False
    suffix = name.lstrip("*").lstrip(".")
    return host == suffix or host.endswith(f".{suffix}")


def _is_in_network(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
