"""Objects of S3 as files: lists a bucket as arrivals, and opens the content of an arrival."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from botocore.exceptions import ClientError
from urllib3.exceptions import HTTPError

from sfmc_producers.content_errors import ContentError, ContentGoneError, ContentUnavailableError
from sfmc_producers.delivery.ranged import RangedContent, as_file
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.aws import aws_errors
from sfmc_producers.sources.fields import NotReadableError, arrival, plain_etag
from sfmc_producers.sources.receiving import SourceRefusedError, SourceUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SCHEME = "s3://"
GONE = frozenset({"NoSuchKey", "NoSuchVersion", "PreconditionFailed", "404", "412"})


def list_arrivals(client: "S3Client", bucket: str, prefix: str, since: datetime | None = None) -> Iterator[Arrival]:
    """Yield the objects below a prefix, page by page: as many as there are never lie in memory.

    With `since` only those that were changed after it.
    """
    pages = iter(client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix))
    while True:
        with aws_errors(f"bucket {bucket}"):
            page = next(pages, None)
        if page is None:
            return
        for item in page.get("Contents", ()):
            found = read_item(bucket, item)
            if found is not None and (since is None or item["LastModified"] > since):
                yield found


def read_item(bucket: str, item: Any) -> Arrival | None:
    """Read one line of a listing as events tell it; None for a folder, and for what no request can carry."""
    try:
        found = arrival(SCHEME + bucket, item["Key"], size=item["Size"], version=plain_etag(item["ETag"]))
    except NotReadableError:
        return None
    changed_at = item["LastModified"].timestamp() if "LastModified" in item else None
    return replace(found, changed_at=changed_at) if isinstance(found, Arrival) else None


def place_of(found: Arrival) -> tuple[str, str]:
    """Give bucket and key of an arrival from S3 or Google."""
    bucket, slash, folder = found.file.location.partition("://")[2].partition("/")
    return bucket, f"{folder}{slash}{found.file.name}"


class S3Ranges:
    """The object of an arrival, and of no other upload under its name; one connection while it is read in order."""

    def __init__(self, client: "S3Client", found: Arrival) -> None:
        self._client, self._file, self._version = client, found.file, found.file.version
        self._bucket, self._key = place_of(found)
        self._body: Any = None
        self._next = 0

    def size(self) -> int:
        """Ask for its size and etag; raises ContentGoneError when it is another than what arrived."""
        if {".", ".."} & set(self._key.split("/")):
            # On the way these are taken for folders, and lead to another object.
            raise ContentGoneError(f"the object {self._file.name} cannot be asked for: its key has a part . or ..")
        with self._errors():
            head = self._client.head_object(Bucket=self._bucket, Key=self._key, **self._same())
        size = int(head["ContentLength"])
        self._note(head)
        if self._file.size is not None and size != self._file.size:
            raise ContentGoneError(f"the object {self._file.name} has {size} bytes instead of {self._file.size}")
        return size

    def read(self, offset: int, most: int) -> bytes:
        """Give the next bytes; elsewhere a new request begins. A cut one is begun again by who asks again."""
        with self._errors():
            if self._body is None or offset != self._next:
                self._open(offset)
            data = bytes(self._body.read(most))
        self._next = offset + len(data)
        return data

    def check(self) -> None:
        """Do nothing: each request asked for this version."""

    def close(self) -> None:
        """Close the connection."""
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def _open(self, offset: int) -> None:
        self.close()
        answer = self._client.get_object(Bucket=self._bucket, Key=self._key, Range=f"bytes={offset}-", **self._same())
        self._body, self._next = answer["Body"], offset

    def _note(self, head: Any) -> None:
        """Note which version it is, from the answer to a HEAD."""
        self._version = plain_etag(head["ETag"])

    def _same(self) -> Any:
        """Give what a request says so that it is answered with this version alone."""
        return {"IfMatch": f'"{self._version}"'} if self._version else {}

    @contextmanager
    def _errors(self) -> Iterator[None]:
        what = f"bucket {self._bucket}"
        try:
            with aws_errors(what):
                yield
        except (SourceUnavailableError, SourceRefusedError) as error:
            self.close()
            raise self._content_error(error) from error
        except (HTTPError, OSError) as error:
            self.close()
            raise ContentUnavailableError(f"{what}: {error}") from error

    def _content_error(self, error: Exception) -> ContentError:
        cause = error.__cause__
        code = cause.response.get("Error", {}).get("Code") if isinstance(cause, ClientError) else None
        if code in GONE:
            return ContentGoneError(f"the object {self._file.name} is gone, or was replaced after it arrived")
        return ContentUnavailableError(str(error))


def open_content(client: "S3Client", found: Arrival) -> BinaryIO:
    """Open the content of an arrival; raises ContentGoneError or ContentUnavailableError.

    It can be resumed where the event has the etag: else another opening may find another upload.
    """
    return as_file(RangedContent(S3Ranges(client, found), is_pinned=found.file.version is not None))
