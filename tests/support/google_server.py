"""Google Cloud Storage for tests: a small server in this process that speaks its XML API, with generations."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.threaded_servers import EndingServer, serving

ACCESS = "GOOG1EAKEYOFTHESETESTS"
SECRET = "a-secret-of-the-google-server"
WHEN, ISO = "Mon, 05 Jan 2026 03:10:00 GMT", "2026-01-05T03:10:00.000Z"


@dataclass(frozen=True)
class Stored:
    """One object in one generation."""

    content: bytes
    generation: str


class Handler(BaseHTTPRequestHandler):
    """Answers as the service does; the newest generation of each name is kept."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, Stored]
    asked: list[str]
    page: int

    def do_HEAD(self) -> None:
        self._give(is_head=True)

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if "list-type" in address.query:
            self._list(parse_qs(address.query))
        else:
            self._give(is_head=False)

    def log_message(self, *_: object) -> None:
        pass

    def _give(self, *, is_head: bool) -> None:
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        self.asked.append(self.path)
        found = self.objects.get(unquote(address.path))
        wanted = query.get("generation", [""])[0]
        if not self._is_known() or "versionId" in query or "x-goog-date" in self.headers:
            self._refuse(403, "AccessDenied")
        elif found is None or wanted not in {"", found.generation}:
            self._refuse(404, "NoSuchKey")
        elif is_head:
            self._answer(200, found, length=len(found.content))
        else:
            self._part(found)

    def _part(self, found: Stored) -> None:
        first = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        part = found.content[first:]
        span = f"bytes {first}-{len(found.content) - 1}/{len(found.content)}"
        self._answer(206, found, length=len(part), **{"Content-Range": span})
        self.wfile.write(part)

    def _list(self, query: dict[str, list[str]]) -> None:
        bucket = urlsplit(self.path).path.rstrip("/")
        if not self._is_known():
            self._refuse(403, "SignatureDoesNotMatch")
            return
        prefix = query.get("prefix", [""])[0]
        names = [each for each in sorted(self.objects) if each.startswith(f"{bucket}/{prefix}")]
        begin = int(query.get("continuation-token", ["0"])[0])
        end = min(len(names), begin + min(self.page, int(query.get("max-keys", ["1000"])[0])))
        more = f"<NextContinuationToken>{end}</NextContinuationToken>" if end < len(names) else ""
        inside = "".join(self._line(each, each.removeprefix(f"{bucket}/")) for each in names[begin:end])
        flag = "true" if more else "false"
        text = f'<ListBucketResult xmlns="http://doc.s3.amazonaws.com/2006-03-01"><Name>{bucket[1:]}</Name>'
        self._xml(
            200,
            f"{text}<EncodingType>url</EncodingType><IsTruncated>{flag}</IsTruncated>{more}{inside}</ListBucketResult>",
        )

    def _line(self, path: str, name: str) -> str:
        one = self.objects[path]
        known = {"Key": escape(quote(name)), "Generation": one.generation, "MetaGeneration": 1, "LastModified": ISO}
        known |= {"ETag": "&quot;e&quot;", "Size": len(one.content)}
        fields = "".join(f"<{each}>{value}</{each}>" for each, value in known.items())
        return f"<Contents>{fields}</Contents>"

    def _is_known(self) -> bool:
        """Whether the request, as it came, is signed with the key: what was changed after it was signed is not."""
        said = self.headers["Authorization"] or ""
        fields = dict(each.partition("=")[::2] for each in said.partition(" ")[2].replace(" ", "").split(","))
        if not said.startswith("AWS4-HMAC-SHA256 ") or not fields.get("Credential", "").startswith(f"{ACCESS}/"):
            return False
        signed = {name: self.headers[name] for name in fields["SignedHeaders"].split(";")}
        request = AWSRequest(self.command, f"http://{self.headers['Host']}{self.path}", signed)
        request.context["timestamp"] = self.headers["X-Amz-Date"]
        signer = S3SigV4Auth(Credentials(ACCESS, SECRET), "s3", fields["Credential"].split("/")[2])
        text = signer.string_to_sign(request, signer.canonical_request(request))
        return bool(signer.signature(text, request) == fields["Signature"])

    def _refuse(self, status: int, code: str) -> None:
        self._xml(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>")

    def _xml(self, status: int, text: str) -> None:
        body = b"" if self.command == "HEAD" else f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, status: int, found: Stored, *, length: int, **more: str) -> None:
        self.send_response(status)
        heads = {"Content-Length": str(length), "Last-Modified": WHEN, "ETag": '"e"', **more}
        heads |= {"x-goog-generation": found.generation} if found.generation else {}
        for name, value in heads.items():
            self.send_header(name, value)
        self.end_headers()


class GoogleServer:
    """Buckets at `url`; `asked` are the paths of all reads."""

    def __init__(self, url: str, handler: Any) -> None:
        self.url, self.asked, self._handler = url, handler.asked, handler
        self._objects: dict[str, Stored] = handler.objects

    @property
    def page(self) -> int:
        """How many objects an answer lists."""
        return int(self._handler.page)

    @page.setter
    def page(self, count: int) -> None:
        self._handler.page = count

    def put(self, name: str, content: bytes, generation: str = "1736046600123456", bucket: str = "drop") -> None:
        """Upload an object; the one before is gone."""
        self._objects[f"/{bucket}/{name}"] = Stored(content, generation)

    def remove(self, name: str, bucket: str = "drop") -> None:
        """Delete it."""
        del self._objects[f"/{bucket}/{name}"]


@contextmanager
def google_server() -> Iterator[GoogleServer]:
    """Run the server for the length of a block."""
    handler = type("OwnGoogleHandler", (Handler,), {"objects": {}, "asked": [], "page": 1000})
    server = EndingServer(("127.0.0.1", 0), handler)
    with serving(server):
        yield GoogleServer(f"http://127.0.0.1:{server.server_port}", handler)
