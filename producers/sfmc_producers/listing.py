"""Lists the files of a folder; an entry that cannot be read is reported and harms no other."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from sfmc_producers.progress import Progress
from sfmc_producers.stability import FileStat


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What one listing found.

    `unnamable` are files and subfolders whose names are no text (their bytes escaped), `unreadable` the files and
    subfolders that could not be read, with the system's reason.
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


def reason_of(error: OSError) -> str:
    """Give the reason of an error in words."""
    return error.strerror or type(error).__name__


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
        return False
    if not _is_text(name):
        listing.unnamable.append(shown(name))
        return False
    if not is_folder:
        status = entry.stat()
        listing.files.append(FileStat(name, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    return is_folder


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
