"""Addresses against real servers: each that works works for both libraries, and each that cannot is one line soon."""

import http.server
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import quote

import pytest
import redis as redis_py
from kombu import Connection

from sfmc_import.client import Client
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.redis_address import checked_address
from sfmc_import.redis_client import connect, transport_options
from sfmc_import.redis_errors import Trouble, trouble
from sfmc_local.processes import spawn, stop
from sfmc_local.redis_server import Valkey, find_server, free_port
from tests.support.tls_proxy import CERTIFICATE, tls_in_front_of
from tests.support.waiting import eventually

ODD = "aB+/9=#?%zz@:x"
CA = f"ssl_ca_certs={CERTIFICATE}"
OWN = f"ssl_certfile={CERTIFICATE}&ssl_keyfile={CERTIFICATE}"


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with Valkey(tcp=True) as server:
        with redis_py.Redis.from_url(server.url) as admin:
            admin.execute_command("ACL", "SETUSER", "u", "on", ">" + ODD, "~*", "&*", "+@all")
            admin.execute_command("ACL", "SETUSER", "r", "on", ">pw", "~*", "&*", "+@read", "+select", "+hello")
        yield server


@pytest.fixture(scope="module")
def tls(valkey: Valkey) -> Iterator[int]:
    with tls_in_front_of(valkey.port) as port:
        yield port


@pytest.fixture(scope="module")
def strict_tls(valkey: Valkey) -> Iterator[int]:
    with tls_in_front_of(valkey.port, client_certificate=True) as port:
        yield port


@pytest.fixture(scope="module")
def web() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def answers_both(url: str) -> bool:
    """Whether both libraries reach a Redis by this address, in the same database."""
    address = checked_address(url)
    with connect(address, retries=0) as client:
        client.flushdb()
        broker = Connection(
            address.celery_url, ssl=address.celery_tls, transport_options={**transport_options(address)}
        )
        with broker as connection, connection.channel() as channel:
            channel._put("there", {"body": ""})
        return client.llen("there") == 1


def what_is_wrong(url: str) -> Trouble:
    address = checked_address(url)
    with (
        connect(address, retries=0, connect_seconds=0.5) as client,
        pytest.raises((redis_py.RedisError, OSError)) as met,
    ):
        client.set("a", "b")
    return trouble(met.value, address, "SFMC_REDIS_URL", probe=True)


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:{plain}/3",
        "redis://127.0.0.1:{plain}?db=4",
        "redis://u:{odd}@127.0.0.1:{plain}/0",
        "unix://{path}?db=5",
        "unix://u:{odd}@{path}?db=5",
        "redis+socket://{path}?virtual_host=6",
        "rediss://127.0.0.1:{tls}/7?{ca}",
        "rediss://localhost:{tls}/0?{ca}&ssl_cert_reqs=CERT_REQUIRED",
        "rediss://127.0.0.1:{tls}/0?ssl_cert_reqs=none",
        "rediss://127.0.0.1:{tls}/0?{ca}&ssl_check_hostname=false",
        "rediss://u:{odd}@127.0.0.1:{strict}/0?{ca}&{own}",
    ],
)
def test_an_address_that_is_read_works_for_both_libraries(url: str, valkey: Valkey, tls: int, strict_tls: int) -> None:
    places = {"plain": valkey.port, "tls": tls, "strict": strict_tls, "path": valkey.socket_path}

    assert answers_both(url.format(odd=quote(ODD, safe=""), ca=CA, own=OWN, **places))


@pytest.mark.parametrize(
    ("url", "line", "fix"),
    [
        ("redis://127.0.0.1:{plain}/16", "has no such database", "the number of a database"),
        ("redis://u:wrong@127.0.0.1:{plain}/0", "refuses the login", "percent-encoded"),
        ("redis://r:pw@127.0.0.1:{plain}/0", "refused a command", "ops/docs/redis.md"),
        ("redis://127.0.0.1:{web}/0", "is no Redis", "host and port"),
        ("redis://127.0.0.1:{tls}/0", "it speaks TLS", "write rediss://"),
        ("redis://127.0.0.1:{strict}/0", "it speaks TLS", "write rediss://"),
        ("rediss://127.0.0.1:{plain}/0", "does not speak TLS", "write redis://"),
        ("rediss://127.0.0.1:{tls}/0", "a certificate that is not trusted", "ssl_ca_certs"),
        ("rediss://127.0.0.1:{strict}/0?{ca}", "refuses the TLS handshake", "ssl_certfile"),
    ],
)
def test_what_cannot_work_is_one_line_within_seconds(
    url: str, line: str, fix: str, valkey: Valkey, tls: int, strict_tls: int, web: int
) -> None:
    found = what_is_wrong(url.format(plain=valkey.port, tls=tls, strict=strict_tls, web=web, ca=CA))

    assert line in found.text
    assert "\n" not in found.text
    assert fix in found.fix
    assert found.lasts


@pytest.fixture(scope="module")
def sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis and a Sentinel that both ask for user and password; the form of their address."""
    folder = tmp_path_factory.mktemp("sentinel")
    with Valkey(tcp=True) as server:
        with redis_py.Redis.from_url(server.url) as admin:
            admin.execute_command("ACL", "SETUSER", "app", "on", ">p/w", "~*", "&*", "+@all")
            admin.execute_command("ACL", "SETUSER", "default", "off")
        port, settings = free_port(), folder / "sentinel.conf"
        lines = (
            f"port {port}", "bind 127.0.0.1", f"dir {folder}", f"sentinel monitor ours 127.0.0.1 {server.port} 1",
            "sentinel auth-user ours app", "sentinel auth-pass ours p/w", "user default off",
            "user watcher on >sp ~* &* +@all",
        )  # fmt: skip
        settings.write_text("\n".join(lines) + "\n")
        with (folder / "log").open("wb") as log:
            process = spawn([str(find_server()), str(settings), "--sentinel"], output=log, death_signal=signal.SIGKILL)
        yield f"sentinel://app:p%2Fw@127.0.0.1:{port}/0?master_name="
        stop(process)


LOGIN = "&sentinel_username=watcher&sentinel_password=sp"


def test_user_and_password_of_redis_and_of_its_sentinels_are_two_logins(sentinel: str) -> None:
    eventually(lambda: reaches(f"{sentinel}ours{LOGIN}"), 30, "the Sentinel knows its primary")

    assert answers_both(f"{sentinel}ours{LOGIN}")
    refused, unknown = what_is_wrong(f"{sentinel}ours"), what_is_wrong(f"{sentinel}other{LOGIN}")
    assert (refused.lasts, "Sentinels that refuse the login" in refused.text) == (True, True)
    assert (unknown.lasts, "no primary named other; its Sentinels know ours" in unknown.text) == (True, True)


def reaches(url: str) -> bool:
    with connect(checked_address(url), retries=0) as client, suppress(redis_py.RedisError):
        return bool(client.ping())
    return False


def test_a_redis_that_is_away_may_come(valkey: Valkey) -> None:
    found = what_is_wrong("redis://127.0.0.1:1/0")

    assert (found.lasts, "does not answer" in found.text) == (False, True)


@pytest.mark.nightly
def test_a_frozen_redis_is_said_within_ten_seconds() -> None:
    with Valkey(tcp=True) as server, connect(checked_address(server.tcp_url)) as client:
        client.ping()
        server.pause()
        begun = time.monotonic()
        with pytest.raises(redis_py.TimeoutError):
            client.get("a")
        with_connection, begun = time.monotonic() - begun, time.monotonic()
        with Client(server.tcp_url, mid="1") as host, pytest.raises(ServiceUnavailableError, match="does not answer"):
            host.submit(customer_key="k")
        submitting = time.monotonic() - begun
        server.resume()

    assert with_connection < 10
    assert submitting < 10
