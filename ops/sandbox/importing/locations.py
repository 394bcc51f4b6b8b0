"""File transfer locations as folders, and the files of an import in them; the rules of the choice live elsewhere."""

from datetime import UTC, datetime
from pathlib import Path

from ops.sandbox.importing.definition import FROM_DATA_EXTENSION, Options, Reference
from ops.sandbox.importing.outcome import RefusedError
from ops.sandbox.importing.selection import Entry, select, young_enough

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


def files_of(options: Options, files: Path, moment: datetime) -> list[Path]:
    """Return the files to import, none for an import from a data extension.

    `moment` is the start in the zone whose date the FileSpec means. Raises RefusedError where there is no
    such file, or where FileSpec is empty.
    """
    if options.file_spec == FROM_DATA_EXTENSION:
        return []
    if not options.file_spec:
        raise RefusedError("FileSpec is empty: name a file")
    folder = folder_of(files, options.location)
    everything = listing(folder)
    young = young_enough(everything, moment, options.max_file_age, options.max_file_age_offset)
    names = select(options.file_spec, young, moment.date(), several=options.multiple_files)
    if names:
        return [folder / name for name in names]
    if select(options.file_spec, everything, moment.date(), several=options.multiple_files):
        raise RefusedError(f"every file for {options.file_spec!r} is older than MaxFileAge allows")
    raise RefusedError(f"no file for {options.file_spec!r} in the file transfer location")
