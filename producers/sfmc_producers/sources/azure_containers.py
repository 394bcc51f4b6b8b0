"""Lists a container of Azure's blob storage as arrivals, page by page, with the identity that its events give them."""

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient
from pydantic import SecretStr

from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.azure_errors import azure_errors, code_of
from sfmc_producers.sources.deadlines import Caller
from sfmc_producers.sources.fields import NotReadableError, arrival, plain_etag
from sfmc_producers.sources.receiving import SourceRefusedError

PAGE = 1000
"""Blobs of one answer, and so in memory at a time."""

CONNECT_SECONDS, READ_SECONDS, CALL_SECONDS = 5, 20, 30.0
"""Timeouts of one read, and the deadline of a page over all its parts."""

QUIET_SECONDS = 60.0
"""With a hierarchical namespace a file is seen while it is written; one that was not changed for so long is taken."""

NO_LISTING = "AuthorizationPermissionMismatch"
"""What is said to a login that may read blobs and not list them: that is enough to deliver."""

LOGIN_FIX = "check {variable}: its key or SAS needs the rights read and list for blobs"


class BlobContainer:
    """One container, below a prefix; `variable` names the secret with its connection string, `now` gives seconds."""

    def __init__(
        self,
        connection: SecretStr,
        variable: str,
        *,
        container: str,
        prefix: str,
        hierarchical: bool,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._connection, self._variable, self._now = connection, variable, now
        self._container, self._prefix, self._hierarchical = container, prefix, hierarchical

    def list_arrivals(self) -> Generator[Arrival, None, None]:
        """Yield the blobs that are complete.

        Raises SourceUnavailableError, also in the middle, and SourceRefusedError.
        """
        client, caller = self._open(), Caller("sfmc-azure-blobs")
        try:
            root = f"azure://{str(client.account_name).lower()}/{self._container}"
            listing = client.list_blobs(
                name_starts_with=self._prefix or None, include=["metadata"], results_per_page=PAGE
            )
            pages = listing.by_page()
            while (page := self._next(caller, pages)) is not None:
                yield from (found for blob in page if (found := self._read(root, blob)) is not None)
        finally:
            caller.begin(client.close)
            caller.stop()

    def ask(self) -> None:
        """List one blob, to find out whether the login is right; raises as `list_arrivals`."""
        client = self._open()
        try:
            with azure_errors(f"container {self._container}", LOGIN_FIX.format(variable=self._variable)):
                _ask(client)
        finally:
            client.close()

    def _next(self, caller: Caller, pages: Iterator[Any]) -> list[Any] | None:
        fix = LOGIN_FIX.format(variable=self._variable)
        with azure_errors(f"container {self._container}", fix):
            return caller.within(CALL_SECONDS, lambda: _page(pages))

    def _read(self, root: str, blob: Any) -> Arrival | None:
        """Read one blob as events tell it; None for what no event would call an arrival."""
        is_folder = (blob.metadata or {}).get("hdi_isfolder") == "true"
        if is_folder or blob.blob_type != "BlockBlob":
            return None
        changed_at = blob.last_modified.timestamp()
        if self._hierarchical and self._now() - changed_at < QUIET_SECONDS:
            return None
        try:
            found = arrival(root, blob.name, size=blob.size, version=plain_etag(str(blob.etag)))
        except NotReadableError:
            return None
        return replace(found, changed_at=changed_at) if isinstance(found, Arrival) else None

    def _open(self) -> ContainerClient:
        try:
            return ContainerClient.from_connection_string(
                self._connection.get_secret_value(),
                self._container,
                connection_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                # Who scans tries again.
                retry_total=0,
                # Otherwise each call is logged, with its address.
                logging_enable=False,
            )
        except ValueError:
            text = f"{self._variable} has no address of blobs"
            own = self._variable.removesuffix("_BLOB_CONNECTION").removesuffix("_CONNECTION")
            fix = f"set {own}_BLOB_CONNECTION to a connection string that may read and list blobs"
            raise SourceRefusedError(text, fix) from None


def _ask(client: ContainerClient) -> None:
    try:
        next(client.list_blobs(results_per_page=1).by_page(), None)
    except HttpResponseError as error:
        if code_of(error) != NO_LISTING:
            raise


def _page(pages: Iterator[Any]) -> list[Any] | None:
    page = next(pages, None)
    return None if page is None else list(page)
