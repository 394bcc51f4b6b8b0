"""How fast the sandbox answers Perform, idle and under load, so that it is never the bottleneck of other figures."""

import socket
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from urllib.parse import urlsplit

from sfmc_harness.bench.figures import Figure
from sfmc_harness.bench.processes import ask, sandbox

IDLE_CALLS, CONNECTIONS, CALLS = 300, 4, 1000
PAUSE = 0.003
KEY = "bench"

_ENVELOPE = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soap:Header>'
    '<fueloauth xmlns="http://exacttarget.com">{token}</fueloauth></soap:Header><soap:Body>'
    '<PerformRequestMsg xmlns="http://exacttarget.com/wsdl/partnerAPI"><Action>start</Action><Definitions>'
    '<Definition xsi:type="ImportDefinition"><CustomerKey>{key}</CustomerKey></Definition>'
    "</Definitions></PerformRequestMsg></soap:Body></soap:Envelope>"
)
_HEAD = (
    "POST /Service.asmx HTTP/1.1\r\nHost: sandbox\r\nSOAPAction: Perform\r\n"
    "Content-Type: text/xml; charset=utf-8\r\nContent-Length: {length}\r\n\r\n"
)


@dataclass(frozen=True)
class Caller:
    """One kept-alive connection that sends the same start again and again, with as little work as possible."""

    connection: socket.socket
    request: bytes

    def start(self) -> float:
        """Send one start, read its whole answer, and return the seconds it took."""
        begun = time.perf_counter()
        self.connection.sendall(self.request)
        answer = b""
        while not answer.endswith(b"</soap:Envelope>"):
            part = self.connection.recv(65536)
            if not part:
                raise ConnectionError("the sandbox closed the connection")
            answer += part
        if b"<OverallStatus>OK</OverallStatus>" not in answer:
            raise RuntimeError(f"a start was refused: {answer!r}")
        return time.perf_counter() - begun


def figures() -> Iterator[Figure]:
    """Measure single calls with pauses, then several connections without."""
    with sandbox() as url:
        ask(f"{url}/_sandbox/definitions", "POST", {"CustomerKey": KEY, "FileSpec": "none.csv"})
        callers = [_caller(url) for _ in range(CONNECTIONS)]
        yield _idle(callers[0])
        yield _loaded(callers)
        for caller in callers:
            caller.connection.close()


def _caller(url: str) -> Caller:
    login = {"grant_type": "client_credentials", "client_id": "demo-client", "client_secret": "demo-secret"}
    body = _ENVELOPE.format(token=ask(f"{url}/v2/token", "POST", login)["access_token"], key=KEY).encode()
    address = urlsplit(url)
    connection = socket.create_connection((str(address.hostname), int(address.port or 80)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Caller(connection, _HEAD.format(length=len(body)).encode() + body)


def _idle(caller: Caller) -> Figure:
    times = []
    for _ in range(IDLE_CALLS):
        times.append(caller.start())
        time.sleep(PAUSE)
    middle = statistics.median(times) * 1000
    worst = statistics.quantiles(times, n=20)[-1] * 1000
    return Figure("milliseconds of a Perform on an idle sandbox", middle, 3.0, f"median; p95 {worst:.2f}")


def _loaded(callers: list[Caller]) -> Figure:
    begun = time.perf_counter()
    with ThreadPoolExecutor(len(callers)) as pool:
        list(pool.map(_many, callers, repeat(CALLS)))
    rate = CALLS * len(callers) / (time.perf_counter() - begun)
    detail = f"{rate:.0f} a second over {len(callers)} connections, each with a run behind it"
    return Figure("1000 Performs a second against what one process gives", 1000 / rate, 1.0, detail)


def _many(caller: Caller, calls: int) -> None:
    for _ in range(calls):
        caller.start()
