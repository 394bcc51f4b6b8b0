"""One address of Redis in the forms that redis-py, kombu and people need."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self
from urllib.parse import quote, unquote, urlencode

from sfmc_import.redis_options import Tls, check_files, read_flag, read_options, read_tls

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

    `tls` says how to talk TLS to Redis, None without it; `sentinel_tls` that the Sentinels are talked to likewise.
    """

    scheme: Literal["redis", "rediss", "unix", "sentinel"]
    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    master_name: str | None = None
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    sentinel_tls: bool = False

    @property
    def client_url(self) -> str:
        """The address in one form, whatever form it was given in."""
        if self.scheme == "unix":
            return f"unix://{self._login()}{quote(self.path)}{_query({'db': str(self.db)})}"
        hosts = ",".join(_host(*host) for host in self.hosts)
        options = self._sentinel_options() | (self.tls.options if self.tls else {})
        return f"{self.scheme}://{self._login()}{hosts}/{self.db}{_query(options)}"

    def _sentinel_options(self) -> dict[str, str]:
        flags = {"ssl": self.tls is not None, "sentinel_ssl": self.sentinel_tls} if self.tls else {}
        names = {
            "master_name": self.master_name,
            "sentinel_username": self.sentinel_username,
            "sentinel_password": self.sentinel_password,
            **{name: str(value).lower() for name, value in flags.items()},
        }
        return {name: value for name, value in names.items() if value is not None and self.scheme == "sentinel"}

    @property
    def celery_url(self) -> str:
        """The form of kombu; what it needs for TLS is in `celery_tls`."""
        if self.scheme == "unix":
            return f"redis+socket://{self._login()}{quote(self.path)}{_query({'virtual_host': str(self.db)})}"
        if self.scheme == "sentinel":
            return ";".join(f"sentinel://{self._login()}{_host(*host)}/{self.db}" for host in self.hosts)
        return f"{self.scheme}://{self._login()}{_host(*self.hosts[0])}/{self.db}"

    @property
    def celery_tls(self) -> dict[str, Any] | Literal[False]:
        """The `broker_use_ssl` of Celery, the `ssl` of kombu: in the address kombu would leave some options out."""
        return False if self.tls is None else self.tls.arguments

    @property
    def sentinel_arguments(self) -> dict[str, Any]:
        """How redis-py logs in to the Sentinels."""
        login = {"username": self.sentinel_username, "password": self.sentinel_password}
        given: dict[str, Any] = {name: value for name, value in login.items() if value is not None}
        return given | ({"ssl": True, **self.tls.arguments} if self.tls and self.sentinel_tls else {})

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts of it that must never be seen."""
        return tuple(text for text in (self.password, self.sentinel_password) if text)

    def with_password(self, password: str) -> Self:
        """Give the same address with this password, unless it has one or there is none to give."""
        return replace(self, password=password) if password and not self.password else self

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
    options = read_options(SCHEMES[scheme], query)
    if SCHEMES[scheme] == "unix":
        return _unix(rest, options)
    return _sentinel(rest, options) if scheme == "sentinel" else _tcp(scheme, rest, options)


def checked_address(url: str) -> RedisAddress:
    """Read an address whose files of certificates must be usable too; raise ValueError as `parse_redis_url`."""
    address = parse_redis_url(url)
    if address.tls is not None:
        check_files(address.tls)
    return address


def _unix(rest: str, options: dict[str, str]) -> RedisAddress:
    login, _, path = rest.rpartition("@")
    if not path.startswith("/"):
        raise ValueError("the path of the socket is missing: it begins with / after unix://")
    db = options.get("virtual_host") or options.get("db", "")
    return RedisAddress(scheme="unix", path=unquote(path), db=_db(db), **_user(login))


def _tcp(scheme: str, rest: str, options: dict[str, str]) -> RedisAddress:
    login, host, db = _split(rest)
    if "," in host:
        raise ValueError("several hosts: that is the form of sentinel:// addresses")
    kind: Literal["redis", "rediss"] = "rediss" if scheme == "rediss" else "redis"
    tls = read_tls(options) if kind == "rediss" else None
    place = _address(host, REDIS_PORT)
    return RedisAddress(scheme=kind, hosts=(place,), db=_db(options.get("db") or db), **_user(login), tls=tls)


def _sentinel(rest: str, options: dict[str, str]) -> RedisAddress:
    parts = [_split(part.removeprefix("sentinel://")) for part in rest.split(";") if part]
    login = next((login for login, _, _ in parts if login), "")
    db = options.get("db") or next((db for _, _, db in parts if db), "")
    hosts = tuple(_address(host, SENTINEL_PORT) for _, names, _ in parts for host in names.split(",") if host)
    master = options.get("master_name")
    if not hosts or not master:
        raise ValueError("write sentinel://host:26379,host:26379/0?master_name=NAME")
    tls = _sentinel_tls(options)
    return RedisAddress(
        scheme="sentinel", hosts=hosts, db=_db(db), master_name=master, **_user(login),
        sentinel_username=options.get("sentinel_username"), sentinel_password=options.get("sentinel_password"),
        tls=tls, sentinel_tls=tls is not None and read_flag(options, "sentinel_ssl", usual=True),
    )  # fmt: skip


def _sentinel_tls(options: dict[str, str]) -> Tls | None:
    """TLS behind sentinel://, which has no second scheme for it: asked for by `ssl`, or by any option about it."""
    about = any(name.startswith("ssl_") for name in options) or "sentinel_ssl" in options
    return read_tls(options) if read_flag(options, "ssl", usual=about) else None


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
    return _lookable(host.strip("[]") or "127.0.0.1"), int(port)


def _lookable(host: str) -> str:
    """Give a host that the libraries can look up: from others they raise errors of many kinds, at any later time."""
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise ValueError("the host cannot be looked up: a label of its name is empty or too long") from error
    if not host.isprintable() or any(map(str.isspace, host)):
        raise ValueError("the host has blanks or control characters")
    return host


def _host(name: str, port: int) -> str:
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _query(parameters: Mapping[str, str]) -> str:
    return f"?{urlencode(parameters)}" if parameters else ""
