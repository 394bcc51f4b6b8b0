"""Looks at a file once more before it is submitted: whether it is unchanged, who writes it, what is in it."""

import errno
import fcntl
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sfmc_import.file_content import content_hash
from sfmc_producers.listing import reason_of
from sfmc_producers.stability import FileStat

_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_IN_USE = {errno.EBUSY, errno.ETXTBSY, errno.EAGAIN}
"""How an SMB server and others refuse to open a file that a writer keeps for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastLook:
    """What was found; `text` says why for a file that is gone or cannot be read."""

    outcome: Literal["unchanged", "changed", "open", "gone", "unreadable"]
    content_hash: str | None = None
    text: str = ""


def look_again(path: Path, expected: FileStat, *, open_files: Literal["run", "wait"]) -> LastLook:
    """Open the file and compare it with what the scans saw.

    To open it makes clients of NFS and sshfs ask their server anew. A file that may not be read is compared by its
    attributes and has no hash: Marketing Cloud reads it in a place of its own.
    """
    try:
        handle = os.open(path, _READ)
    except PermissionError:
        return _look_from_outside(path, expected)
    except OSError as error:
        return _refused(error)
    try:
        return _look_inside(handle, expected, open_files)
    except OSError as error:
        return _refused(error)
    finally:
        os.close(handle)


def _look_from_outside(path: Path, expected: FileStat) -> LastLook:
    try:
        same = _is_same(os.stat(path), expected)  # noqa: PTH116 - the plain call, as in scandir
    except OSError as error:
        return _refused(error)
    return LastLook(outcome="unchanged" if same else "changed")


def _look_inside(handle: int, expected: FileStat, open_files: Literal["run", "wait"]) -> LastLook:
    if not _is_same(os.fstat(handle), expected):
        return LastLook(outcome="changed")
    if open_files == "wait" and is_open_for_writing(handle):
        return LastLook(outcome="open")
    found = content_hash(handle, expected.size)
    # Reading takes a while.
    return LastLook(outcome="unchanged" if _is_same(os.fstat(handle), expected) else "changed", content_hash=found)


def _refused(error: OSError) -> LastLook:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return LastLook(outcome="gone", text=reason_of(error))
    return LastLook(outcome="open" if error.errno in _IN_USE else "unreadable", text=reason_of(error))


def _is_same(status: os.stat_result, expected: FileStat) -> bool:
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns) == (
        expected.size,
        expected.modified_ns,
        expected.changed_ns,
    )


def is_open_for_writing(handle: int) -> bool:
    """Say whether any program has the file open for writing; False where this system does not tell.

    Linux gives a lease for reading only on a file that none has open for writing, and only to the owner of the file
    or to root. For a local file system only: one of a network refuses leases for reasons of its own.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        # Who opens the file while the lease is held makes the kernel send a signal: one that is ignored by default.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
