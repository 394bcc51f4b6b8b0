"""Blobs of Azure as files: opens the content of an arrival."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, BinaryIO

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import BlobClient, BlobServiceClient
from pydantic import SecretStr

from sfmc_import.request import FileInfo
from sfmc_producers.content_errors import ContentGoneError, ContentLockedError, ContentUnavailableError
from sfmc_producers.delivery.ranged import RangedContent, as_file
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.fields import plain_etag

SCHEME = "azure://"
BLOCK_BYTES = 4 * 1024 * 1024
"""What one request asks for, and what lies in memory of a blob."""

CONNECT_SECONDS, READ_SECONDS = 5, 20
GONE = frozenset({404, 412})


class BlobRanges:
    """The blob of an arrival, and of no other upload under its name; a request for every 4 MiB."""

    def __init__(self, service: BlobServiceClient, client: BlobClient, file: FileInfo) -> None:
        # The service has the connections of its blobs.
        self._service, self._client, self._file = service, client, file
        self._etag = None if file.version is None else f'"{file.version}"'
        self._block, self._begin = b"", 0

    def size(self) -> int:
        """Ask for its size and etag; raises ContentGoneError when it is another than what arrived."""
        with self._errors():
            found = self._client.get_blob_properties(**self._same())
        self._etag = f'"{plain_etag(str(found.etag))}"'
        if self._file.size is not None and found.size != self._file.size:
            raise ContentGoneError(f"the blob {self._file.name} has {found.size} bytes instead of {self._file.size}")
        return int(found.size)

    def read(self, offset: int, most: int) -> bytes:
        """Give the next bytes."""
        if not self._begin <= offset < self._begin + len(self._block):
            with self._errors():
                found = self._client.download_blob(offset, BLOCK_BYTES, max_concurrency=1, **self._same())
                self._block, self._begin = bytes(found.readall()), offset
        at = offset - self._begin
        return self._block[at : at + most]

    def check(self) -> None:
        """Do nothing: each request asked for this version."""

    def close(self) -> None:
        """Close the connection."""
        self._service.close()

    def _same(self) -> Any:
        return {} if self._etag is None else {"etag": self._etag, "match_condition": MatchConditions.IfNotModified}

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except HttpResponseError as error:
            if error.status_code in GONE:
                text = f"the blob {self._file.name} is gone, or was replaced after it arrived"
                raise ContentGoneError(text) from error
            reason = getattr(error, "error_code", None) or f"HTTP {error.status_code}"
            raise ContentUnavailableError(f"the blob {self._file.name} cannot be read: {reason}") from error
        except (AzureError, OSError) as error:
            raise ContentUnavailableError(f"the blob {self._file.name} cannot be read: {error}") from error


class Blobs:
    """The blobs of one account; `variable` names the secret with its connection string."""

    def __init__(self, connection: SecretStr, variable: str) -> None:
        self._connection, self._variable = connection, variable

    def with_content(self, arrival: Arrival) -> Arrival:
        """Give an arrival whose content can be opened."""
        return replace(arrival, open_content=partial(self.open_content, arrival.file))

    def open_content(self, file: FileInfo) -> BinaryIO:
        """Open the content of an arrival; raises ContentError.

        It can be resumed where the event has the etag: else another opening may find another upload.
        """
        return as_file(RangedContent(self._ranges(file), is_pinned=file.version is not None))

    def _ranges(self, file: FileInfo) -> BlobRanges:
        account, container, path = place_of(file)
        if {".", ".."} & set(path.split("/")):
            # On the way these are taken for folders, and lead to another blob.
            raise ContentGoneError(f"the blob {file.name} cannot be asked for: its name has a part . or ..")
        service = self._service()
        if str(service.account_name).lower() != account:
            service.close()
            raise ContentLockedError(f"{file.name} lies in account {account}; {self._variable} is of another one")
        return BlobRanges(service, service.get_blob_client(container, path), file)

    def _service(self) -> BlobServiceClient:
        try:
            return BlobServiceClient.from_connection_string(
                self._connection.get_secret_value(),
                connection_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                # Who reads tries again, after pauses that grow.
                retry_total=0,
                # Otherwise each call is logged, with its address.
                logging_enable=False,
            )
        except ValueError:
            text = f"{self._variable} has no address of blobs, or no right to read them"
            raise ContentLockedError(text) from None


def place_of(file: FileInfo) -> tuple[str, str, str]:
    """Give account, container and name of a blob."""
    account, _, rest = file.location.removeprefix(SCHEME).partition("/")
    container, slash, folder = rest.partition("/")
    return account, container, f"{folder}{slash}{file.name}"
