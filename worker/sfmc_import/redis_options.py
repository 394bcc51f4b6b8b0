"""The options of an address of Redis: a closed list, read and checked once for redis-py and kombu."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

TLS_OPTIONS = ("ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname")
KNOWN: Mapping[str, tuple[str, ...]] = {
    "redis": ("db",),
    "rediss": ("db", *TLS_OPTIONS),
    "unix": ("db", "virtual_host"),
    "sentinel": ("db", "master_name", "sentinel_username", "sentinel_password", "ssl", "sentinel_ssl", *TLS_OPTIONS),
}
"""The options of each scheme; others would be understood by one library and ignored by the other."""

_CERTIFICATES = {
    "required": "required", "optional": "optional", "none": "none",
    "cert_required": "required", "cert_optional": "optional", "cert_none": "none",
}  # fmt: skip
_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How to talk TLS; the certificate of the server is checked unless the address says otherwise."""

    ca_certs: str | None = None
    cert_reqs: str = "required"
    certfile: str | None = None
    keyfile: str | None = None
    check_hostname: bool = True

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of redis-py's SSLConnection, which kombu and Celery pass on."""
        named = {"ssl_ca_certs": self.ca_certs, "ssl_certfile": self.certfile, "ssl_keyfile": self.keyfile}
        given: dict[str, Any] = {name: path for name, path in named.items() if path is not None}
        return given | {"ssl_cert_reqs": self.cert_reqs, "ssl_check_hostname": self.check_hostname}

    @property
    def options(self) -> dict[str, str]:
        """The options of an address that say the same; what is usual is left out."""
        usual = {"ssl_cert_reqs": "required", "ssl_check_hostname": "true"}
        texts = {name: str(value) for name, value in self.arguments.items()}
        texts["ssl_check_hostname"] = texts["ssl_check_hostname"].lower()
        return {name: text for name, text in texts.items() if text != usual.get(name)}


def read_options(scheme: str, query: str) -> dict[str, str]:
    """Read what stands behind the `?`; raise ValueError for what is not on the list, empty or given twice."""
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in KNOWN[scheme] and "@" in query:
            # The rest of a password, probably: it is not repeated.
            raise ValueError("an option is unknown (a password with / ? # @ must be percent-encoded)")
        if name not in KNOWN[scheme]:
            raise ValueError(_unknown(scheme, name))
        if name in options or not value:
            raise ValueError(f"{name} is {'given twice' if name in options else 'empty'}")
        options[name] = value
    return options


def _unknown(scheme: str, name: str) -> str:
    if name in TLS_OPTIONS and scheme == "redis":
        return f"{name} needs an address that begins with rediss://"
    import difflib  # noqa: PLC0415 - only for a mistake

    near = difflib.get_close_matches(name, KNOWN[scheme], n=1)
    advice = f"did you mean {near[0]}?" if near else f"use {', '.join(KNOWN[scheme])}"
    return f"{name[:40]!r} is no option of a {scheme}:// address; {advice}"


def read_tls(options: Mapping[str, str]) -> Tls:
    """Read the options that begin with ssl_; raise ValueError for a value that no library would understand."""
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise ValueError("ssl_keyfile needs ssl_certfile")
    reqs = options.get("ssl_cert_reqs", "required")
    if reqs.lower() not in _CERTIFICATES:
        raise ValueError(f"ssl_cert_reqs is {reqs[:40]!r}; give required, optional or none")
    return Tls(
        ca_certs=options.get("ssl_ca_certs"),
        cert_reqs=_CERTIFICATES[reqs.lower()],
        certfile=options.get("ssl_certfile"),
        keyfile=options.get("ssl_keyfile"),
        check_hostname=read_flag(options, "ssl_check_hostname", usual=True),
    )


def read_flag(options: Mapping[str, str], name: str, *, usual: bool) -> bool:
    """Read a yes or no."""
    text = options.get(name)
    if text is None:
        return usual
    if text.lower() not in _FLAGS:
        raise ValueError(f"{name} is {text[:40]!r}; give true or false")
    return _FLAGS[text.lower()]


def check_files(tls: Tls) -> None:
    """Load the certificates now; raise ValueError with a line for a file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if tls.ca_certs is not None:
        with _naming(f"ssl_ca_certs: {tls.ca_certs!r}"):
            context.load_verify_locations(tls.ca_certs)
    if tls.certfile is not None:
        key = "" if tls.keyfile is None else f" with ssl_keyfile {tls.keyfile!r}"
        with _naming(f"ssl_certfile: {tls.certfile!r}{key}"):
            # With a text as password OpenSSL refuses an encrypted key; without one it would ask the terminal.
            context.load_cert_chain(tls.certfile, tls.keyfile, password="")


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Turn an error of a file into ValueError that begins with what the file is for."""
    try:
        yield
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).lower().replace("_", " ")
        raise ValueError(f"{what} cannot be used: {reason}") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{what} cannot be read: {getattr(error, 'strerror', None) or error}") from None
