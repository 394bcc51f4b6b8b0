import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu import Connection
from redis.connection import parse_url

from sfmc_import.redis_address import checked_address
from sfmc_import.redis_client import connect, transport_options
from sfmc_import.redis_options import Tls
from sfmc_import.settings import RedisAddress, parse_redis_url


@pytest.mark.parametrize(
    ("url", "client", "celery"),
    [
        ("redis://host", "redis://host:6379/0", "redis://host:6379/0"),
        ("redis://host:7000/3", "redis://host:7000/3", "redis://host:7000/3"),
        ("redis://:pw@host/1", "redis://:pw@host:6379/1", "redis://:pw@host:6379/1"),
        ("redis://[::1]:7000/1", "redis://[::1]:7000/1", "redis://[::1]:7000/1"),
        ("rediss://u:p@host", "rediss://u:p@host:6379/0", "rediss://u:p@host:6379/0"),
        ("unix:///run/v.sock", "unix:///run/v.sock?db=0", "redis+socket:///run/v.sock?virtual_host=0"),
        ("unix:///run/v.sock?db=2", "unix:///run/v.sock?db=2", "redis+socket:///run/v.sock?virtual_host=2"),
        ("redis+socket:///v.sock?virtual_host=2", "unix:///v.sock?db=2", "redis+socket:///v.sock?virtual_host=2"),
        ("unix://:pw@/v.sock", "unix://:pw@/v.sock?db=0", "redis+socket://:pw@/v.sock?virtual_host=0"),
        (
            "sentinel://:pw@a,b:26380/1?master_name=m",
            "sentinel://:pw@a:26379,b:26380/1?master_name=m",
            "sentinel://:pw@a:26379/1;sentinel://:pw@b:26380/1",
        ),
        (
            "sentinel://:pw@a:1/1;sentinel://:pw@b:2/1?master_name=m",
            "sentinel://:pw@a:1,b:2/1?master_name=m",
            "sentinel://:pw@a:1/1;sentinel://:pw@b:2/1",
        ),
    ],
)
def test_an_address_has_a_form_for_each_library(url: str, client: str, celery: str) -> None:
    address = parse_redis_url(url)

    assert (address.client_url, address.celery_url) == (client, celery)
    assert parse_redis_url(address.client_url) == address


def test_sentinel_brings_its_options_for_kombu() -> None:
    address = parse_redis_url("sentinel://a/0?master_name=m&sentinel_username=u&sentinel_password=s")

    options = transport_options(address)

    assert options["master_name"] == "m"
    assert {"username": "u", "password": "s", "socket_timeout": 3.0}.items() <= options["sentinel_kwargs"].items()
    assert transport_options(parse_redis_url("redis://a")) == {}


TLS = "ssl_ca_certs=/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem&ssl_cert_reqs=CERT_NONE&ssl_check_hostname=no"
UNDERSTOOD = {
    "ssl_ca_certs": "/ca.pem", "ssl_certfile": "/c.pem", "ssl_keyfile": "/k.pem", "ssl_cert_reqs": "none",
    "ssl_check_hostname": False,
}  # fmt: skip


def test_every_option_of_tls_reaches_both_libraries() -> None:
    address = parse_redis_url(f"rediss://h/0?{TLS}")

    assert parse_redis_url(address.client_url) == address
    assert address.celery_tls == UNDERSTOOD
    assert connect(address).connection_pool.connection_kwargs.items() >= UNDERSTOOD.items()


@pytest.mark.parametrize(("given", "sentinels"), [(TLS, True), (f"{TLS}&sentinel_ssl=false", False), ("ssl=on", True)])
def test_sentinel_addresses_ask_for_tls_by_its_options(given: str, sentinels: bool) -> None:
    address = parse_redis_url(f"sentinel://a,b/0?master_name=m&{given}")

    assert parse_redis_url(address.client_url) == address
    assert address.celery_tls
    assert ("ssl" in address.sentinel_arguments) == sentinels


def test_an_address_without_tls_has_none_for_any_library() -> None:
    address = parse_redis_url("sentinel://a/0?master_name=m")

    assert address.celery_tls is False
    assert "ssl" not in address.sentinel_arguments


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("redis://h/0?ssl_cert_reqs=none", "ssl_cert_reqs needs an address that begins with rediss://"),
        ("redis://h/0?socket_timeout=5", "'socket_timeout' is no option of a redis:// address; use db"),
        ("redis://h/0?decode_responses=true", "'decode_responses' is no option"),
        ("redis://h/0?virtual_host=8", "'virtual_host' is no option"),
        ("rediss://h/0?ssl_ca_cert=/x", "did you mean ssl_ca_certs?"),
        ("rediss://h/0?ssl_cert_reqs=maybe", "ssl_cert_reqs is 'maybe'; give required, optional or none"),
        ("rediss://h/0?ssl_check_hostname=perhaps", "ssl_check_hostname is 'perhaps'; give true or false"),
        ("rediss://h/0?ssl_keyfile=/k.pem", "ssl_keyfile needs ssl_certfile"),
        ("rediss://h/0?ssl_ca_certs=", "ssl_ca_certs is empty"),
        ("redis://h/0?db=1&db=2", "db is given twice"),
        ("unix:///s?ssl_cert_reqs=none", "'ssl_cert_reqs' is no option of a unix:// address"),
        ("sentinel://h/0?master_name=m&sentinel_passwort=s", "did you mean sentinel_password?"),
    ],
)
def test_an_option_that_is_not_on_the_list_is_one_line(url: str, line: str) -> None:
    with pytest.raises(ValueError, match=re.escape(line)):
        parse_redis_url(url)


def test_files_of_certificates_are_checked_when_the_address_is_read(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")

    with pytest.raises(ValueError, match=r"ssl_ca_certs: '/nowhere.pem' cannot be read: No such file"):
        checked_address("rediss://h/0?ssl_ca_certs=/nowhere.pem")
    with pytest.raises(ValueError, match=r"ssl_ca_certs: .* cannot be used: no certificate or crl found"):
        checked_address(f"rediss://h/0?ssl_ca_certs={empty}")
    with pytest.raises(ValueError, match=r"ssl_certfile: .* cannot be used"):
        checked_address(f"rediss://h/0?ssl_certfile={empty}")
    assert checked_address("rediss://h/0").tls == Tls()


def test_a_password_from_elsewhere_fills_an_address_that_has_none() -> None:
    assert parse_redis_url("redis://u@h").with_password("p").client_url == "redis://u:p@h:6379/0"
    assert parse_redis_url("redis://:own@h").with_password("p").password == "own"
    assert parse_redis_url("redis://h").with_password("").password is None


@pytest.mark.parametrize(
    "url",
    ["", "host:6379", "http://host", "redis://host:port", "redis://host/one", "unix://relative", "sentinel://a/0",
     "sentinel://?master_name=m", "redis://a,b/0", "redis://host:0", "redis://host:70000"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|port|database|path|sentinel"):
        parse_redis_url(url)


@pytest.mark.parametrize("url", ["redis://u:geheim@h/0", "unix://:geheim@/s", "sentinel://:geheim@h/0?master_name=m"])
def test_what_people_see_has_no_password(url: str) -> None:
    address = parse_redis_url(url)

    assert "geheim" not in f"{address.shown} {address!r}"


passwords = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1)


@given(password=passwords, username=passwords)
def test_any_password_survives_both_forms(password: str, username: str) -> None:
    address = RedisAddress(scheme="redis", hosts=(("host", 6379),), username=username, password=password)

    of_redis = parse_url(address.client_url)
    of_kombu = Connection(address.celery_url)

    assert (of_redis["username"], of_redis["password"]) == (username, password)
    assert (of_kombu.userid, of_kombu.password) == (username, password)


@pytest.mark.parametrize("host", ["a..b", f"{'x' * 70}.example", "h\x1b[31m", "two words", "line\nbreak"])
def test_a_host_that_cannot_be_looked_up_is_refused_at_load(host: str) -> None:
    with pytest.raises(ValueError, match="the host"):
        parse_redis_url(f"redis://{host}/0")
