"""The content of a file of this machine, as long as it is the file that arrived."""

import io
import os
from pathlib import Path

from sfmc_producers.checked_files import open_handle
from sfmc_producers.content_errors import ContentChangedError
from sfmc_producers.stability import FileStat


class LocalFile(io.FileIO):
    """A file that is what `expected` describes, when it is opened and when its end is read; else an error."""

    def __init__(self, path: Path, expected: FileStat) -> None:
        self._expected = expected
        super().__init__(open_handle(path), "rb")
        try:
            self._compare()
        except BaseException:
            self.close()
            raise

    def read(self, size: int | None = -1, /) -> bytes:
        """Give the next bytes; none at the end, which is compared with what the scans saw."""
        found: bytes = super().read(-1 if size is None else size)
        if not found:
            self._compare()
        return found

    def _compare(self) -> None:
        found, expected = os.fstat(self.fileno()), self._expected
        now = (found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if now != (expected.size, expected.modified_ns, expected.changed_ns):
            raise ContentChangedError("the file changed while it was read")
