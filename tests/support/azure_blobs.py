"""Blobs for tests: a small server in this process that answers as the service does."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote, urlsplit

from tests.support.threaded_servers import EndingServer, serving

WHEN = "Mon, 05 Jan 2026 03:10:00 GMT"


class Handler(BaseHTTPRequestHandler):
    """Gives parts of the blobs in `blobs`: content and etag by path."""

    protocol_version = "HTTP/1.1"
    blobs: dict[str, tuple[bytes, str]]
    asked: list[str]

    def do_HEAD(self) -> None:
        if (found := self._found()) is not None:
            self._answer(200, found[1], length=len(found[0]))

    def do_GET(self) -> None:
        if (found := self._found()) is None:
            return
        content, etag = found
        first, _, last = self.headers["x-ms-range"].removeprefix("bytes=").partition("-")
        self.asked.append(f"{first}-{last}")
        part = content[int(first) : int(last) + 1]
        if not part:
            self._answer(416, etag, code="InvalidRange")
            return
        self._answer(206, etag, length=len(part), span=f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}")
        self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        pass

    def _found(self) -> tuple[bytes, str] | None:
        found = self.blobs.get(unquote(urlsplit(self.path).path).lstrip("/"))
        if found is None:
            self._answer(404, "", code="BlobNotFound")
        elif self.headers.get("If-Match", f'"{found[1]}"') != f'"{found[1]}"':
            self._answer(412, "", code="ConditionNotMet")
            return None
        return found

    def _answer(self, status: int, etag: str, *, length: int = 0, span: str = "", code: str = "") -> None:
        self.send_response(status)
        heads = {"Content-Length": str(length), "x-ms-version": "2025-01-05", "Last-Modified": WHEN}
        heads |= {"ETag": f'"{etag}"', "x-ms-blob-type": "BlockBlob"} if etag else {}
        heads |= {"Content-Range": span} if span else {}
        heads |= {"x-ms-error-code": code} if code else {}
        for name, value in heads.items():
            self.send_header(name, value)
        self.end_headers()


class BlobServer:
    """Blobs at `url`; `asked` are the ranges that were asked for."""

    def __init__(self, url: str, blobs: dict[str, tuple[bytes, str]], asked: list[str]) -> None:
        self.endpoint = f"BlobEndpoint={url}/acc"
        self.asked, self._blobs = asked, blobs

    def put(self, path: str, content: bytes, etag: str) -> None:
        """Put a blob at container/name."""
        self._blobs[f"acc/{path}"] = (content, etag)

    def remove(self, path: str) -> None:
        """Delete it."""
        del self._blobs[f"acc/{path}"]


@contextmanager
def blob_server() -> Iterator[BlobServer]:
    """Run the server for the length of a block."""
    handler = type("OwnBlobHandler", (Handler,), {"blobs": {}, "asked": []})
    server = EndingServer(("127.0.0.1", 0), handler)
    with serving(server):
        yield BlobServer(f"http://127.0.0.1:{server.server_port}", handler.blobs, handler.asked)  # type: ignore[attr-defined]
