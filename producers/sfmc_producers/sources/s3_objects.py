"""Objects of S3 as files: lists a bucket as arrivals, and opens the content of an arrival."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError
from urllib3.exceptions import HTTPError

from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.aws import aws_errors
from sfmc_producers.sources.fields import NotReadableError, arrival, plain_etag
from sfmc_producers.sources.receiving import SourceUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SCHEME = "s3://"
GONE = frozenset({"NoSuchKey", "NoSuchVersion", "PreconditionFailed", "404", "412"})


class NoContentError(Exception):
    """The content of an arrival cannot be had any more: the object is gone, or was replaced."""


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
    """Give bucket and key of an arrival from S3."""
    bucket, slash, folder = found.file.location.removeprefix(SCHEME).partition("/")
    return bucket, f"{folder}{slash}{found.file.name}"


class Content:
    """The bytes of an object, read as they come."""

    def __init__(self, body: Any, what: str) -> None:
        self._body, self._what = body, what

    def read(self, size: int) -> bytes:
        """Give the next bytes, `size` at most, and none at the end; raises SourceUnavailableError."""
        with _reading(self._what):
            return bytes(self._body.read(size))

    def close(self) -> None:
        """Close the connection."""
        self._body.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_content(client: "S3Client", found: Arrival) -> Content:
    """Open the content of an arrival, and of no other upload under its name.

    Raises NoContentError, SourceRefusedError or SourceUnavailableError.
    """
    bucket, key = place_of(found)
    if {".", ".."} & set(key.split("/")):
        # On the way these are taken for folders, and lead to another object.
        raise NoContentError(f"the object {found.file.name} cannot be asked for: its key has a part . or ..")
    same: Any = {"IfMatch": f'"{found.file.version}"'} if found.file.version else {}
    with aws_errors(f"bucket {bucket}"):
        try:
            answer = client.get_object(Bucket=bucket, Key=key, **same)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in GONE:
                text = f"the object {found.file.name} is gone, or was replaced after it arrived"
                raise NoContentError(text) from error
            raise
    return Content(answer["Body"], f"bucket {bucket}")


@contextmanager
def _reading(what: str) -> Iterator[None]:
    try:
        with aws_errors(what):
            yield
    except (HTTPError, OSError) as error:
        raise SourceUnavailableError(f"{what}: {error}") from error
