"""The one door into the system: every producer's wish to start a definition passes through `submit`."""

import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from uuid_utils import uuid7

from worker.door import Door, open_door
from worker.messages import Arrival, read_request


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a wish: its request is in the ledger; `is_new` is False when it was there before."""

    request_id: str
    is_new: bool


def submit(
    door: Door | None = None,
    /,
    *,
    customer_key: str,
    mid: str | None = None,
    file: Arrival | str | Mapping[str, Any] | None = None,
    event_id: str | None = None,
    source: str | None = None,
    force: bool = False,
    reason: str | None = None,
    request_id: str | None = None,
) -> Receipt:
    """Ask for one start of the ImportDefinition `customer_key`; returns once the ledger has the request.

    `file` is the arrival that gives the reason, or its path as text; `event_id` is the source's own, the same one
    counts once; `mid` is the business unit, by default that of the settings. The same `request_id` is one request
    however often it comes; without one it is new. Without a `door` one is opened from the environment (SFMC_*).

    Raises BadRequestError for what can never be carried out, and DoorClosedError when the ledger does not take it:
    then nothing is recorded and the caller keeps the file.
    """
    given = {"mid": mid, "file": _as_field(file), "event_id": event_id, "source": source, "reason": reason}
    message = {name: value for name, value in given.items() if value is not None}
    message |= {"customer_key": customer_key, "force": force}
    with open_door(os.environ) if door is None else nullcontext(door) as way_in:
        request = read_request(str(uuid7()) if request_id is None else request_id, way_in.mid, message)
        return Receipt(request_id=request.request_id, is_new=way_in.submit(request))


def arrival_at(path: Path, location: str | None = None) -> Arrival:
    """Describe the file at `path` as the folder watcher would; `location` stands for its folder.

    Raises OSError when there is no such file.
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links and change the identity
    status = absolute.stat()
    return Arrival(
        location=absolute.parent.as_posix() if location is None else location,
        name=absolute.name,
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
    )


def _as_field(file: Arrival | str | Mapping[str, Any] | None) -> object:
    if isinstance(file, Arrival):
        return {name: value for name, value in asdict(file).items() if value is not None}
    return file
