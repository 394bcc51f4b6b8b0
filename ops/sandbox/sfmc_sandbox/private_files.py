"""Files that the sandbox writes for itself: only this user can read them, and no link leads the writing elsewhere."""

import os
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def open_private(path: Path, *, empty: bool = True) -> int:
    """Open for writing and give the descriptor; a new file is for this user alone. Raises OSError, also for a link."""
    if path.is_symlink():
        raise OSError(f"{path.name} is a link, and links are not followed here")
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if empty else 0)
    # Windows has neither.
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    return os.open(path, flags, PRIVATE_FILE)


def write_private(path: Path, content: bytes) -> None:
    """Write a file; raises OSError, also for a link."""
    with os.fdopen(open_private(path), "wb") as file:
        file.write(content)


def make_private_folder(path: Path) -> None:
    """Make a folder and those above it that are missing, for this user alone; one that is there stays as it is."""
    for folder in [*reversed(path.parents), path]:
        if not folder.exists():
            folder.mkdir(PRIVATE_FOLDER, exist_ok=True)
