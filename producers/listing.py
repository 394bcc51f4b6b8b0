"""What is in a folder now: regular files as sightings; decides nothing and opens no file."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from producers.stability import Sighting


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What one listing found.

    `unnamable` are files whose names are no text in this system's encoding (as ASCII with escapes), `unreadable` the
    subfolders that could not be listed, with the system's reason.
    """

    files: list[Sighting] = field(default_factory=list)
    unnamable: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


def list_folder(folder: Path, *, recursive: bool = False) -> Listing:
    """List the regular files of a folder, with `recursive` those of its subfolders too.

    A link to a file counts as that file (its size and time stamp, the link's name); a link to a folder is not
    entered; a file that goes while the folder is listed is left out.
    Raises OSError when the folder itself cannot be listed.
    """
    listing = Listing()
    _list_into(listing, folder, "", recursive=recursive)
    return listing


def _list_into(listing: Listing, folder: Path, within: str, *, recursive: bool) -> None:
    subfolders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file():
                _add(listing, entry, within)
            elif recursive and entry.is_dir(follow_symlinks=False):
                subfolders.append(entry.name)
    for name in subfolders:
        try:
            _list_into(listing, folder / name, f"{within}{name}/", recursive=True)
        except OSError as error:
            listing.unreadable[within + name] = error.strerror or type(error).__name__


def _add(listing: Listing, entry: os.DirEntry[str], within: str) -> None:
    name = within + entry.name
    if not _is_text(name):
        listing.unnamable.append(ascii(name))
        return
    for status in _status(entry):
        listing.files.append(Sighting(name, status.st_size, status.st_mtime_ns))


def _status(entry: os.DirEntry[str]) -> Iterator[os.stat_result]:
    try:
        yield entry.stat()
    except FileNotFoundError:
        return


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
