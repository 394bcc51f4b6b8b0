"""Stands in for Marketing Cloud over HTTPS with as little work as possible, and counts what it was asked for.

`GET /counts` gives the calls by kind, `GET /performs` each start as [CustomerKey, time], and `GET /set?history=N`
changes a setting: rows of history of each definition, seconds of `latency` of a Perform, seconds that a run `lasts`,
how many `definitions`.
Any CustomerKey is known; its file is `file_of(key)`.
"""

import asyncio
import itertools
import json
import re
import ssl
import time
from collections import Counter
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit
from uuid import NAMESPACE_OID, uuid5

import sfmc_sandbox
from sfmc_harness.bench.http_connection import HttpConnection

CERTIFICATE = Path(sfmc_sandbox.__file__).parent / "tls" / "localhost.pem"
"""Certificate and key, and what a client must trust."""

HISTORY = 730
"""Rows: an import each hour for a month."""

PAGE = 2500
FIRST_ROW = 100_000
FIRST_TASK = 10_000_001
NAME_LENGTH = 60

_API = 'xmlns="http://exacttarget.com/wsdl/partnerAPI"'
_ENVELOPE = (
    '<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soap:Header></soap:Header><soap:Body>{body}'
    "</soap:Body></soap:Envelope>"
)
_PERFORMED = (
    "<Result><StatusCode>OK</StatusCode><StatusMessage>ImportDefinition performed</StatusMessage>"
    '<Object xsi:type="ImportDefinition"><PartnerKey xsi:nil="true"/><ObjectID xsi:nil="true"/>'
    "<CustomerKey>{key}</CustomerKey></Object><Task><StatusCode>OK</StatusCode><StatusMessage>OK</StatusMessage>"
    "<ID>{task_id}</ID></Task></Result>"
)
_DEFINITION = (
    '<Results xsi:type="ImportDefinition"><PartnerKey xsi:nil="true"/><ObjectID>{object_id}</ObjectID>'
    "<CustomerKey>{key}</CustomerKey><Name>{key}</Name><FileSpec>{file}</FileSpec><UpdateType>Overwrite</UpdateType>"
    "<MaxImportFrequency>24</MaxImportFrequency></Results>"
)
_RUN = (
    '<Results xsi:type="ImportResultsSummary"><PartnerKey xsi:nil="true"/><ObjectID xsi:nil="true"/>'
    "<ImportDefinitionCustomerKey>KEY</ImportDefinitionCustomerKey><StartDate>11/25/2026 7:04:15 PM</StartDate>"
    "<EndDate>11/25/2026 7:04:15 PM</EndDate><DestinationID>people</DestinationID><NumberSuccessful>5"
    "</NumberSuccessful><NumberDuplicated>0</NumberDuplicated><NumberErrors>0</NumberErrors><TotalRows>5</TotalRows>"
    "<ImportType>Data Extensions</ImportType><ImportStatus>Completed</ImportStatus>"
    "<TaskResultID>{task_id}</TaskResultID></Results>"
)
_TOKEN = json.dumps({"access_token": "V" * 64, "token_type": "Bearer", "expires_in": 1079, "scope": ""})
_VALUE = re.compile(rb"<(?:\w+:)?Value>([^<]*)</")
_KEY = re.compile(rb"<(?:\w+:)?CustomerKey>([^<]*)</")
_CONTINUE = re.compile(rb"<(?:\w+:)?ContinueRequest>([^<]*)</")


def file_of(key: str) -> str:
    """Name the file that the definition `key` imports."""
    return key.ljust(NAME_LENGTH - 4, "-") + ".csv"


class StandIn:
    """What it knows: its settings, and what it was asked for."""

    def __init__(self) -> None:
        self.settings = {"history": HISTORY, "latency": 0.0, "lasts": 0.0, "definitions": 0}
        self.counts: Counter[str] = Counter()
        self.performs: list[tuple[str, float]] = []
        self._task_ids = itertools.count(FIRST_TASK)

    def answer(self, path: str, body: bytes) -> str:
        """Answer one request."""
        address = urlsplit(path)
        if address.path == "/Service.asmx":
            return _ENVELOPE.format(body=self._perform(body) if b"PerformRequestMsg" in body else self._retrieve(body))
        if address.path == "/v2/token":
            self.counts["token"] += 1
            return _TOKEN
        if address.path == "/set":
            self.settings |= {name: float(value) for name, value in parse_qsl(address.query)}
        return json.dumps(self.performs if address.path == "/performs" else self.counts)

    def _perform(self, body: bytes) -> str:
        self.counts["Perform calls"] += 1
        results = "".join(map(self._start, _KEY.findall(body)))
        status = "<OverallStatus>OK</OverallStatus><RequestID>p</RequestID>"
        return f"<PerformResponseMsg {_API}><Results>{results}</Results>{status}</PerformResponseMsg>"

    def _start(self, key: bytes) -> str:
        self.counts["Performs"] += 1
        self.performs.append((key.decode(), time.time()))
        return _PERFORMED.format(key=key.decode(), task_id=next(self._task_ids))

    def _polled(self, task_ids: list[str]) -> str:
        """Give the rows of these runs, which have these ids in the order of their starts."""
        self.counts["polls"] += 1
        ended = time.time() - self.settings["lasts"]
        return "".join(
            _RUN.format(task_id=task_id)
            .replace("KEY", "")
            .replace("Completed", "Completed" if self.performs[int(task_id) - FIRST_TASK][1] <= ended else "Processing")
            for task_id in task_ids
        )

    def _retrieve(self, body: bytes) -> str:
        self.counts["Retrieve calls"] += 1
        values = [value.decode() for value in _VALUE.findall(body)]
        if b"ObjectType>ImportDefinition<" in body:
            keys = values or [f"file-{number}" for number in range(int(self.settings["definitions"]))]
            return _page("".join(map(_definition, keys)))
        if b"Property>TaskResultID<" in body and b">greaterThan<" not in body:
            return _page(self._polled(values))
        return self._history(body, values)

    def _history(self, body: bytes, values: list[str]) -> str:
        """Give a page of the history, or the rows of several definitions above an id.

        The id of an answer says where the next page begins.
        """
        rows = int(self.settings["history"])
        if b">greaterThan<" in body:
            *keys, above = values
            newer = min(max(int(above) + 1 - FIRST_ROW, 0), rows)
            return _page("".join(_runs(newer, rows).replace("KEY", key) for key in keys))
        asked = _CONTINUE.search(body)
        begin, key = asked.group(1).decode().split(":", 1) if asked else ("0", values[0])
        end = min(int(begin) + PAGE, rows)
        runs = _runs(int(begin), end).replace("KEY", key)
        return _page(runs, f"{end}:{key}" if end < rows else None)


def _definition(key: str) -> str:
    return _DEFINITION.format(object_id=uuid5(NAMESPACE_OID, key), key=key, file=file_of(key))


@lru_cache(maxsize=16)
def _runs(begin: int, end: int) -> str:
    return "".join(_RUN.format(task_id=FIRST_ROW + number) for number in range(begin, end))


def _page(rows: str, continues: str | None = None) -> str:
    status = "OK" if continues is None else "MoreDataAvailable"
    return (
        f"<RetrieveResponseMsg {_API}><OverallStatus>{status}</OverallStatus><RequestID>{continues or 'r'}</RequestID>"
        f"{rows}</RetrieveResponseMsg>"
    )


class _Connection(HttpConnection):
    """Answers the calls of one client."""

    def __init__(self, service: StandIn) -> None:
        super().__init__()
        self._service = service

    def answer(self, head: bytes, body: bytes) -> None:
        """Answer as Marketing Cloud does."""
        path = head.split(b" ", 2)[1].decode()
        kind = b"text/xml; charset=utf-8" if path == "/Service.asmx" else b"application/json"
        text = self._service.answer(path, body).encode()
        reply = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(text)) + text
        delay = self._service.settings["latency"] if b"PerformRequestMsg" in body else 0.0
        asyncio.get_running_loop().call_later(delay, self.send, reply, b"onnection: close" in head)


async def serve() -> None:
    """Serve on a free port until the process ends, and print the address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    service = StandIn()
    make = asyncio.get_running_loop().create_server
    server = await make(lambda: _Connection(service), "127.0.0.1", 0, ssl=context, backlog=1024)
    print(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
