"""Calls through a real proxy process: tunnels with TLS inside, plain requests, logins, refusals that are named."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from sfmc_import.faults import NotApplied
from sfmc_import.marketing_cloud import PlainSecret
from sfmc_import.proxies import Proxies, read_proxies
from sfmc_import.runs import Accepted
from tests.integration.marketing_cloud.misbehaving import CERTIFICATE, MisbehavingServer, refused_address
from tests.support.fake_soap_replies import found, performed, row
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[3]
MID = "510001234"
EVER = float("inf")
LOGIN = "worker:p%40ss word"
BASIC = "d29ya2VyOnAlNDBzcyB3b3Jk"


class RunningProxy:
    """The process and the request lines that it has seen."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.port = int(process.stdout.readline())
        self.lines: list[str] = []
        self._reader = Thread(target=self.lines.extend, args=(process.stdout,))
        self._reader.start()
        self._process = process

    def end(self) -> None:
        """Kill the process and read what it still wrote, so that no thread reads when the pipe is closed."""
        self._process.kill()
        self._reader.join()

    def url(self, login: str = "") -> str:
        return f"http://{login}{'@' if login else ''}127.0.0.1:{self.port}"


@contextmanager
def proxy(*login: str) -> Iterator[RunningProxy]:
    command = [sys.executable, "-m", "tests.support.http_proxy", *login]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        running = RunningProxy(process)
        try:
            yield running
        finally:
            running.end()


def serve(connection):
    while request := connection.read():
        if b"/v2/token" in request.partition(b"\r\n")[0]:
            connection.answer(json.dumps({"access_token": "t", "expires_in": 1000}).encode())
        else:
            connection.answer(performed() if b'"Perform"' in request else found(row(CustomerKey="orders")))


def through(adapter, server: MisbehavingServer, proxies: Proxies, **more):
    secret = PlainSecret("s")
    return adapter(
        server.url,
        auth_url=server.url,
        client_id="c",
        client_secret=secret,
        proxies=proxies,
        verify=str(CERTIFICATE),
        **more,
    )


def test_token_query_and_start_go_through_a_tunnel_with_tls_inside(adapter):
    with proxy(LOGIN) as running, MisbehavingServer(serve, tls=True) as server:
        service = through(adapter, server, read_proxies(running.url("worker:p%2540ss%20word"), {}))

        assert service.definition(MID, "orders").customer_key == "orders"
        assert isinstance(service.start(MID, "orders", not_after=EVER), Accepted)
        target = server.url.split("/")[2]
        # All of them share one connection.
        eventually(lambda: running.lines, within=60, description="the proxy has written its line")
        assert [line.strip() for line in running.lines] == [f"CONNECT {target} HTTP/1.1"]
    assert not any(b"Proxy-Authorization" in request for request in server.requests)


def test_plain_http_goes_to_the_proxy_with_the_whole_address(adapter):
    with proxy(LOGIN) as running, MisbehavingServer(serve) as server:
        service = through(adapter, server, read_proxies(running.url("worker:p%2540ss%20word"), {}))

        assert isinstance(service.start(MID, "orders", not_after=EVER), Accepted)
    assert any(request.startswith(f"POST {server.url}Service.asmx ".encode()) for request in server.requests)


@pytest.mark.parametrize("tls", [True, False])
def test_a_proxy_that_wants_another_login_is_named_and_nothing_was_applied(adapter, tls):
    with proxy(LOGIN) as running, MisbehavingServer(serve, tls=tls) as server:
        for given in ("", "worker:another"):
            service = through(adapter, server, read_proxies(running.url(given), {}))
            for verdict in (service.start(MID, "orders", not_after=EVER), service.definitions(MID)):
                assert isinstance(verdict, NotApplied), verdict
                assert "407" in verdict.text
                assert "another" not in verdict.text.replace("another user", "")
    assert server.requests == []


def test_a_proxy_that_finds_no_server_is_named_and_nothing_was_applied(adapter):
    with proxy() as running:
        url = refused_address().replace("http:", "https:")
        verdict = adapter(url, proxies=read_proxies(running.url(), {})).start(MID, "orders", not_after=EVER)

    assert (type(verdict), verdict.code, verdict.account_wide) == (NotApplied, "proxy_refused", True)
    assert f"127.0.0.1:{running.port}" in verdict.text
    assert "502" in verdict.text


def test_a_proxy_that_is_not_there_is_named(adapter):
    url = refused_address()
    verdict = adapter("https://t.example/", proxies=read_proxies(url, {})).start(MID, "orders", not_after=EVER)

    assert (type(verdict), verdict.code) == (NotApplied, "refused")
    assert f"the proxy {url.rstrip('/')}" in verdict.text


SLOW = {
    "silence": lambda connection: connection.wait_for_the_end(),
    "a trickle": lambda connection: connection.drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000),
    "endless": lambda connection: [connection.send(b"X" * 60000) for _ in range(1000)],
    "no HTTP": lambda connection: connection.send(b"SSH-2.0\r\n\r\n"),
    "a 200 and no TLS": lambda connection: (
        connection.send(b"HTTP/1.1 200 OK\r\n\r\nHello there"),
        connection.wait_for_the_end(),
    ),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_proxy_that_answers_no_tunnel_ends_within_the_time_to_connect(adapter, name):
    with MisbehavingServer(SLOW[name]) as server:
        service = adapter("https://t.example/", proxies=read_proxies(server.url, {}), connect_timeout=0.4)

        verdict = service.start(MID, "orders", not_after=EVER)

    assert isinstance(verdict, NotApplied)


def test_the_environment_is_used_and_no_proxy_leaves_hosts_out(adapter):
    with proxy() as running, MisbehavingServer(serve, tls=True) as server:
        environ = {"HTTPS_PROXY": running.url()}
        for exceptions, seen in ((".example,localhost", 0), ("example", 1)):
            service = through(adapter, server, read_proxies("", environ | {"NO_PROXY": exceptions}))
            service.definition(MID, "orders")
            eventually(lambda seen=seen: len(running.lines) == seen, within=60, description="the proxy has seen it")


def test_a_login_of_a_proxy_is_shown_nowhere():
    given = read_proxies("http://worker:p%40ss@proxy.example:3128", {})

    assert "p@ss" not in f"{given!r}{given}{given.by_scheme['https'].shown}"
    assert set(given.secrets()) == {"p@ss", "d29ya2VyOnBAc3M="}
