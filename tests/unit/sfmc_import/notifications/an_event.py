"""Events for tests of notifications."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from sfmc_import.events.typed import ImportEvent, typed

FILE = {"location": "/in", "name": "a.csv", "size": 3, "modified_ns": "1", "fingerprint": "f"}


def event(
    number: int, name: str = "import_failed", *, deliveries: int = 1, key: str = "daily", **data: Any
) -> ImportEvent:
    """Make one; its id is `rN/1/NAME`."""
    fields = {"request_id": f"r{number}", "mid": "7", "attempt": 1, "file": FILE, **data}
    whole = {
        "specversion": "1.0",
        "id": f"r{number}/1/{name}",
        "type": f"sfmc.import.{name}",
        "subject": key,
        "time": "2026-03-01T06:00:00.000Z",
        "data": fields,
    }
    (made,) = typed([(f"{number}-0".encode(), {b"event": orjson.dumps(whole)})])
    return replace(made, deliveries=deliveries)


def ids(events: Sequence[ImportEvent]) -> list[str | None]:
    """The requests of events."""
    return [each.request_id for each in events]
