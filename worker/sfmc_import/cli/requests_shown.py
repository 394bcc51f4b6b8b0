"""What commands print about requests, pauses and times: lines of 60 columns at most, where names are not longer."""

from collections.abc import Iterator
from datetime import datetime

from sfmc_import.cli.output import Line, seconds
from sfmc_import.operations.views import PauseView, RequestView


def request_lines(request: RequestView, now: float) -> Iterator[Line]:
    """Give what a person reads about one request."""
    yield f"request {request.request_id} of {request.customer_key}, business unit {request.mid}"
    yield f"  state    {request.state}{_since(request.since, now)}"
    if request.file is not None:
        yield f"  file     {request.file.name}"
    if request.task_id:
        yield f"  task     {request.task_id} {request.import_status or ''}".rstrip()
    yield from waiting_lines(request, now)
    if request.next:
        yield f"  next     {', '.join(request.next)}"


def waiting_lines(request: RequestView, now: float) -> Iterator[str]:
    """Say why a request waits and until when, behind which request, and what failed last."""
    waiting = request.waiting
    if waiting is None:
        return
    yield f"  waits    {waiting.reason}{until_text(waiting.until, now)}: {waiting.text}"
    if waiting.held_by:
        yield f"  behind   {'definition' if waiting.reason == 'after' else 'request'} {waiting.held_by}"
    if waiting.last_error is not None:
        yield f"  error    {waiting.last_error.code}: {waiting.last_error.text}"


def table_lines(request: RequestView, now: float) -> Iterator[str]:
    """Give a request as an entry of a list: state and definition, why it waits and until when, file, id."""
    yield f"  {request.state:<14} {request.customer_key}"
    if request.waiting is not None:
        yield f"    {request.waiting.reason}{short_until(request.waiting.until, now)}"
    if request.file is not None:
        yield f"    {request.file.name}"
    yield f"    request {request.request_id}"


def until_text(until: datetime | None, now: float) -> str:
    """Say until when, and how long that is from now; nothing where no time ends the wait."""
    if until is None:
        return ""
    left = until.timestamp() - now
    if left <= 0:
        return " (due now)"
    return f" until {until:%Y-%m-%d %H:%M:%S} UTC (in {seconds(left)})"


def short_until(until: datetime | None, now: float) -> str:
    """Say the same in few columns: without year and seconds."""
    if until is None or until.timestamp() <= now:
        return until_text(until, now)
    return f" until {until:%m-%d %H:%M} UTC (in {seconds(until.timestamp() - now)})"


def _since(since: datetime | None, now: float) -> str:
    return "" if since is None else f" for {seconds(max(0.0, now - since.timestamp()))}"


def pause_line(pause: PauseView, now: float) -> str:
    """Say what is paused by whom, why and until when."""
    end = until_text(pause.until, now) or " until sfmc-import resume"
    return f"paused: {pause.scope}{end}, by {pause.operator}: {pause.reason}"
