"""The content of a file on the server, for who delivers it: all of it as it was announced, or an error."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager

import asyncssh

from sfmc_import.request import FileInfo
from sfmc_producers.content_errors import ContentChangedError, ContentUnavailableError
from sfmc_producers.sources.receiving import SourceRefusedError, SourceUnavailableError
from sfmc_producers.sources.sftp.connection import said
from sfmc_producers.sources.sftp.entries import is_same
from sfmc_producers.sources.sftp.letting_go import find_moved
from sfmc_producers.sources.sftp.listing import path_of
from sfmc_producers.sources.sftp.options import SftpOptions
from sfmc_producers.sources.sftp.server import SftpServer
from sfmc_producers.stability import FileStat


def read_content(
    server: SftpServer, options: SftpOptions, info: FileInfo, offset: int = 0
) -> Generator[bytes, None, None]:
    """Read a file from `offset` on, in chunks of about a mebibyte; one that was moved after acceptance is found.

    Raises ContentChangedError, also after some chunks, SourceUnavailableError and SourceRefusedError.
    """
    file = _expected(options, info)
    try:
        path = _find(server, options, file, info)
        yield from _all_of(server, path, offset, file.size)
        if not is_same(server.lstat(path), file):
            raise ContentChangedError(f"{info.name} was changed while it was read")
    except asyncssh.SFTPNoSuchFile as error:
        raise ContentChangedError(f"{info.name} is gone") from error
    except asyncssh.SFTPError as error:
        raise SourceUnavailableError(f"{server.address} does not give {info.name}: {said(error)}") from error


class SftpRanges:
    """The file of an arrival, with one reader that goes on while it is read in order; `ended` is called once."""

    def __init__(
        self, server: SftpServer, options: SftpOptions, info: FileInfo, ended: Callable[[], None] = lambda: None
    ) -> None:
        self._server, self._options, self._info, self._ended = server, options, info, ended
        self._chunks: Generator[bytes, None, None] | None = None
        self._rest, self._next = b"", 0

    def size(self) -> int:
        """Give the announced size; the server is asked with the first read."""
        if self._info.size is None:
            raise ContentChangedError(f"{self._info.name} was announced without size")
        return self._info.size

    def read(self, offset: int, most: int) -> bytes:
        """Give the next bytes; elsewhere a new reader begins."""
        with _content_errors():
            if self._chunks is None or offset != self._next:
                self._begin(offset)
            assert self._chunks is not None
            data = self._rest or next(self._chunks, b"")
        given, self._rest = data[:most], data[most:]
        self._next = offset + len(given)
        return given

    def check(self) -> None:
        """Let the reader compare the file with the listing, as it does at the end."""
        with _content_errors():
            reader = self._chunks if self._next == self.size() else None
            for _ in reader or self._begin(self.size()):
                pass

    def close(self) -> None:
        """Give the connection back."""
        self._stop()
        self._ended()

    def _stop(self) -> None:
        chunks, self._chunks = self._chunks, None
        if chunks is not None:
            chunks.close()

    def _begin(self, offset: int) -> Generator[bytes, None, None]:
        self._stop()
        self._rest, self._next = b"", offset
        self._chunks = read_content(self._server, self._options, self._info, offset)
        return self._chunks


@contextmanager
def _content_errors() -> Iterator[None]:
    try:
        yield
    except (SourceUnavailableError, SourceRefusedError) as error:
        raise ContentUnavailableError(str(error)) from error


def _all_of(server: SftpServer, path: bytes, offset: int, size: int) -> Generator[bytes, None, None]:
    """Give the content of a path, which must be as long as the server said."""
    count = offset
    with closing(server.content(path, offset)) as chunks:
        for chunk in chunks:
            count += len(chunk)
            if count > size:
                raise ContentChangedError(f"the file has more than the {size} bytes that were announced")
            yield chunk
    if count != size:
        raise ContentChangedError(f"the file ended after {count} of {size} bytes")


def _expected(options: SftpOptions, info: FileInfo) -> FileStat:
    """Give the file as the listing showed it; raises ContentChangedError for one that cannot be of this source."""
    base = options.location
    within = info.location.removeprefix(base).strip("/")
    is_inside = info.location == base or info.location.startswith(f"{base}/")
    path = f"{within}/{info.name}".lstrip("/")
    if not is_inside or "\0" in path or "/" in info.name or {".", ".."} & set(path.split("/")):
        raise ContentChangedError(f"{info.location}/{info.name} is no file of {base}")
    if info.size is None or info.modified_ns is None:
        raise ContentChangedError(f"{info.name} was announced without size or time stamp")
    return FileStat(path, info.size, info.modified_ns)


def _find(server: SftpServer, options: SftpOptions, file: FileStat, info: FileInfo) -> bytes:
    path = path_of(options.dir, file.name)
    found = server.lstat(path)
    if is_same(found, file):
        return path
    moved = find_moved(server, options, file, info)
    if moved is None:
        raise ContentChangedError(f"{info.name} is gone" if found is None else f"{info.name} has other content by now")
    return moved
