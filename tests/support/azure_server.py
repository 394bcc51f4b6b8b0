"""Storage Queues for tests: a small server in this process, or Azurite where node has it."""

import base64
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4
from xml.sax.saxutils import escape

from azure.storage.queue import QueueClient

from sfmc_local.processes import spawn, stop
from sfmc_local.redis_server import free_port
from tests.support.threaded_servers import EndingServer, serving
from tests.support.waiting import eventually

KEY = base64.b64encode(b"a-secret-of-this-test-account").decode()
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key that each Azurite has, as its page says."""
ANSWER = '<?xml version="1.0" encoding="utf-8"?>{}'
TIMES = "".join(f"<{name}>Mon, 05 Jan 2026 03:10:00 GMT</{name}>" for name in ("InsertionTime", "ExpirationTime"))


@dataclass
class Kept:
    """One message of the small server."""

    text: str
    id: str = field(default_factory=lambda: str(uuid4()))
    receipt: str = ""
    visible_at: float = 0.0
    dequeued: int = 0

    def hide(self, seconds: float) -> None:
        self.receipt, self.visible_at = uuid4().hex, time.monotonic() + seconds

    @property
    def as_xml(self) -> str:
        parts = {"MessageId": self.id, "PopReceipt": self.receipt, "DequeueCount": self.dequeued}
        inside = "".join(f"<{name}>{value}</{name}>" for name, value in parts.items())
        seen = "<TimeNextVisible>Mon, 05 Jan 2026 03:10:00 GMT</TimeNextVisible>"
        return f"<QueueMessage>{inside}{TIMES}{seen}<MessageText>{escape(self.text)}</MessageText></QueueMessage>"


class Handler(BaseHTTPRequestHandler):
    """Answers as the service does, one call at a time; a queue named `forbidden` refuses everybody."""

    protocol_version = "HTTP/1.1"
    queues: dict[str, dict[str, Kept]]
    lock: threading.Lock

    def _answer(self, status: int, text: str = "", **headers: str) -> None:
        body = ANSWER.format(text).encode() if text else b""
        self.send_response(status)
        for name, value in {**headers, "x-ms-version": "2025-01-05", "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        if text:
            self.send_header("Content-Type", "application/xml")
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        text = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
        self._answer(status, text, **{"x-ms-error-code": code})

    def do_GET(self) -> None:
        if (queue := self._queue()) is None:
            return
        with self.lock:
            waiting = [each for each in queue.values() if each.visible_at <= time.monotonic()]
            given = waiting[: int(self._query("numofmessages", "1"))]
            for each in given:
                each.dequeued += 1
                each.hide(float(self._query("visibilitytimeout", "30")))
        self._answer(200, f"<QueueMessagesList>{''.join(each.as_xml for each in given)}</QueueMessagesList>")

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if (message := self._message()) is not None:
            message.hide(float(self._query("visibilitytimeout", "0")))
            seen = "Mon, 05 Jan 2026 03:10:00 GMT"
            self._answer(204, **{"x-ms-popreceipt": message.receipt, "x-ms-time-next-visible": seen})

    def do_DELETE(self) -> None:
        if (message := self._message()) is not None:
            del self.queues[self._path()[1]][message.id]
            self._answer(204)

    def log_message(self, *_: object) -> None:
        pass

    def _message(self) -> Kept | None:
        if (queue := self._queue()) is None:
            return None
        message = queue.get(self._path()[3])
        if message is None:
            self._refuse(404, "MessageNotFound")
        elif message.receipt != self._query("popreceipt", ""):
            self._refuse(400, "PopReceiptMismatch")
            return None
        return message

    def _queue(self) -> dict[str, Kept] | None:
        name = self._path()[1]
        if name == "forbidden":
            self._refuse(403, "AuthenticationFailed")
        elif name not in self.queues:
            self._refuse(404, "QueueNotFound")
        return self.queues.get(name)

    def _path(self) -> list[str]:
        return urlsplit(self.path).path.strip("/").split("/")

    def _query(self, name: str, usual: str) -> str:
        return parse_qs(urlsplit(self.path).query).get(name, [usual])[0]


class SmallServer:
    """Queues in this process."""

    def __init__(self, url: str, queues: dict[str, dict[str, Kept]]) -> None:
        self.connection = f"AccountName=acc;AccountKey={KEY};QueueEndpoint={url}/acc"
        self._queues = queues

    def make(self, queue: str) -> None:
        self._queues.setdefault(queue, {})

    def send(self, queue: str, value: Any, *, plain: bool = False) -> None:
        """Put an event into a queue as Event Grid does; text stays as it is."""
        message = Kept(packed(value, plain=plain))
        self._queues[queue][message.id] = message

    def count(self, queue: str) -> int:
        return len(self._queues[queue])

    def visible(self, queue: str) -> int:
        """Count the messages that no mailbox holds."""
        return sum(each.visible_at <= time.monotonic() for each in self._queues[queue].values())


class Azurite:
    """Queues and blobs of Azurite."""

    def __init__(self, port: int, blob_port: int) -> None:
        self.connection = (
            f"AccountName=devstoreaccount1;AccountKey={AZURITE_KEY};"
            f"QueueEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
            f"BlobEndpoint=http://127.0.0.1:{blob_port}/devstoreaccount1"
        )

    def make(self, queue: str) -> None:
        with self._client(queue) as client:
            client.create_queue()

    def send(self, queue: str, value: Any, *, plain: bool = False) -> None:
        with self._client(queue) as client:
            client.send_message(packed(value, plain=plain))

    def count(self, queue: str) -> int:
        with self._client(queue) as client:
            return int(client.get_queue_properties().approximate_message_count or 0)

    def visible(self, queue: str) -> int:
        with self._client(queue) as client:
            return len(client.peek_messages(max_messages=32))

    def _client(self, queue: str) -> QueueClient:
        return QueueClient.from_connection_string(self.connection, queue)


def packed(value: Any, *, plain: bool) -> str:
    """Write a message: base64 of JSON."""
    if isinstance(value, str):
        return value
    text = json.dumps(value)
    return text if plain else base64.b64encode(text.encode()).decode()


@contextmanager
def small_server() -> Iterator[SmallServer]:
    """Run the small server for the length of a block."""
    handler = type("OwnHandler", (Handler,), {"queues": {}, "lock": threading.Lock()})
    server = EndingServer(("127.0.0.1", 0), handler)
    with serving(server):
        yield SmallServer(f"http://127.0.0.1:{server.server_port}", handler.queues)  # type: ignore[attr-defined]


def azurite_program() -> str | None:
    """Find Azurite on the PATH; None without it or without node."""
    return shutil.which("azurite") if shutil.which("node") else None


@contextmanager
def azurite(folder: Path) -> Iterator[Azurite]:
    """Run Azurite for the length of a block."""
    program, port, blob_port, other = azurite_program(), free_port(), free_port(), free_port()
    assert program is not None
    ports = {"--queuePort": port, "--blobPort": blob_port, "--tablePort": other}
    command = [program, "--silent", "--location", str(folder)]
    command += [each for name, number in ports.items() for each in (name, str(number))]
    child = spawn([*command, "--skipApiVersionCheck"], env=dict(os.environ), output=subprocess.DEVNULL)
    try:
        made = Azurite(port, blob_port)
        eventually(lambda: _answers(made), 60, "Azurite answers")
        yield made
    finally:
        stop(child)


def _answers(server: Azurite) -> bool:
    try:
        server.make("first")
    except Exception:  # noqa: BLE001 - it does not listen yet
        return False
    return True
