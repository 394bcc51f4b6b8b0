import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu import Connection
from redis.connection import parse_url

from sfmc_import.settings import RedisAddress, parse_redis_url


@pytest.mark.parametrize(
    ("url", "client", "celery"),
    [
        ("redis://host", "redis://host:6379/0", "redis://host:6379/0"),
        ("redis://host:7000/3", "redis://host:7000/3", "redis://host:7000/3"),
        ("redis://:pw@host/1", "redis://:pw@host:6379/1", "redis://:pw@host:6379/1"),
        ("redis://[::1]:7000/1", "redis://[::1]:7000/1", "redis://[::1]:7000/1"),
        ("rediss://u:p@host", "rediss://u:p@host:6379/0", "rediss://u:p@host:6379/0?ssl_cert_reqs=required"),
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
    address = parse_redis_url("sentinel://a/0?master_name=m&sentinel_password=s")

    assert address.transport_options == {"master_name": "m", "sentinel_kwargs": {"password": "s"}}
    assert parse_redis_url("redis://a").transport_options == {}


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
