"""What happens with a file whose request the ledger has: it stays, is moved on the server, or is deleted."""

from collections.abc import Iterator

import asyncssh

from sfmc_import.request import FileInfo
from sfmc_producers.sources.sftp.entries import is_same, other_names
from sfmc_producers.sources.sftp.listing import path_of
from sfmc_producers.sources.sftp.options import SftpOptions
from sfmc_producers.sources.sftp.server import SftpServer
from sfmc_producers.stability import FileStat


def let_go(server: SftpServer, options: SftpOptions, file: FileStat, info: FileInfo) -> bool:
    """Move or delete an accepted file, with its marker; False when there was nothing to do.

    A file that is gone, or has other content by now, is left alone: that content is an arrival of its own.
    Raises asyncssh.SFTPError when the server refuses.
    """
    path = path_of(options.dir, file.name)
    if options.after == "keep" or not is_same(server.lstat(path), file):
        return False
    moved = _remove(server, options, path, info.name, info)
    if moved is not None and not is_same(server.lstat(moved), file):
        # A writer replaced it between the look and the rename: what was moved has not been announced yet.
        server.rename(moved, path)
        return False
    if options.marker is not None:
        marker = path + options.marker.encode()
        if server.lstat(marker) is not None:
            _remove(server, options, marker, info.name + options.marker, info)
    return True


def _remove(server: SftpServer, options: SftpOptions, path: bytes, name: str, info: FileInfo) -> bytes | None:
    """Delete or move; gives the path to which it was moved."""
    if options.after == "delete":
        server.remove(path)
        return None
    for target in _targets(options, name, info):
        if server.lstat(target) is None and _rename(server, path, target):
            return target
    raise asyncssh.SFTPFailure(f"{options.move_to} has a file of each name that {name} could get")


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
