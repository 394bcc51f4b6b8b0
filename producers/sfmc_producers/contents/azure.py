"""The content of events that name blobs of Azure's storage."""

from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO

from azure.storage.blob import BlobServiceClient
from pydantic import SecretStr

from sfmc_import.errors import SettingsError
from sfmc_import.redaction import KNOWN
from sfmc_producers.content_errors import ContentUnavailableError
from sfmc_producers.contents import places
from sfmc_producers.contents.doubts import Doubts
from sfmc_producers.contents.tables import AzureContent
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.azure_blobs import Blobs
from sfmc_producers.sources.azure_containers import BlobContainer
from sfmc_producers.sources.azure_queue import secrets_in


class AzureContents:
    """The blobs of one container."""

    def __init__(self, options: AzureContent, connection: SecretStr, variable: str) -> None:
        self._options, self._blobs = options, Blobs(connection, variable)
        self._container = BlobContainer(
            connection,
            variable,
            container=options.container,
            prefix=options.prefix,
            hierarchical=options.hierarchical,
        )
        self._doubts = Doubts(self._container.ask)

    def with_content(self, arrival: Arrival) -> Arrival:
        """Give an arrival whose content can be opened."""
        return places.with_content(arrival, self._options.root, self._open)

    def require(self) -> None:
        """Raise SourceRefusedError when the login or the container is wrong."""
        self._doubts.require()

    def list_arrivals(self) -> Iterator[Arrival]:
        """Yield the complete blobs below the prefix, page by page."""
        with closing(self._container.list_arrivals()) as found:
            yield from found

    def close(self) -> None:
        """Do nothing: each file has a connection of its own."""

    def _open(self, arrival: Arrival) -> BinaryIO:
        try:
            return self._blobs.open_content(arrival.file)
        except ContentUnavailableError:
            self._doubts.raise_doubt()
            raise


def open_azure(options: AzureContent, connection: SecretStr, variable: str) -> AzureContents:
    """Open the contents of a container; raises SettingsError for a connection string of another account, or of none."""
    KNOWN.learn(*secrets_in(connection.get_secret_value()))
    try:
        with BlobServiceClient.from_connection_string(connection.get_secret_value()) as service:
            account = str(service.account_name).lower()
    except ValueError:
        raise SettingsError([f"{variable}: this is no connection string with an address of blobs"]) from None
    if account != options.account:
        raise SettingsError([f"{variable}: it is of account {account}; [source.content] names {options.account}"])
    return AzureContents(options, connection, variable)
