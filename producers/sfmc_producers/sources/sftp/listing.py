"""Walks through the folder of a server and its subfolders, entry by entry, within one deadline."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field

import asyncssh

from sfmc_producers.sources.receiving import SourceUnavailableError
from sfmc_producers.sources.sftp.connection import said
from sfmc_producers.sources.sftp.entries import Entry, Skipped, Subfolder, is_name, needs_look, read_entry
from sfmc_producers.sources.sftp.server import SftpServer
from sfmc_producers.stability import FileStat, StabilityRule

MAX_DEPTH = 32
"""Folders inside one another; a server may show endlessly many."""


class FolderMissingError(Exception):
    """The folder itself cannot be listed now; the text says why."""


@dataclass(slots=True)
class Walk:
    """One listing; `unreadable` are the subfolders that could not be listed, with the server's reason.

    `skip` is a folder inside that is not entered: where handled files are moved to.
    """

    server: SftpServer
    root: str
    rule: StabilityRule
    recursive: bool
    skip: str | None
    seconds: float
    most: int
    clock: Callable[[], float]
    unreadable: dict[str, str] = field(default_factory=dict)
    _count: int = 0

    def entries(self) -> Generator[FileStat | Skipped, None, None]:
        """Give the entries as they come.

        Raises FolderMissingError, and SourceUnavailableError when the listing takes too long or has too many entries.
        """
        deadline, left = self.clock() + self.seconds, [""]
        while left:
            yield from self._files(left.pop(), left, deadline)

    def _files(self, within: str, left: list[str], deadline: float) -> Generator[FileStat | Skipped, None, None]:
        """Give the files of one folder; its subfolders go to `left`."""
        with closing(self._one(within)) as entries:
            for entry in entries:
                self._count += 1
                self._check(deadline)
                if not isinstance(entry, Subfolder):
                    yield entry
                elif self._enters(entry.name):
                    left.append(f"{entry.name}/")

    def _one(self, within: str) -> Generator[Entry, None, None]:
        folder = path_of(self.root, within.rstrip("/"))
        try:
            with closing(self.server.entries(folder)) as batches:
                for batch in batches:
                    yield from (self._read(within, each) for each in batch if is_name(_bytes(each.filename)))
        except asyncssh.SFTPError as error:
            if not within:
                raise FolderMissingError(said(error)) from error
            self.unreadable[within.rstrip("/")] = said(error)

    def _read(self, within: str, found: asyncssh.SFTPName) -> Entry:
        name, attributes = _bytes(found.filename), found.attrs
        if not needs_look(attributes) or b"/" in name:
            return read_entry(within, name, attributes)
        try:
            return read_entry(
                within, name, self.server.lstat(self.root.rstrip("/").encode() + b"/" + within.encode() + name)
            )
        except asyncssh.SFTPError:
            return read_entry(within, name, attributes)

    def _enters(self, name: str) -> bool:
        path = f"{self.root.rstrip('/')}/{name}"
        return (
            self.recursive
            and path != self.skip
            and name.count("/") < MAX_DEPTH
            # A file in it counts only if none of the folders above it is ignored.
            and self.rule.is_candidate(f"{name}/file")
        )

    def _check(self, deadline: float) -> None:
        if self.clock() > deadline:
            raise SourceUnavailableError(f"the listing of {self.root} took longer than {self.seconds:g} s")
        if self._count > self.most:
            raise SourceUnavailableError(f"{self.root} has more than {self.most} entries, see max_files")


def path_of(root: str, name: str) -> bytes:
    """Give the path on the server of a name within the folder; "" is the folder."""
    return (f"{root.rstrip('/')}/{name}" if name else root).encode()


def _bytes(name: str | bytes) -> bytes:
    return name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
