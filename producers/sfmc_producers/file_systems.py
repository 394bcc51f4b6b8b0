"""Reads which file systems a folder lies on, as far as this system names them."""

import os
from pathlib import Path
from typing import NamedTuple

from sfmc_producers.mounts import mount_of, types_of

MOUNTINFO = Path("/proc/self/mountinfo")


class FileSystems(NamedTuple):
    """The types of the file systems of a folder, and the mount that holds it; nothing where it is not known."""

    kinds: tuple[str, ...] = ()
    mount: str = ""


def file_systems_of(folder: Path, mountinfo: Path = MOUNTINFO, *, recursive: bool) -> FileSystems:
    """Give them for a folder, with `recursive` also the types of those below it."""
    try:
        text = mountinfo.read_text("utf-8", "surrogateescape")
    except OSError:
        return FileSystems()
    path = os.path.realpath(folder)
    return FileSystems(types_of(text, path, recursive=recursive), mount_of(text, path))
