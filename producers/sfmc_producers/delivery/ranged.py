"""The content of a file of another machine: read in order, in pieces, from any place on."""

import io
import os
from collections.abc import Callable
from typing import BinaryIO, Protocol, TypeVar, cast

from sfmc_producers.content_errors import ContentChangedError, ContentUnavailableError
from sfmc_producers.sources.deadlines import Caller, DeadlineError

READ_SECONDS = 25.0
"""The deadline of each read, over all its parts: less than targets wait for the next bytes."""

MOST_AT_ONCE = 1024 * 1024
T = TypeVar("T")


class Ranges(Protocol):
    """A file that can be read at any place; raises ContentError."""

    def size(self) -> int:
        """Give its size, and note which version it is: all that is read is of this one."""
        ...

    def read(self, offset: int, most: int) -> bytes:
        """Give bytes from `offset` on, one at least and `most` at most; `offset` is before the end."""
        ...

    def check(self) -> None:
        """Compare the file with the one that arrived, after all of it was read."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


def as_file(content: io.RawIOBase) -> BinaryIO:
    """Give it as what it is where it is used: typing has no common type for the files that programs write."""
    return cast("BinaryIO", content)


class RangedContent(io.RawIOBase):
    """Reads what `ranges` gives; each read returns what came within its deadline, a mebibyte at most.

    Not seekable where `is_pinned` is false: then another opening may read another version, so nothing is resumed.
    """

    def __init__(self, ranges: Ranges, *, is_pinned: bool = True, seconds: float = READ_SECONDS) -> None:
        self._ranges, self._is_pinned, self._seconds = ranges, is_pinned, seconds
        self._caller = Caller("sfmc-content")
        self._is_left = False
        self._offset = 0
        try:
            self._size = self._within(ranges.size)
        except BaseException:
            self.close()
            raise

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say whether another opening can go on where this one ends."""
        return self._is_pinned

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, also where `seekable` says no: within one opening all is of one version."""
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._offset, os.SEEK_END: self._size}[whence]
        self._offset = max(0, begin + offset)
        return self._offset

    def tell(self) -> int:
        """Give the place of the next byte."""
        return self._offset

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        """Fill the beginning of `buffer`; 0 at the end, when the file is still the one that arrived."""
        left = self._size - self._offset
        if left <= 0:
            self._within(self._ranges.check)
            return 0
        most = min(len(buffer), left, MOST_AT_ONCE)
        data = self._within(lambda: self._ranges.read(self._offset, most))
        if not data:
            raise ContentChangedError(f"the file ended after {self._offset} of {self._size} bytes")
        buffer[: len(data)] = data
        self._offset += len(data)
        return len(data)

    def close(self) -> None:
        """Close the connection; a read that hangs is left behind."""
        if not self.closed:
            ending = self._caller.begin(self._ranges.close)
            self._caller.stop()
            if not self._is_left:
                ending.wait(self._seconds)
        super().close()

    def _within(self, action: Callable[[], T]) -> T:
        if self._is_left:
            raise ContentUnavailableError("the file is not read on after a read that gave no answer")
        try:
            return self._caller.within(self._seconds, action)
        except DeadlineError as error:
            self._is_left = True
            raise ContentUnavailableError(f"the file cannot be read: {error}") from error
