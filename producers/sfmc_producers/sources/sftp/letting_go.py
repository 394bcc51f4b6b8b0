"""What happens with a file whose request the ledger has: it stays, is moved on the server, or is deleted.

Each step is one call of the server, as for the files of a folder: first the file gets a hidden name beside its own,
which says what was accepted; then what has this name is compared with that, and another file gets its own name back;
last it is deleted or gets its place. A listing that shows a hidden name goes on where another process ended.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import asyncssh

from sfmc_import.request import FileInfo
from sfmc_producers.hidden_names import Hidden, mark_of, read_hidden
from sfmc_producers.sources.sftp.entries import Attributes, is_same, other_names
from sfmc_producers.sources.sftp.listing import path_of
from sfmc_producers.sources.sftp.options import SftpOptions
from sfmc_producers.sources.sftp.server import SftpServer
from sfmc_producers.stability import FileStat

Outcome = Literal["done", "changed", "put_back", "gone", "left", "redated"]
"""As for a folder: `left` says that it is not what was accepted, and must stay hidden, for its own name is taken.
`redated` says that the server gives a renamed file a new time stamp: no step can be checked there."""


@dataclass(frozen=True, slots=True)
class LettingGo:
    """Lets go of the files of one source.

    Every method raises asyncssh.SFTPError when the server refuses a step; the file is then where the last one left it.
    """

    server: SftpServer
    options: SftpOptions

    def let_go(self, file: FileStat, info: FileInfo) -> Outcome:
        """Move or delete an accepted file, with the marker that lies beside it, if it is still what was accepted."""
        within, _, name = file.name.rpartition("/")
        # Before the file: a writer puts a new file before its marker, so this one is of what is compared below.
        marker_mark = self._marker_mark(within, name)
        found = self.server.lstat(self._path(within, name))
        if found is None:
            return "gone"
        if not is_same(found, file):
            return "changed"
        hidden = Hidden(_mark(name, found), marker_mark, name)
        if self.server.lstat(self._path(within, hidden.text)) is not None:
            # An earlier file of the same size and time is on its way; the next listing comes back to this one.
            self._finish(within, hidden, info)
            return "changed"
        try:
            self.server.rename(self._path(within, name), self._path(within, hidden.text))
        except asyncssh.SFTPNoSuchFile:
            return "gone"
        return self._finish(within, hidden, info)

    def finish(self, name: str, info: FileInfo) -> Outcome:
        """Go on with a file that has a hidden name; `info` is what it was before."""
        within, _, last = name.rpartition("/")
        hidden = read_hidden(last)
        assert hidden is not None
        return self._finish(within, hidden, info)

    def _finish(self, within: str, hidden: Hidden, info: FileInfo) -> Outcome:
        path = self._path(within, hidden.text)
        try:
            return self._finish_at(path, within, hidden, info)
        except asyncssh.SFTPNoSuchFile:
            if self.server.lstat(path) is not None:
                raise
            # Another producer was quicker.
            return "gone"

    def _finish_at(self, path: bytes, within: str, hidden: Hidden, info: FileInfo) -> Outcome:
        found = self.server.lstat(path)
        if found is None:
            return "gone"
        if _mark(hidden.name, found) != hidden.mark:
            return self._put_back(path, self._path(within, hidden.name), found)
        marker = self._hide_marker(within, hidden)
        name = self._remove(path, info.name, info)
        if marker is not None:
            self._remove(marker, f"{name}{self.options.marker}", info)
        return "done"

    def _remove(self, path: bytes, name: str, info: FileInfo) -> str:
        """Delete or move; gives the name that it has then."""
        if self.options.after == "delete":
            self.server.remove(path)
            return name
        for target in _targets(self.options, name, info):
            if self.server.lstat(target) is None and _rename(self.server, path, target):
                return target.rpartition(b"/")[2].decode()
        raise asyncssh.SFTPFailure(f"{self.options.move_to} has a file of each name that {name} could get")

    def _put_back(self, hidden: bytes, own: bytes, found: Attributes) -> Outcome:
        """Give a file that was not announced its own name back, unless a newer one has it."""
        if self.server.lstat(own) is not None or not _rename(self.server, hidden, own):
            return "left"
        back = self.server.lstat(own)
        is_redated = back is not None and back.size == found.size and back.mtime != found.mtime
        return "redated" if is_redated else "put_back"

    def _marker_mark(self, within: str, name: str) -> str | None:
        """Sum up the marker of a file; None without one."""
        if self.options.marker is None:
            return None
        found = self.server.lstat(self._path(within, name + self.options.marker))
        return None if found is None else _mark(name + self.options.marker, found)

    def _hide_marker(self, within: str, hidden: Hidden) -> bytes | None:
        """Take the marker that lay beside a file when that was hidden; None for any other, which stays."""
        if hidden.marker_mark is None or hidden.marker_mark != self._marker_mark(within, hidden.name):
            return None
        name = f"{hidden.name}{self.options.marker}"
        own, path = self._path(within, name), self._path(within, Hidden(hidden.marker_mark, None, name).text)
        if self.server.lstat(path) is not None:
            return None
        try:
            self.server.rename(own, path)
        except asyncssh.SFTPNoSuchFile:
            return None
        found = self.server.lstat(path)
        if found is not None and _mark(name, found) == hidden.marker_mark:
            return path
        if found is not None:
            self._put_back(path, own, found)
        return None

    def _path(self, within: str, name: str) -> bytes:
        return path_of(self.options.dir, f"{within}/{name}" if within else name)


def _mark(name: str, found: Attributes) -> str:
    return mark_of(name, found.size or 0, found.mtime or 0)


def _rename(server: SftpServer, path: bytes, target: bytes) -> bool:
    """Rename; False when the name is taken meanwhile."""
    try:
        server.rename(path, target)
    except asyncssh.SFTPNoSuchFile:
        # The folder is missing, or another producer was quicker: then the second try says so.
        server.make_folder(target.rpartition(b"/")[0])
        server.rename(path, target)
    except asyncssh.SFTPFailure:
        if server.lstat(target) is None:
            raise
        return False
    return True


def _targets(options: SftpOptions, name: str, info: FileInfo) -> Iterator[bytes]:
    folder = options.move_to or options.dir
    return (path_of(folder, each) for each in other_names(name, info.fingerprint))


def find_moved(server: SftpServer, options: SftpOptions, file: FileStat, info: FileInfo) -> bytes | None:
    """Find an accepted file in the folder to which it was moved."""
    if options.move_to is None:
        return None
    return next((path for path in _targets(options, info.name, info) if is_same(server.lstat(path), file)), None)
