"""The runs that have ended, read from the stream of events in pages."""

import re
from collections.abc import Mapping
from typing import Any

from sfmc_import.access import ReadAccess
from sfmc_import.events import Event, just_before, kind
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.operations.errors import InvalidError
from sfmc_import.operations.listing import LOOKED_AT, MAX_LIMIT
from sfmc_import.operations.views import View
from sfmc_import.states import RUN_ENDS


class RunView(View):
    """A run that has ended, its file and request, and its rows. `outcome` is the state of the request."""

    ended_at: str
    outcome: str
    mid: str
    customer_key: str
    task_id: str | None
    request_id: str
    source: str | None
    location: str | None
    file: str | None
    size: int | None
    import_status: str | None
    rows_total: int | None
    rows_successful: int | None
    rows_duplicated: int | None
    rows_failed: int | None


class RunPage(View):
    """Some runs, oldest first; `next` is the cursor of the page that follows, null at the end."""

    items: list[RunView]
    next: str | None


def page(access: ReadAccess, since: float | None = None, cursor: str | None = None, limit: int = 50) -> RunPage:
    """Give runs that ended since a time (seconds since 1970), or after a cursor; raises InvalidError."""
    if cursor is not None and not re.fullmatch(r"\d{1,19}-\d{1,19}", cursor, re.ASCII):
        raise InvalidError("the cursor is not one of this list", "begin without a cursor")
    begin = cursor or ("0-0" if since is None else just_before(max(since, 0.001)))
    found: list[RunView] = []
    with redis_errors():
        for looked, (position, event) in enumerate(access.stream.after(begin), 1):
            found += [_run(event)] if kind(event) in RUN_ENDS else []
            if len(found) >= max(1, min(limit, MAX_LIMIT)) or looked >= LOOKED_AT:
                return RunPage(items=found, next=position)
    return RunPage(items=found, next=None)


def _run(event: Event) -> RunView:
    data = event["data"]
    file: Mapping[str, Any] = data.get("file") or {}
    size = file.get("size")
    return RunView(
        ended_at=event["time"],
        outcome=kind(event),
        mid=str(data.get("mid", "")),
        customer_key=str(event["subject"]),
        request_id=str(data.get("request_id", "")),
        location=file.get("location"),
        file=file.get("name"),
        size=None if size is None else int(size),
        task_id=data.get("task_id"),
        source=data.get("source"),
        import_status=data.get("import_status"),
        rows_total=_count(data.get("rows_total")),
        rows_successful=_count(data.get("rows_successful")),
        rows_duplicated=_count(data.get("rows_duplicated")),
        rows_failed=_count(data.get("rows_failed")),
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None
