"""Events of imports: typed readers of the stream for any program, and the texts that our commands show.

    from sfmc_import.events import EventReader, Gap

    with EventReader("redis://redis:6379/0") as reader:
        for event in reader.read(start="$"):
            if isinstance(event, Gap):
                print("events were missed")
            elif event.is_end:
                print(event.customer_key, event.name)

Importing this module changes nothing in the program that does, and loads neither Celery nor the SOAP library.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sfmc_import.events.stream import (
    BATCH,
    COLOURS,
    ENDS,
    ROW_COUNTS,
    TYPE,
    Entry,
    Event,
    EventStream,
    Life,
    facts,
    follow_command,
    just_before,
    kind,
    left_out,
    line,
    next_step,
    resolve_command,
    start_command,
)

if TYPE_CHECKING:
    from sfmc_import.events.aio import AsyncEventGroup, AsyncEventReader
    from sfmc_import.events.readers import EventGroup, EventReader
    from sfmc_import.events.typed import Gap, ImportEvent

__all__ = [
    "BATCH",
    "COLOURS",
    "ENDS",
    "ROW_COUNTS",
    "TYPE",
    "AsyncEventGroup",
    "AsyncEventReader",
    "Entry",
    "Event",
    "EventGroup",
    "EventReader",
    "EventStream",
    "Gap",
    "ImportEvent",
    "Life",
    "facts",
    "follow_command",
    "just_before",
    "kind",
    "left_out",
    "line",
    "next_step",
    "resolve_command",
    "start_command",
]

# Loaded when they are asked for: a program that only submits loads this package too.
_LATER = {
    "AsyncEventGroup": "aio",
    "AsyncEventReader": "aio",
    "EventGroup": "readers",
    "EventReader": "readers",
    "Gap": "typed",
    "ImportEvent": "typed",
}


def __getattr__(name: str) -> Any:
    """Load a reader on first use."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
