"""One address of Redis in the forms that redis-py, kombu and people need."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode

SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "redis+socket": "unix",
    "sentinel": "sentinel",
}
SENTINEL_PORT = 26379
REDIS_PORT = 6379


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """Where Redis is and how to log in; `hosts` are the Sentinels when the scheme is sentinel.

    `options` are the remaining parameters of the address, such as ssl_ca_certs.
    """

    scheme: Literal["redis", "rediss", "unix", "sentinel"]
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    master_name: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def client_url(self) -> str:
        """The form of redis-py's from_url; a sentinel:// address keeps its form, redis-py has none for it."""
        if self.scheme == "unix":
            return f"unix://{self._login()}{quote(self.path)}{_query({'db': str(self.db), **self.options})}"
        names = {"master_name": self.master_name, "sentinel_password": self.sentinel_password}
        given = {name: value for name, value in names.items() if value is not None}
        hosts = ",".join(_host(*host) for host in self.hosts)
        return f"{self.scheme}://{self._login()}{hosts}/{self.db}{_query(given | dict(self.options))}"

    @property
    def celery_url(self) -> str:
        """The form of kombu; rediss:// checks the certificate unless the address says otherwise."""
        if self.scheme == "unix":
            query = _query({"virtual_host": str(self.db), **self.options})
            return f"redis+socket://{self._login()}{quote(self.path)}{query}"
        if self.scheme == "sentinel":
            return ";".join(f"sentinel://{self._login()}{_host(*host)}/{self.db}" for host in self.hosts)
        # kombu checks no certificate when a rediss address carries no ssl option.
        checked = {"ssl_cert_reqs": "required"} if self.scheme == "rediss" else {}
        return f"{self.scheme}://{self._login()}{_host(*self.hosts[0])}/{self.db}{_query(checked | dict(self.options))}"

    @property
    def transport_options(self) -> dict[str, Any]:
        """What kombu wants beside the address: the name of the master and the login of the Sentinels."""
        if self.scheme != "sentinel":
            return {}
        login = {} if self.sentinel_password is None else {"password": self.sentinel_password}
        return {"master_name": self.master_name, "sentinel_kwargs": login}

    @property
    def shown(self) -> str:
        """The address for people and logs, without any password or parameter."""
        if self.scheme == "unix":
            return f"unix://{self.path} db {self.db}"
        return f"{self.scheme}://{','.join(_host(*host) for host in self.hosts)}/{self.db}"

    def _login(self) -> str:
        if self.username is None and self.password is None:
            return ""
        password = "" if self.password is None else ":" + quote(self.password, safe="")
        return f"{quote(self.username or '', safe='')}{password}@"


def parse_redis_url(url: str) -> RedisAddress:
    """Read an address; raise ValueError with a sentence that repeats no part of a login."""
    scheme, separator, rest = url.strip().partition("://")
    if not separator or scheme not in SCHEMES:
        raise ValueError("not an address of Redis")
    rest, _, query = rest.partition("?")
    options = dict(parse_qsl(query))
    if SCHEMES[scheme] == "unix":
        return _unix(rest, options)
    return _sentinel(rest, options) if scheme == "sentinel" else _tcp(scheme, rest, options)


def _unix(rest: str, options: dict[str, str]) -> RedisAddress:
    login, _, path = rest.rpartition("@")
    if not path.startswith("/"):
        raise ValueError("the path of the socket is missing: it begins with / after unix://")
    db = options.pop("virtual_host", "") or options.pop("db", "")
    return RedisAddress(scheme="unix", path=unquote(path), db=_db(db), **_user(login), options=options)


def _tcp(scheme: str, rest: str, options: dict[str, str]) -> RedisAddress:
    login, host, db = _split(rest)
    if "," in host:
        raise ValueError("several hosts: that is the form of sentinel:// addresses")
    kind: Literal["redis", "rediss"] = "rediss" if scheme == "rediss" else "redis"
    db = options.pop("db", "") or db
    return RedisAddress(scheme=kind, hosts=(_address(host, REDIS_PORT),), db=_db(db), **_user(login), options=options)


def _sentinel(rest: str, options: dict[str, str]) -> RedisAddress:
    parts = [_split(part.removeprefix("sentinel://")) for part in rest.split(";") if part]
    login = next((login for login, _, _ in parts if login), "")
    db = next((db for _, _, db in parts if db), "")
    hosts = tuple(_address(host, SENTINEL_PORT) for _, names, _ in parts for host in names.split(",") if host)
    master = options.pop("master_name", None)
    if not hosts or not master:
        raise ValueError("write sentinel://host:26379,host:26379/0?master_name=NAME")
    password = options.pop("sentinel_password", None)
    return RedisAddress(
        scheme="sentinel", hosts=hosts, db=_db(db), master_name=master, sentinel_password=password,
        **_user(login), options=options,
    )  # fmt: skip


def _split(rest: str) -> tuple[str, str, str]:
    place, _, db = rest.partition("/")
    login, _, host = place.rpartition("@")
    return login, host, db


def _user(login: str) -> dict[str, Any]:
    username, _, password = login.partition(":")
    return {"username": unquote(username) or None, "password": unquote(password) or None}


def _db(text: str) -> int:
    if not text:
        return 0
    if text.isascii() and text.isdigit():
        return int(text)
    raise ValueError("the database is not a number: an address ends like /0")


def _address(text: str, default_port: int) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if text.endswith("]") or not colon:
        host, port = text, str(default_port)
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("the port is not a number from 1 to 65535 (a password with / ? # @ must be percent-encoded)")
    return host.strip("[]") or "127.0.0.1", int(port)


def _host(name: str, port: int) -> str:
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _query(parameters: Mapping[str, str]) -> str:
    return f"?{urlencode(parameters)}" if parameters else ""
