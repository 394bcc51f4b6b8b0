"""Types of settings that check their values: times, addresses, time zones, keys."""

import codecs
import re
import ssl
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, FilePath, SecretStr

from sfmc_import.proxies import NONE, parse_proxy
from sfmc_import.redis_address import checked_address
from sfmc_import.request import MAX_KEY_LENGTH, is_mid, plain_mid
from sfmc_import.secret_forms import read_key

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)")
# What XML 1.0 cannot carry, not even escaped.
_UNSENDABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TOKEN = re.compile(r"[\x21-\x7e]*")
_HOST = re.compile(r"[^\s/?#@\\]+")
MAX_SECONDS = 10 * 365 * 86400.0
"""Ten years: beyond that a time means nothing, and Redis and the calendar cannot count it."""

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def read_duration(value: object) -> object:
    """Turn 90, "90", "90s", "15m", "6h" or "30d" into seconds; leave anything else to the next check."""
    if isinstance(value, bool):
        raise ValueError("not a time")  # noqa: TRY004 - pydantic collects ValueError only
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(match[1]) * _SECONDS[match[2]] if match else value


def check_url(value: str) -> str:
    """Accept http and https addresses with a host and without a login; slashes at the end are removed."""
    parts = urlsplit(value.strip())
    # Reading the port refuses one that is no number.
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(parts.hostname or "") or parts.port == 0:
        raise ValueError("not an address such as https://host")
    if parts.username or parts.password:
        raise ValueError("contains a login; give it in SFMC_CLIENT_ID and SFMC_CLIENT_SECRET")
    return value.strip().rstrip("/")


def check_api_url(value: str) -> str:
    """Accept the same for the HTTP API, whose login is a token."""
    if urlsplit(value.strip()).username:
        raise ValueError("contains a login; give a token in SFMC_API_TOKEN")
    return check_url(value)


def check_token(value: SecretStr) -> SecretStr:
    """Accept what a header can carry."""
    if not _TOKEN.fullmatch(value.get_secret_value()):
        raise ValueError("has characters that no token has; copy the whole line of: sfmc-import tokens add")
    return value


def check_key(value: SecretStr) -> SecretStr:
    """Accept a key to seal with, or none."""
    if value.get_secret_value():
        read_key(value.get_secret_value())
    return value


def check_zone(value: str) -> str:
    """Accept the names of IANA's time zones."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("not a time zone of the IANA list") from None
    return value


def check_redis_url(value: str) -> str:
    """Accept the addresses of Redis whose certificates can be used, in one form."""
    return checked_address(value).client_url


def check_mid(value: str) -> str:
    """Accept the number of a business unit."""
    mid = plain_mid(value)
    if not is_mid(mid):
        raise ValueError("not the number of a business unit")
    return mid


def check_certificates(file: Path) -> Path:
    """Accept files that have a certificate: without one every call would fail, and only then."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=file)
    except OSError as error:
        reason = "" if isinstance(error, ssl.SSLError) else f" ({error.strerror})"
        raise ValueError(f"has no certificate that can be read{reason}") from None
    if not context.cert_store_stats()["x509"]:
        raise ValueError("has no certificate")
    return file


def check_proxy(value: SecretStr) -> SecretStr:
    """Accept what `read_proxies` can use."""
    if value.get_secret_value().strip().lower() not in {"", *NONE}:
        parse_proxy(value.get_secret_value())
    return value


def check_login(value: str) -> str:
    """Accept what a call can carry; the value is shown nowhere, for it may be a secret."""
    if _UNSENDABLE.search(value):
        raise ValueError("has control characters, which no call can carry")
    return value


def check_secret(value: SecretStr) -> SecretStr:
    """Accept what a call can carry."""
    check_login(value.get_secret_value())
    return value


def check_encoding(value: str) -> str:
    """Accept the names of encodings of text that can be read piece by piece."""
    try:
        name = codecs.lookup(value).name
        # Others than those of text, such as base64, are refused here.
        "a".encode(name)
    except (LookupError, ValueError):
        raise ValueError("not an encoding of text") from None
    return name


def as_text(value: object) -> object:
    """Read a number written without quotes as text, as people write a MID in TOML."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Encoding = Annotated[str, Field(max_length=40), AfterValidator(check_encoding)]
CaBundle = Annotated[FilePath, AfterValidator(check_certificates)]
LoginName = Annotated[str, AfterValidator(check_login)]
LoginSecret = Annotated[SecretStr, AfterValidator(check_secret)]
ProxyAddress = Annotated[SecretStr, AfterValidator(check_proxy)]
Seconds = Annotated[float, BeforeValidator(read_duration), Field(gt=0, le=MAX_SECONDS, allow_inf_nan=False)]
Hours = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Url = Annotated[str, AfterValidator(check_url)]
ApiUrl = Annotated[str, AfterValidator(check_api_url)]
ApiToken = Annotated[SecretStr, AfterValidator(check_token)]
TokenKey = Annotated[SecretStr, AfterValidator(check_key)]
RedisUrl = Annotated[str, AfterValidator(check_redis_url)]
Zone = Annotated[str, AfterValidator(check_zone)]
Mid = Annotated[str, BeforeValidator(as_text), AfterValidator(check_mid)]
CustomerKey = Annotated[str, Field(min_length=1, max_length=MAX_KEY_LENGTH)]
