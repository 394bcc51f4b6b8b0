"""Lists the files of a folder, and looks at a file once more before it is submitted."""

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from sfmc_import.file_content import content_hash
from sfmc_import.operations.unreadable import LINK_TO_NOTHING, NO_FILE
from sfmc_producers.stability import FileStat


class Step(NamedTuple):
    """One question to the file system: about which path, and when it was asked."""

    path: str
    since: float


class Progress:
    """Written by one thread, read by others; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.step: Step | None = None
        """The question that has no answer yet; None while nothing is asked."""

    def at(self, path: str) -> None:
        """Say that the file system is asked about `path` from now on."""
        self.step = Step(path, self._clock())

    def answered(self) -> None:
        """Say that nothing is asked any more."""
        self.step = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What one listing found.

    `unnamable` are files and subfolders whose names are no text (their bytes escaped), `unreadable` the files and
    subfolders that could not be read, with the system's reason, and links to files that are not there.
    """

    files: list[FileStat] = field(default_factory=list)
    unnamable: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


def list_folder(folder: Path, progress: Progress, *, recursive: bool = False) -> Listing:
    """List the regular files of a folder, with `recursive` those of its subfolders too.

    A link to a file counts as that file (its size and time stamp, the link's name); a link to a folder is not
    entered; a file that goes while the folder is listed is left out.
    Raises OSError when the folder itself cannot be listed.
    """
    listing = Listing()
    # A list of its own instead of recursion: folders may lie inside one another deeper than Python can call.
    left = [""]
    while left:
        within = left.pop()
        try:
            subfolders = _list_one(listing, folder, within, progress)
        except OSError as error:
            if not within:
                raise
            listing.unreadable[within.rstrip("/")] = reason_of(error)
        else:
            left += subfolders if recursive else []
    return listing


def iterate_files(folder: Path, *, recursive: bool = False) -> Iterator[FileStat]:
    """Yield the files that `list_folder` finds, one after the other; what cannot be read or named is left out.

    Raises OSError when the folder itself cannot be listed.
    """
    left = [""]
    while left:
        within, subfolders = left.pop(), list[str]()
        try:
            yield from _iterate_one(folder, within, subfolders)
        except OSError:
            if not within:
                raise
        left += subfolders if recursive else []


def _iterate_one(folder: Path, within: str, subfolders: list[str]) -> Iterator[FileStat]:
    with os.scandir(folder / within) as entries:
        for entry in entries:
            one = Listing()
            if _note(one, entry, within + entry.name):
                subfolders.append(f"{within}{entry.name}/")
            yield from one.files


def list_named(folder: Path, names: Iterable[str], progress: Progress) -> Listing:
    """List these files alone, each as `list_folder` does; names are paths within the folder."""
    listing = Listing()
    for name in names:
        path = f"{folder}/{name}"
        progress.at(path)
        if not _is_text(name):
            listing.unnamable.append(shown(name))
            continue
        try:
            status = os.stat(path)  # noqa: PTH116 - the plain call, as in scandir
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(path):  # noqa: PTH114 - as above
                listing.unreadable[shown(name)] = LINK_TO_NOTHING
            continue
        except OSError as error:
            listing.unreadable[shown(name)] = reason_of(error)
            continue
        if stat.S_ISREG(status.st_mode):
            listing.files.append(_file_stat(name, status))
        elif not stat.S_ISDIR(status.st_mode):
            listing.unreadable[shown(name)] = NO_FILE
    return listing


def reason_of(error: OSError) -> str:
    """Give the reason of an error in words."""
    return error.strerror or type(error).__name__


NEVER_FOLDERS = {errno.ENOTDIR, errno.ENAMETOOLONG}
"""How a system refuses to list what can never be a folder. All else is waited for: a mount, or rights, may come."""


def why_never_watched(path: Path) -> str | None:
    """Give a sentence if this can never be watched as it is; None also where the folder only cannot be read now."""
    try:
        with os.scandir(path):
            return None
    except OSError as error:
        return f"folder {path} cannot be read: {reason_of(error)}" if error.errno in NEVER_FOLDERS else None


def shown(name: str) -> str:
    r"""Give a name as text: bytes that are none are escaped, as in bad\xff.csv."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _list_one(listing: Listing, folder: Path, within: str, progress: Progress) -> list[str]:
    """Add the files of one folder; gives its subfolders."""
    subfolders = []
    progress.at(f"{folder}/{within}")
    with os.scandir(folder / within) as entries:
        for entry in entries:
            progress.at(entry.path)
            if _note(listing, entry, within + entry.name):
                subfolders.append(f"{within}{entry.name}/")
    return subfolders


def _note(listing: Listing, entry: os.DirEntry[str], name: str) -> bool:
    """Note a file, or why an entry cannot be read; True for a subfolder that can be entered."""
    try:
        return _note_file(listing, entry, name)
    except FileNotFoundError:
        return False
    except OSError as error:
        listing.unreadable[shown(name)] = reason_of(error)
        return False


def _note_file(listing: Listing, entry: os.DirEntry[str], name: str) -> bool:
    is_folder = entry.is_dir(follow_symlinks=False)
    if not is_folder and not entry.is_file():
        if entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110 - the plain call, as in scandir
            listing.unreadable[shown(name)] = LINK_TO_NOTHING
        elif not entry.is_dir():
            listing.unreadable[shown(name)] = NO_FILE
        return False
    if not _is_text(name):
        listing.unnamable.append(shown(name))
        return False
    if not is_folder:
        listing.files.append(_file_stat(name, entry.stat()))
    return is_folder


def _file_stat(name: str, status: os.stat_result) -> FileStat:
    return FileStat(name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


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
