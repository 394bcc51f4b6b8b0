"""Which worker has a request now, whether it lives, and when another one takes the request up."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Any

from sfmc_import.access import ReadAccess
from sfmc_import.operations.in_doubt import takes_no_writes
from sfmc_import.operations.views import RequestView, WorkerView, time_of
from sfmc_import.processes import Heard, process_of
from sfmc_import.waiting import held_until

Row = tuple[Mapping[str, Any], float | None]
"""The record of a request and its next time, in ms."""


def with_workers(access: ReadAccess, views: Sequence[RequestView], rows: Sequence[Row]) -> list[RequestView]:
    """Say of each request that a worker has now when another one takes it up, and whether that worker is gone."""
    held = [held_until(record, None if due is None else due / 1000) for record, due in rows]
    if not any(held):
        return list(views)
    now = access.reader.now()
    processes = access.reader.processes_heard()
    known = [None if at is None else _heard(processes, record) for at, (record, _) in zip(held, rows, strict=True)]
    if any(each is not None and each.is_gone for each in known) and takes_no_writes(access):
        # Who lives cannot say so.
        known = [None] * len(known)
    found = zip(views, held, known, strict=True)
    return [view if at is None else _with(view, worker_view(heard, at, now)) for view, at, heard in found]


def _heard(processes: Mapping[str, Heard], record: Mapping[str, Any]) -> Heard | None:
    """Give the process that has a request; of one that has ended, or was silent for long, nothing is left."""
    process_id = process_of(str(record.get("owner", "")))
    return (processes.get(process_id) or Heard(name="", seconds=inf)) if process_id else None


def worker_view(heard: Heard | None, until: float, now: float) -> WorkerView:
    """Make the view of a worker that has a request until then; `heard` is None where it is not known which it is."""
    at, is_gone = time_of(until), heard is not None and heard.is_gone
    seen_at = None if heard is None or heard.seconds == inf else time_of(now - heard.seconds)
    name = "" if heard is None else heard.name
    taken_up = f"at {_said(at)}" if until > now and at else "with the next sweep"
    if is_gone:
        last = f"; it said at {_said(seen_at)} last that it lives" if seen_at else ""
        text = f"Its worker{f' {name}' if name else ''} is gone{last}. Another worker takes the request up {taken_up}."
    else:
        text = f"If nothing comes of it, a worker takes the request up again {taken_up}."
    return WorkerView(name=name, is_gone=is_gone, seen_at=seen_at if is_gone else None, until=at, text=text)


def _said(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _with(view: RequestView, worker: WorkerView) -> RequestView:
    attempting = view.attempting
    if attempting is not None and worker.is_gone:
        attempting = attempting.model_copy(update={"until": None})
    return view.model_copy(update={"worker": worker, "attempting": attempting})
