"""The content of events that name files of an SFTP server, which tell a size and at most a time."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import asyncssh
from pydantic import SecretStr

from sfmc_import.request import FileInfo
from sfmc_producers.content_errors import ContentChangedError, ContentGoneError, ContentUnavailableError
from sfmc_producers.contents import places
from sfmc_producers.contents.doubts import Doubts
from sfmc_producers.contents.tables import SftpContent
from sfmc_producers.delivery.ranged import RangedContent, as_file
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.receiving import SourceRefusedError, SourceUnavailableError
from sfmc_producers.sources.sftp.connection import Connector, said
from sfmc_producers.sources.sftp.entries import NS, is_same
from sfmc_producers.sources.sftp.logins import read_login
from sfmc_producers.sources.sftp.server import SftpServer
from sfmc_producers.sources.sftp.trust import read_trust
from sfmc_producers.stability import FileStat

LATE_SECONDS = 2.0
"""How much later than its event a file may have been changed: servers write whole seconds."""


def folders_between(folder: str, path: str) -> list[str]:
    """Give the folders between a folder and a file in it; none within /, from where no link leads out."""
    within = path.removeprefix(folder.rstrip("/")).strip("/").split("/")[:-1]
    names = within if folder.strip("/") else []
    return ["/".join((folder.rstrip("/"), *names[: count + 1])) for count in range(len(names))]


def path_of(file: FileInfo, server: str) -> str:
    """Give the path on the server; raises ContentGoneError for one that leads elsewhere."""
    path = f"{file.location.removeprefix(server)}/{file.name}"
    parts = path.split("/")
    if "\0" in path or {".", ".."} & set(parts) or "/" in file.name:
        raise ContentGoneError(f"{file.name} cannot be asked for: its path has a part . or ..")
    return "/" + "/".join(each for each in parts if each)


class SftpFile:
    """The file of an event: it has the size that was announced, and was not changed after its event."""

    def __init__(
        self, server: SftpServer, path: str, found: Arrival, ended: Callable[[], None], folder: str = "/"
    ) -> None:
        self._server, self._path, self._file, self._until = server, path, found.file, found.changed_at
        self._folders = folders_between(folder, path)
        self._ended: Callable[[], None] | None = ended
        self._stat: FileStat | None = None
        self._chunks: Generator[bytes, None, None] | None = None
        self._rest, self._next = b"", 0

    def size(self) -> int:
        """Look at the file; raises ContentGoneError when it is not what arrived."""
        with self._errors():
            for each in self._folders:
                if (lies := self._server.lstat(each.encode())) and lies.type == asyncssh.FILEXFER_TYPE_SYMLINK:
                    raise ContentGoneError(f"{self._file.name} lies behind a link, which could lead to any file")
            found = self._server.lstat(self._path.encode())
        if found is None or found.type != asyncssh.FILEXFER_TYPE_REGULAR or found.size is None or found.mtime is None:
            raise ContentGoneError(f"the file {self._file.name} is gone")
        self._compare(found.size, found.mtime)
        self._stat = FileStat(self._file.name, found.size, found.mtime * NS)
        return int(found.size)

    def read(self, offset: int, most: int) -> bytes:
        """Give the next bytes; elsewhere a new reader begins."""
        with self._errors():
            if self._chunks is None or offset != self._next:
                self._let_go()
                self._rest, self._next = b"", offset
                self._chunks = self._server.content(self._path.encode(), offset)
            data = self._rest or next(self._chunks, b"")
        given, self._rest = data[:most], data[most:]
        self._next = offset + len(given)
        return given

    def check(self) -> None:
        """Compare the file with how it was when it was opened."""
        assert self._stat is not None
        # Its reader would keep the connection from this question, which would then open another.
        self._let_go()
        with self._errors():
            found = self._server.lstat(self._path.encode())
        if not is_same(found, self._stat):
            raise ContentChangedError(f"{self._file.name} was changed while it was read")

    def close(self) -> None:
        """Give the connection back, and say once that the file is not read any more."""
        self._let_go()
        ended, self._ended = self._ended, None
        if ended is not None:
            ended()

    def _let_go(self) -> None:
        chunks, self._chunks = self._chunks, None
        if chunks is not None:
            chunks.close()

    def _compare(self, size: int, modified: int) -> None:
        file, text = self._file, "is another than what arrived"
        if file.size is not None and size != file.size:
            raise ContentGoneError(f"the file {file.name} {text}: it has {size} bytes instead of {file.size}")
        if file.modified_ns is not None and modified != file.modified_ns // NS:
            raise ContentGoneError(f"the file {file.name} {text}: it has another time stamp")
        if file.modified_ns is None and self._until is not None and modified > self._until + LATE_SECONDS:
            raise ContentGoneError(f"the file {file.name} {text}: it was changed after its event")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except asyncssh.SFTPNoSuchFile as error:
            raise ContentGoneError(f"the file {self._file.name} is gone") from error
        except (SourceUnavailableError, SourceRefusedError) as error:
            raise ContentUnavailableError(str(error)) from error
        except asyncssh.SFTPError as error:
            text = f"{self._server.address} does not give {self._file.name}: {said(error)}"
            raise ContentUnavailableError(text) from error


class SftpContents:
    """The files of one folder of a server; a refused login is not tried again."""

    def __init__(self, options: SftpContent, server: SftpServer) -> None:
        self._options, self._server = options, server
        self._lock, self._open_files, self._is_closing = threading.Lock(), 0, False
        self._doubts = Doubts(lambda: server.lstat(options.dir.encode()))

    def with_content(self, arrival: Arrival) -> Arrival:
        """Give an arrival whose content can be opened."""
        return places.with_content(arrival, self._options.root, self._open)

    def require(self) -> None:
        """Raise SourceRefusedError when the login or the host key is refused."""
        self._doubts.require()

    def list_arrivals(self) -> Iterator[Arrival]:
        """Refuse: a listing tells times, which the events of such a server do not."""
        text = "content of kind sftp is not listed: its files would be others than those of its events"
        raise SourceRefusedError(text, "use a source of kind sftp for what no event tells")

    def close(self) -> None:
        """Close the connections, unless a file is read now: its end closes them."""
        with self._lock:
            self._is_closing = True
            if not self._open_files:
                self._server.close()

    def _end_file(self) -> None:
        with self._lock:
            self._open_files -= 1
            if self._is_closing and not self._open_files:
                self._server.close()

    def _open(self, arrival: Arrival) -> BinaryIO:
        file = arrival.file
        path = path_of(file, self._options.server)
        with self._lock:
            self._open_files, self._is_closing = self._open_files + 1, False
        inner: Any = SftpFile(self._server, path, arrival, self._end_file, self._options.dir)
        try:
            # Without a time of the file another opening may find another upload, so nothing is resumed.
            return as_file(RangedContent(inner, is_pinned=file.modified_ns is not None))
        except ContentUnavailableError:
            self._doubts.raise_doubt()
            raise


def open_sftp(options: SftpContent, name: str, secret: Callable[[str], SecretStr | None]) -> SftpContents:
    """Open the contents of a folder; raises SettingsError for logins and host keys that cannot be used."""
    lines = options.as_source()
    login = read_login(f"{name}-content", lines, secret)
    connector = Connector(lines, login, read_trust(name, lines))
    return SftpContents(options, SftpServer(connector, most=options.connections, seconds=options.timeout))
