"""The data folder: made, and claimed by one process at a time; knows nothing of what lies in it."""

import contextlib
import tempfile
from pathlib import Path
from typing import TextIO

try:
    import fcntl
except ImportError:  # Windows: two sandboxes on one folder are not noticed there
    fcntl = None  # type: ignore[assignment]

_CLAIM = "sandbox.lock"


class DataFolderError(Exception):
    """The data folder cannot be used; the text says which, why and what to do."""


class DataFolder:
    """A folder that belongs to this process until `release`; a temporary one when no path is given."""

    def __init__(self, path: Path | None) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="sfmc-sandbox-") if path is None else None
        self.path = Path(self._temporary.name) if self._temporary else path or Path()
        self._claim = _claim(self.path)

    def release(self) -> None:
        """Let others use the folder, or remove it when it was temporary."""
        self._claim.close()
        if self._temporary:
            with contextlib.suppress(OSError):
                self._temporary.cleanup()


def _claim(path: Path) -> TextIO:
    try:
        path.mkdir(parents=True, exist_ok=True)
        claim = (path / _CLAIM).open("w")
    except OSError as problem:
        raise DataFolderError(f"cannot use the data folder {path}: {problem.strerror or problem}") from problem
    if fcntl is not None:
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            claim.close()
            raise DataFolderError(f"another sandbox uses the data folder {path}: end it or take another") from problem
    return claim
