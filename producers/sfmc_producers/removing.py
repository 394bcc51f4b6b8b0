"""Takes an accepted file out of its folder, whatever dies in between: moves it, or deletes it.

Each step is one call of the file system. First the file gets a hidden name beside its own, which says what was
accepted. Then what has this name is compared with that: another file, which a writer put there a moment before, gets
its own name back. Last it is deleted, or gets its place. A scan that finds a hidden name goes on where another
process ended, so nothing that was not accepted is ever moved or deleted, and any number of watchers may do the same.
The marker that lay beside an accepted file goes the same way; one that is written later belongs to another file.
"""

import ctypes
import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, Literal

from sfmc_producers.hidden_names import Hidden, mark_of, read_hidden
from sfmc_producers.stability import FileStat

MOST_NAMES = 1000
"""How many names are tried for a file whose own is taken where it is moved to."""


@dataclass(frozen=True, slots=True)
class After:
    """What follows when a file was accepted; `to` is where it is moved."""

    action: Literal["keep", "move", "delete"] = "keep"
    to: Path | None = None

    @property
    def keeps(self) -> bool:
        """Whether the file stays where it is."""
        return self.action == "keep"


@dataclass(frozen=True, slots=True)
class Removed:
    """What became of a file: it was `put_back` or has `changed` when it is not the one that was accepted.

    `gone` says that another watcher was quicker, `left` that it must stay under its hidden name: its own is taken.
    """

    outcome: Literal["moved", "deleted", "changed", "put_back", "gone", "left"]
    to: str = ""


class Remover:
    """Removes the files of one folder; `marker` is the suffix of marker files, which go with their files.

    Every method raises OSError when the file system refuses a step; the file is then where the last step left it.
    """

    def __init__(self, folder: Path, after: After, marker: str | None = None) -> None:
        self.folder, self._after, self._marker = folder, after, marker

    def remove(self, accepted: FileStat) -> Removed:
        """Remove a file if it is still what was accepted."""
        within, _, name = accepted.name.rpartition("/")
        place = self.folder / within
        # Before the file: a writer puts a new file before its marker, so this one is of what is compared below.
        marker_mark = self._marker_mark(place, name)
        try:
            status = os.stat(place / name)  # noqa: PTH116 - the plain call, as in scandir
        except FileNotFoundError:
            return Removed("gone")
        seen = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if seen != (accepted.size, accepted.modified_ns, accepted.changed_ns):
            return Removed("changed")
        hidden = Hidden(_mark(name, status), marker_mark, name)
        try:
            rename_new(place / name, place / hidden.text)
        except FileNotFoundError:
            return Removed("gone")
        except FileExistsError:
            # An earlier file with the same inode, size and time is on its way; the next scan comes back to this one.
            self._finish(place, hidden)
            return Removed("changed")
        return self._finish(place, hidden)

    def finish(self, hidden: str) -> Removed:
        """Go on with a file that has a hidden name, as it stands in the listing of the folder."""
        within, _, name = hidden.rpartition("/")
        found = read_hidden(name)
        assert found is not None
        return self._finish(self.folder / within, found)

    def _finish(self, place: Path, hidden: Hidden) -> Removed:
        path = place / hidden.text
        try:
            status = os.stat(path)  # noqa: PTH116 - as above
            if _mark(hidden.name, status) != hidden.mark:
                return _put_back(path, place / hidden.name, status.st_size)
            marker = self._hide_marker(place, hidden)
            removed = self._let_go(place, path, hidden.name)
        except FileNotFoundError:
            if path.exists():
                raise
            return Removed("gone")
        if marker is not None:
            self._let_go(place, marker, f"{Path(removed.to or hidden.name).name}{self._marker}")
        return removed

    def _let_go(self, place: Path, path: Path, name: str) -> Removed:
        if self._after.to is None:
            path.unlink()
            return Removed("deleted")
        to = self._after.to / place.relative_to(self.folder)
        to.mkdir(parents=True, exist_ok=True)
        return Removed("moved", str(_to_free_name(path, to, name)))

    def _marker_mark(self, place: Path, name: str) -> str | None:
        """Sum up the marker of a file; None without one."""
        if not self._marker:
            return None
        try:
            return _mark(name + self._marker, os.stat(place / (name + self._marker)))  # noqa: PTH116 - as above
        except FileNotFoundError:
            return None

    def _hide_marker(self, place: Path, hidden: Hidden) -> Path | None:
        """Take the marker that lay beside a file when that was hidden; None for any other, which stays."""
        if hidden.marker_mark is None or hidden.marker_mark != self._marker_mark(place, hidden.name):
            return None
        name = f"{hidden.name}{self._marker}"
        path = place / Hidden(hidden.marker_mark, None, name).text
        try:
            rename_new(place / name, path)
            status = os.stat(path)  # noqa: PTH116 - as above
        except (FileNotFoundError, FileExistsError):
            # Another watcher is at it.
            return None
        if _mark(name, status) == hidden.marker_mark:
            return path
        _put_back(path, place / name, status.st_size)
        return None


def _mark(name: str, status: os.stat_result) -> str:
    """Sum up what was accepted; ctime is left out, for a rename changes it."""
    return mark_of(name, status.st_ino, status.st_size, status.st_mtime_ns)


def _put_back(hidden: Path, own: Path, size: int) -> Removed:
    """Give a file its own name back, unless a newer one has it; one without content is not kept then."""
    try:
        rename_new(hidden, own)
    except FileExistsError:
        if size:
            return Removed("left")
        hidden.unlink(missing_ok=True)
    return Removed("put_back")


def _to_free_name(path: Path, to: Path, name: str) -> Path:
    """Rename into a folder, to this name or, where that is taken, to one with the time of the file."""
    for each in islice(_names(name, path.stat().st_mtime_ns), MOST_NAMES):
        try:
            rename_new(path, to / each)
        except FileExistsError:
            continue
        return to / each
    raise FileExistsError(errno.EEXIST, f"{name} and {MOST_NAMES - 1} further names are taken in {to}")


def _names(name: str, modified_ns: int) -> Iterator[str]:
    stem, dot, ending = name.partition(".") if not name.startswith(".") else (name, "", "")
    try:
        time = datetime.fromtimestamp(modified_ns / 1e9, UTC).strftime("%Y%m%dT%H%M%SZ")
    except (ValueError, OverflowError, OSError):
        time = str(modified_ns)
    return chain([name, f"{stem}.{time}{dot}{ending}"], (f"{stem}.{time}-{n}{dot}{ending}" for n in count(2)))


_NOREPLACE = 1
_HERE = -100
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}


def rename_new(path: Path, to: Path) -> None:
    """Rename a file in one step and never over another; raises FileExistsError where the name is taken."""
    rename = _renameat2()
    if rename is not None:
        if rename(_HERE, os.fsencode(path), _HERE, os.fsencode(to), _NOREPLACE) == 0:
            return
        number = ctypes.get_errno()
        if number not in _UNSUPPORTED:
            raise OSError(number, os.strerror(number), str(path))
    rename_over_own(path, to)


def rename_over_own(path: Path, to: Path) -> None:
    """Do the same where the system has no such call: take the name with an empty file, then rename over that."""
    os.close(os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    try:
        path.rename(to)
    except BaseException:
        to.unlink(missing_ok=True)
        raise


@cache
def _renameat2() -> Callable[..., Any] | None:
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return function
