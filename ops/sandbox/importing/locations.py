"""File transfer locations as folders: where a location's files lie and what is in it; no choice of files here."""

from datetime import UTC, datetime
from pathlib import Path

from ops.sandbox.importing.definition import Reference
from ops.sandbox.importing.outcome import RefusedError
from ops.sandbox.importing.selection import Entry

ENHANCED_FTP = "ExactTarget Enhanced FTP"
"""The location every account has; imports read from its folder `Import` (Marketing Cloud docs)."""


def folder_of(files: Path, location: Reference | None) -> Path:
    """Return the folder of a RetrieveFileTransferLocation below `files`, the Enhanced FTP's where none is named.

    Raises RefusedError where there is no such location, or its name is not one of a folder.
    """
    name = (location and (location.customer_key or location.object_id)) or ENHANCED_FTP
    if name in {".", ".."} or "/" in name or "\\" in name or "\0" in name:
        raise RefusedError(f"RetrieveFileTransferLocation {name!r} is not the name of a location")
    folder = files / name / "Import" if name == ENHANCED_FTP else files / name
    if not folder.is_dir():
        raise RefusedError(f"RetrieveFileTransferLocation {name!r} has no folder here")
    return folder


def listing(folder: Path) -> list[Entry]:
    """Return the files of a folder; one that vanishes while being looked at is left out."""
    found = []
    for path in folder.iterdir():
        try:
            if path.is_file():
                found.append(Entry(path.name, datetime.fromtimestamp(path.stat().st_mtime, UTC)))
        except FileNotFoundError:
            continue
    return found
