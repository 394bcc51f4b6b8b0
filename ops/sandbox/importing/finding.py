"""What a definition names is looked up: its files, its source and its destination; nothing is read or written."""

from datetime import UTC, datetime
from pathlib import Path

from ops.sandbox.importing.definition import Options
from ops.sandbox.importing.destinations import Destination, IntoDataExtension, IntoList
from ops.sandbox.importing.fields import DataExtension
from ops.sandbox.importing.locations import folder_of, listing
from ops.sandbox.importing.outcome import Account, RefusedError
from ops.sandbox.importing.rows import RowStore
from ops.sandbox.importing.selection import select, young_enough

FROM_DATA_EXTENSION = "_CustomObject"
"""The FileSpec that means: import from the SourceObject, not from a file."""


def files_of(options: Options, files: Path, moment: datetime) -> list[Path]:
    """Return the files to import; `moment` is the start in the zone whose date the FileSpec means.

    Raises RefusedError where there is none, or where FileSpec is empty.
    """
    if options.file_spec == FROM_DATA_EXTENSION:
        return []
    if not options.file_spec:
        raise RefusedError("FileSpec is empty: name a file")
    folder = folder_of(files, options.location)
    everything = listing(folder)
    young = young_enough(everything, moment.astimezone(UTC), options.max_file_age, options.max_file_age_offset)
    names = select(options.file_spec, young, moment.date(), several=options.multiple_files)
    if names:
        return [folder / name for name in names]
    if select(options.file_spec, everything, moment.date(), several=options.multiple_files):
        raise RefusedError(f"every file for {options.file_spec!r} is older than MaxFileAge allows")
    raise RefusedError(f"no file for {options.file_spec!r} in the file transfer location")


def source_extension(options: Options, account: Account, store: RowStore) -> DataExtension | None:
    """Return the data extension to import from, None for an import from a file; RefusedError without one."""
    if options.file_spec != FROM_DATA_EXTENSION:
        return None
    source = options.source
    name = source and (source.customer_key or source.object_id)
    found = store.data_extension(account.mid, name) if name else None
    if found is None:
        raise RefusedError(f"FileSpec _CustomObject: there is no data extension {name or ''!r} as SourceObject")
    return found


def destination_of(options: Options, account: Account, store: RowStore, run: int) -> Destination:
    """Return where the rows go; RefusedError where the definition names nothing that exists."""
    wanted = options.destination
    if wanted is None:
        raise RefusedError("the definition has no DestinationObject")
    if wanted.type == "List":
        return _list(wanted.id, options, account, store, run)
    name = wanted.customer_key or wanted.object_id
    extension = store.data_extension(account.mid, name) if name else None
    if extension is None:
        raise RefusedError(f"DestinationObject: there is no data extension {name!r}")
    return IntoDataExtension(extension, run)


def _list(number: int, options: Options, account: Account, store: RowStore, run: int) -> Destination:
    if number == account.all_subscribers_list_id and not store.list_exists(account.mid, number):
        store.create_list(account.mid, "All Subscribers", number, all_subscribers=True)
    target = store.mailing_list(account.mid, number)
    if target is None:
        raise RefusedError(f"DestinationObject: there is no list {number}")
    return IntoList(target, run, options.subscriber_type)
