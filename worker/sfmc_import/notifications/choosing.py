"""Decides which events a notification is about; pure."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from sfmc_import.events.typed import ImportEvent
from sfmc_import.request import fold_key


def is_wanted(event: ImportEvent, names: Sequence[str], keys: Sequence[str]) -> bool:
    """Tell whether an event has one of these names and is about one of these definitions; * and ? stand for others."""
    key = fold_key(event.customer_key)
    return any(fnmatchcase(event.name, each) for each in names) and any(
        fnmatchcase(key, fold_key(each)) for each in keys
    )
