"""Containers of blobs for tests: a small server in this process that lists them as the service does."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, quote, urlsplit
from xml.sax.saxutils import escape

from tests.support.threaded_servers import EndingServer, serving

KEY = base64.b64encode(b"a-secret-of-this-blob-account").decode()


@dataclass
class Blob:
    """One blob as a listing shows it; `changed_at` in seconds since 1970."""

    name: str
    etag: str = "0x8D4B"
    size: int = 120
    kind: str = "BlockBlob"
    changed_at: float = 1_767_582_600.0
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def as_xml(self) -> str:
        properties = {
            "Last-Modified": formatdate(self.changed_at, usegmt=True),
            "Etag": self.etag,
            "Content-Length": self.size,
            "BlobType": self.kind,
        }
        inside = "".join(f"<{name}>{value}</{name}>" for name, value in properties.items())
        more = "".join(f"<{name}>{value}</{name}>" for name, value in self.metadata.items())
        is_plain = self.name.isprintable()
        name = escape(self.name) if is_plain else quote(self.name)
        head = "<Name>" if is_plain else '<Name Encoded="true">'
        return f"<Blob>{head}{name}</Name><Properties>{inside}</Properties><Metadata>{more}</Metadata></Blob>"


class Handler(BaseHTTPRequestHandler):
    """Lists containers; one that is named `forbidden` refuses everybody."""

    protocol_version = "HTTP/1.1"
    containers: dict[str, list[Blob]]
    page: int
    asked: list[str]
    cut_after: int | None

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        name, query = address.path.strip("/").split("/")[1], parse_qs(address.query)
        self.asked.append(address.query)
        server = self.server.made  # type: ignore[attr-defined]
        if server.cut_after is not None and len(self.asked) > server.cut_after:
            self.close_connection = True
            self.connection.close()
            return
        if name == "forbidden":
            self._answer(
                403, "<Error><Code>AuthorizationFailure</Code><Message>no</Message></Error>", "AuthorizationFailure"
            )
        elif name not in self.containers:
            self._answer(404, "<Error><Code>ContainerNotFound</Code><Message>no</Message></Error>", "ContainerNotFound")
        else:
            self._list(name, query.get("prefix", [""])[0], int(query.get("marker", ["0"])[0]), server.page)

    def _list(self, name: str, prefix: str, begin: int, page: int) -> None:
        found = [each for each in self.containers[name] if each.name.startswith(prefix)]
        more = str(begin + page) if begin + page < len(found) else ""
        blobs = "".join(each.as_xml for each in found[begin : begin + page])
        inside = f"<Blobs>{blobs}</Blobs><NextMarker>{more}</NextMarker>"
        self._answer(200, f'<EnumerationResults ContainerName="{name}">{inside}</EnumerationResults>')

    def _answer(self, status: int, text: str, code: str = "") -> None:
        body = f'<?xml version="1.0" encoding="utf-8"?>{text}'.encode()
        self.send_response(status)
        heads = {"Content-Type": "application/xml", "Content-Length": str(len(body)), "x-ms-version": "2025-01-05"}
        for name, value in {**heads, **({"x-ms-error-code": code} if code else {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class ContainerServer:
    """Containers at `connection`; `page` blobs are in an answer, and after `cut_after` answers each call is cut."""

    def __init__(self, url: str, containers: dict[str, list[Blob]], asked: list[str]) -> None:
        self.connection = f"AccountName=acc;AccountKey={KEY};BlobEndpoint={url}/acc"
        self.containers, self.asked = containers, asked
        self.page, self.cut_after = 1000, None


@contextmanager
def container_server() -> Iterator[ContainerServer]:
    """Run the server for the length of a block."""
    handler = type("OwnContainerHandler", (Handler,), {"containers": {}, "asked": []})
    server = EndingServer(("127.0.0.1", 0), handler)
    made = ContainerServer(f"http://127.0.0.1:{server.server_port}", handler.containers, handler.asked)  # type: ignore[attr-defined]
    server.made = made  # type: ignore[attr-defined]
    with serving(server):
        yield made
