"""Files that we write for ourselves: only this user can read them, and no link leads the writing elsewhere."""

import errno
import os
import stat
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def write_private(path: Path, content: bytes) -> None:
    """Put `content` in the place of what the file had; a reader never finds it empty.

    Raises OSError; `strerror` says in words why a file is not trusted.
    """
    file = open_private(path)
    try:
        os.pwrite(file, content, 0)
        os.ftruncate(file, len(content))
    finally:
        os.close(file)


def open_private(path: Path, flags: int = 0) -> int:
    """Open for writing and give the descriptor; a file that is not there is made, for this user alone.

    Raises OSError for a link, for what is no file, and for the file of another user or with a second name.
    """
    # NONBLOCK: a pipe that lies there in the place of the file would hold us for ever.
    flags |= os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        file = os.open(path, flags, PRIVATE_FILE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link, and links are not followed here", str(path)) from None
        raise
    try:
        _check(path, file)
    except BaseException:
        os.close(file)
        raise
    return file


def make_private_folder(path: Path) -> None:
    """Make a folder and those above it that are missing, for this user alone; one that is there stays as it is."""
    for folder in [*reversed(path.parents), path]:
        if not folder.exists():
            folder.mkdir(PRIVATE_FOLDER, exist_ok=True)


def _check(path: Path, file: int) -> None:
    status = os.fstat(file)
    wrong = ""
    if not stat.S_ISREG(status.st_mode):
        wrong = "it is not a regular file"
    elif status.st_uid != os.geteuid():
        wrong = "it belongs to another user"
    elif status.st_nlink != 1:
        wrong = "it has a second name (a hard link)"
    if wrong:
        raise OSError(errno.EPERM, f"{wrong}; delete it, or name another file", str(path))
    if stat.S_IMODE(status.st_mode) & ~PRIVATE_FILE:
        os.fchmod(file, PRIVATE_FILE)
