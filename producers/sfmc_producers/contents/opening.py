"""Opens what reads the files of a source by its [source.content]; each kind is imported when it is asked for."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from sfmc_import.errors import SettingsError, extra_needed
from sfmc_producers.contents.tables import Content
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.tables import Parts


class Contents(Protocol):
    """The files that the events of a source name; nothing connects before one is opened or listed."""

    def with_content(self, arrival: Arrival) -> Arrival:
        """Give an arrival whose content can be opened; one that lies elsewhere says so when it is opened."""
        ...

    def require(self) -> None:
        """Raise SourceRefusedError when the login is refused; asks only after a doubt, and never for long."""
        ...

    def list_arrivals(self) -> Iterator[Arrival]:
        """Yield what lies there now, as events name it.

        Raises SourceUnavailableError, also in the middle, and SourceRefusedError.
        """
        ...

    def close(self) -> None:
        """Close the connections; the next opening makes others."""
        ...


def variable(name: str, what: str) -> str:
    """Give the name of a secret for the content of a source."""
    return f"SFMC_SOURCE_{name.upper().replace('-', '_')}_CONTENT_{what.upper()}"


def keys_of(parts: Parts, *, needed: bool) -> tuple[str, str] | None:
    """Give the access key and its secret; raises SettingsError for one of them, or for none where they are needed."""
    names = ("access_key", "secret_key")
    access, secret = (parts.settings.secret_of(parts.name, f"content_{each}") for each in names)
    if access is not None and secret is not None:
        return access.get_secret_value(), secret.get_secret_value()
    if needed or access is not None or secret is not None:
        both = " and ".join(variable(parts.name, each) for each in names)
        raise SettingsError([f"source {parts.name}: give {both}"])
    return None


def _s3(options: Any, parts: Parts) -> Contents:
    with extra_needed('content of kind = "s3"', "aws"):
        from sfmc_producers.contents.s3 import open_s3  # noqa: PLC0415 - an extra

    return open_s3(options, keys_of(parts, needed=False))


def _gcs(options: Any, parts: Parts) -> Contents:
    with extra_needed('content of kind = "gcs"', "aws"):
        from sfmc_producers.contents.gcs import open_gcs  # noqa: PLC0415 - an extra

    keys = keys_of(parts, needed=True)
    assert keys is not None
    return open_gcs(options, keys)


def _azure(options: Any, parts: Parts) -> Contents:
    with extra_needed('content of kind = "azure"', "azure"):
        from sfmc_producers.contents.azure import open_azure  # noqa: PLC0415 - an extra

    name = variable(parts.name, "connection")
    connection = parts.settings.secret_of(parts.name, "content_connection")
    if connection is None:
        raise SettingsError([f"{name}: missing; give a connection string that may read and list blobs"])
    return open_azure(options, connection, name)


def _sftp(options: Any, parts: Parts) -> Contents:
    with extra_needed('content of kind = "sftp"', "sftp"):
        from sfmc_producers.contents.sftp import open_sftp  # noqa: PLC0415 - an extra

    return open_sftp(options, parts.name, lambda what: parts.settings.secret_of(parts.name, f"content_{what}"))


OPEN: Mapping[str, Callable[[Any, Parts], Contents]] = MappingProxyType(
    {"s3": _s3, "gcs": _gcs, "azure": _azure, "sftp": _sftp}
)


def open_contents(content: Content, parts: Parts) -> Contents:
    """Open what reads the files of a source; raises SettingsError for secrets that are missing or wrong."""
    return OPEN[content.kind](content, parts)
