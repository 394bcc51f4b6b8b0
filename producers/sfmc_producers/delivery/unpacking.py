"""Unpacks a file while it is read: gzip, zip and PGP, within bounds of memory, size and ratio."""

import gzip
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO, Protocol, TypeVar

from sfmc_producers.checked_files import OpenContent
from sfmc_producers.content_errors import ContentDamagedError
from sfmc_producers.delivery.ranged import as_file

T = TypeVar("T")
BUFFER_BYTES = 1024 * 1024
MAX_DIRECTORY_BYTES = 1024 * 1024
"""The most that is read of a zip file's directory, which lies in memory."""

MAX_HEADER_BYTES = 1024 * 1024
"""The most that a gzip file may have of a name, of a comment, or of filling after a member."""

JUDGED_FROM = 16 * 1024 * 1024
"""Unpacked bytes from which on the ratio counts: small files may be very regular."""

METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Of the others zipfile bounds no memory."""

ENCRYPTED = 1
DAMAGED = (EOFError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, RuntimeError, ValueError, struct.error)
"""What the libraries raise for bytes that are wrong; zipfile has RuntimeError for forms that it does not know, and
ValueError for names that are no text and places that are none."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may become: so many bytes, and so many times what was read of it."""

    size: int = 50 * 1024**3
    ratio: int = 200


class Decrypt(Protocol):
    """Opens what PGP has encrypted; raises ContentDamagedError at the latest before the end is read."""

    def __call__(self, content: io.BufferedReader) -> BinaryIO:
        """Give the plain bytes; closing them closes nothing else."""
        ...


class Decryption(Protocol):
    """The private keys of a target, and the public keys that its routes trust."""

    def open(self, content: io.BufferedReader, verify_with: Sequence[str] = ()) -> BinaryIO:
        """Give the plain bytes, as Decrypt; with `verify_with` only what a key of these files has signed."""
        ...

    def trust(self, files: Sequence[str], where: str) -> None:
        """Read files of public keys; raises SettingsError, which begins with `where`."""
        ...


class _Counted(io.RawIOBase):
    """Counts what is read of a file, for the ratio."""

    def __init__(self, inner: BinaryIO) -> None:
        self._inner, self.count = inner, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        # Within one opening each content can go to any place that zip needs; a stream says no.
        return hasattr(self._inner, "seek")

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        return self._inner.tell()

    def readinto(self, buffer: Any) -> int:
        data = self._inner.read(min(len(buffer), BUFFER_BYTES))
        buffer[: len(data)] = data
        self.count += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._inner.close()
        super().close()


class _Directory(io.RawIOBase):
    """What zipfile reads from: large reads are of a directory that no honest file has."""

    def __init__(self, inner: io.BufferedReader) -> None:
        self._inner = inner

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET and offset < 0:
            raise zipfile.BadZipFile("it points in front of its beginning")
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        return self._inner.tell()

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = MAX_DIRECTORY_BYTES + 1 if size is None or size < 0 else size
        if wanted <= MAX_DIRECTORY_BYTES:
            return self._inner.read(wanted)
        # Without a size zipfile reads what is left behind a place near the end.
        data = self._inner.read(MAX_DIRECTORY_BYTES + 1)
        if len(data) > MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile("its directory is too large")
        return data


class _Members:
    """What gzip reads from: it looks for the end of a name, and of the filling after a member, byte by byte."""

    def __init__(self, inner: io.BufferedReader) -> None:
        self._inner, self._in_a_row = inner, 0

    def read(self, size: int) -> bytes:
        self._in_a_row = self._in_a_row + 1 if size == 1 else 0
        if self._in_a_row > MAX_HEADER_BYTES:
            raise gzip.BadGzipFile("a name or a filling in it has no end")
        return self._inner.read(size)

    def seek(self, offset: int) -> int:
        return self._inner.seek(offset)


class UnpackedContent(io.RawIOBase):
    """The unpacked bytes; not seekable, so an upload that was cut begins anew.

    Reading raises ContentDamagedError for what is damaged, too large or encrypted for another key.
    """

    def __init__(self, content: BinaryIO, forms: Sequence[str], limits: Limits, decrypt: Decrypt | None) -> None:
        self._limits, self._counted, self._given = limits, _Counted(content), 0
        self._opened: list[Any] = [self._counted]
        self._form = forms[-1]
        try:
            for form in forms:
                self._form = form
                buffered = io.BufferedReader(self._opened[-1], BUFFER_BYTES)
                self._opened.append(_guarded(form, partial(_open, form, buffered, decrypt)))
        except BaseException:
            self.close()
            raise

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the beginning of `buffer`; 0 when all was unpacked and the source's file is still what arrived."""
        data = _guarded(self._form, lambda: self._opened[-1].read(min(len(buffer), BUFFER_BYTES)))
        self._given += len(data)
        self._judge()
        if not data:
            self._read_to_the_end()
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close everything, also what was never read."""
        if not self.closed:
            for each in reversed(self._opened):
                with suppress(ValueError):
                    each.close()
        super().close()

    def _judge(self) -> None:
        limits, given = self._limits, self._given
        if given > limits.size:
            raise ContentDamagedError(f"unpacked it has more than {limits.size} bytes (max_unpacked)")
        if given > JUDGED_FROM and given > limits.ratio * max(1, self._counted.count):
            raise ContentDamagedError(f"unpacked it is more than {limits.ratio} times as large (max_ratio)")

    def _read_to_the_end(self) -> None:
        """Read what stands behind the packed bytes, so that the source compares the file with what arrived."""
        if not self._counted.count:
            raise ContentDamagedError("it is empty, so there is nothing to unpack")
        self._counted.seek(0, os.SEEK_END)
        while self._counted.read(BUFFER_BYTES):
            pass


def unpacked(open_content: OpenContent, forms: Sequence[str], limits: Limits, decrypt: Decrypt | None) -> OpenContent:
    """Give what opens the unpacked content; `forms` are unpacked in order, the outermost first."""
    return lambda: as_file(UnpackedContent(open_content(), forms, limits, decrypt))


def _guarded(form: str, action: Callable[[], T]) -> T:
    try:
        return action()
    except DAMAGED as error:
        # The texts of some name bytes of the file.
        why = "it is of another form" if isinstance(error, (gzip.BadGzipFile, ValueError)) else str(error)
        raise ContentDamagedError(f"it cannot be unpacked ({form}): {why}") from None


def _open(form: str, content: io.BufferedReader, decrypt: Decrypt | None) -> Any:
    if form == "gz":
        return gzip.GzipFile(fileobj=_Members(content), mode="rb")
    if form == "zip":
        return _only_member(content)
    assert decrypt is not None, "the settings are checked for a key"
    return decrypt(content)


def _only_member(content: io.BufferedReader) -> Any:
    """Open the only file of a zip file; folders and what macOS adds do not count."""
    archive = zipfile.ZipFile(_Directory(content))
    with closing(archive):
        found = [each for each in archive.infolist() if not each.is_dir() and not each.filename.startswith("__MACOSX/")]
        if len(found) != 1:
            raise ContentDamagedError(f"the zip file has {len(found)} files instead of one")
        [member] = found
        if member.flag_bits & ENCRYPTED:
            raise ContentDamagedError("the zip file is encrypted with a password")
        if member.compress_type not in METHODS:
            raise ContentDamagedError(f"the zip file uses method {member.compress_type}; use deflate")
        return archive.open(member)
