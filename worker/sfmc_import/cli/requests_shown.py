"""What commands print about requests, pauses and times: lines of 60 columns at most, where names are not longer."""

from collections.abc import Iterator
from datetime import datetime

from sfmc_import.advice import Command
from sfmc_import.attempts import CONFIRMED_FIRST
from sfmc_import.cli.output import Line, seconds
from sfmc_import.display import clause
from sfmc_import.ends import Subject, commands
from sfmc_import.operations.pausing import sentence
from sfmc_import.operations.views import AttemptView, LastError, PauseView, RequestView, WaitingView
from sfmc_import.redaction import hidden
from sfmc_import.waiting import is_odd

MAX_ERROR = 200
"""Characters of an error in a list; `show` has the whole."""


def request_lines(request: RequestView, now: float) -> Iterator[Line]:
    """Give what a person reads about one request."""
    yield f"request {request.request_id} of {request.customer_key}, business unit {request.mid}"
    yield f"  state    {request.state}{_since(request.since, now)}"
    if request.file is not None:
        yield f"  file     {request.file.name}"
        if request.file.arrived_as is not None:
            yield f"  arrived  {request.file.arrived_as}"
    if request.task_id:
        yield f"  task     {request.task_id} {request.import_status or ''}".rstrip()
    yield from waiting_lines(request, now)
    yield from attempt_lines(request.attempting, now)
    if request.worker is not None:
        yield f"  worker   {request.worker.text}"
    if request.why_ended is not None:
        yield f"  why      {request.why_ended}"
    if request.advice is not None:
        yield f"  to do    {request.advice}"
    yield from _lines_of_later(request)
    yield from (f"  {lead}: {command}" if lead else f"  next     {command}" for lead, command in _commands(request))


def _lines_of_later(request: RequestView) -> Iterator[str]:
    """Say what came after its end: who or what settled it, what was imported since, as what it was replayed."""
    if request.settled_by:
        yield f"  settled  by request {request.settled_by}"
    elif request.settled_operator:
        yield f"  settled  by {request.settled_operator}: {request.settled_reason}"
    elif request.newer_import:
        yield f"  newer    file of its name: request {request.newer_import}"
    if request.replayed_by:
        yield f"  replayed as request {request.replayed_by}"


def _commands(request: RequestView) -> list[tuple[str, Command]]:
    """Give the commands that would help, each with what it is for."""
    pause = request.waiting.pause if request.waiting else None
    subject = Subject(
        request_id=request.request_id,
        customer_key=request.customer_key,
        mid=request.mid,
        task_id=request.task_id or "",
        file=None if request.file is None else request.file.model_dump(),
        scope="" if pause is None else pause.scope,
        state=request.state,
    )
    return commands(request.next, subject)


def waiting_lines(request: RequestView, now: float) -> Iterator[str]:
    """Say why a request waits and until when, behind which request, and what failed last."""
    waiting = request.waiting
    if waiting is None:
        return
    yield f"  waits    {waiting.reason}{until_text(waiting.until, now)}: {waiting.text}"
    if waiting.since is not None:
        yield f"  since    {_moment(waiting.since, now)}"
    if waiting.pause is not None:
        yield f"  pause    {_pause_words(waiting.pause, waiting.reason)}"
    if waiting.held_by:
        yield f"  behind   {'definition' if waiting.reason == 'after' else 'request'} {waiting.held_by}"
    if waiting.awaited is not None:
        yield f"  there    {waiting.awaited.text}"
    if waiting.places is not None:
        yield f"  places   {waiting.places}"
    if waiting.last_error is not None:
        yield _error_line(waiting.last_error, now)
    yield from _deadline_lines(waiting, now)


def table_lines(request: RequestView, now: float, *, with_mid: bool = False) -> Iterator[str]:
    """Give a request as an entry of a list: state and definition, why it waits, since and until when, file, id.

    It names its business unit `with_mid`, as where others are in the list.
    """
    yield f"  {request.state:<14} {request.customer_key}"
    if with_mid:
        yield f"    business unit {request.mid}"
    since = request.since
    if request.waiting is not None:
        since = request.waiting.since
        yield from _short_wait_lines(request.waiting, request.import_status, now)
    if since is not None:
        yield f"    since {_moment(since, now)}"
    if request.waiting is not None and request.waiting.last_error is not None:
        yield from short_error_lines(request.waiting.last_error, now)
    if request.waiting is not None:
        yield from short_deadline_lines(request.waiting, now)
    yield from (*short_attempt_lines(request.attempting, now), *_worker_lines(request, now))
    if request.why_ended is not None:
        yield f"    why: {request.why_ended}"
    if request.advice is not None:
        yield f"    to do: {request.advice}"
    yield from (f"    {each.name}" for each in (request.file,) if each is not None)
    yield f"    request {request.request_id}"
    if request.is_finished:
        yield from (f"    {lead or 'next'}: {command}" for lead, command in _commands(request))


def lines_in_line(request: RequestView, now: float) -> Iterator[str]:
    """Say why a request waits that stands in line for its definition, unless others only come first."""
    waiting = request.waiting
    if waiting is None or (waiting.reason == "single_flight" and waiting.pause is None):
        return
    yield from _short_wait_lines(waiting, request.import_status, now)
    if waiting.since is not None:
        yield f"    since {_moment(waiting.since, now)}"
    if request.advice is not None:
        yield f"    to do: {request.advice}"


def _short_wait_lines(waiting: WaitingView, import_status: str | None, now: float) -> Iterator[str]:
    """Say why it waits and until when, how the definition stands that it waits for, or who paused it."""
    status = f" {import_status}" if is_odd(import_status) else ""
    yield f"    {waiting.reason}{status}{short_until(waiting.until, now)}"
    if waiting.awaited is not None:
        yield f"    {waiting.awaited.text}"
    if waiting.places is not None:
        yield f"    {waiting.places}"
    if waiting.pause is not None:
        yield f"    {_pause_words(waiting.pause, waiting.reason)}"


def _worker_lines(request: RequestView, now: float) -> Iterator[str]:
    """Say that its worker is gone and when another one takes it up, or since when Marketing Cloud is asked."""
    worker, waiting = request.worker, request.waiting
    if worker is not None and worker.is_gone:
        yield f"    its worker is gone{f': {worker.name}' if worker.name else ''}"
        yield f"    another takes it up{short_until(worker.until, now, 'at')}"
    elif waiting is not None and waiting.asked_since is not None:
        yield f"    no answer of Marketing Cloud yet since {waiting.asked_since:%H:%M:%S} UTC"


def until_text(until: datetime | None, now: float) -> str:
    """Say until when, and how long that is from now; nothing where no time ends the wait."""
    if until is None:
        return ""
    left = until.timestamp() - now
    if left <= 0:
        return " (due now)"
    return f" until {until:%Y-%m-%d %H:%M:%S} UTC (in {seconds(left)})"


def short_until(until: datetime | None, now: float, word: str = "until") -> str:
    """Say the same in few columns: without year and seconds."""
    if until is None or until.timestamp() <= now:
        return until_text(until, now)
    return f" {word} {until:%m-%d %H:%M} UTC (in {seconds(until.timestamp() - now)})"


def _awaited(until: datetime | None, now: float) -> str:
    """Say until when an answer is waited for, or was."""
    is_over = until is not None and until.timestamp() <= now
    return f"; it was waited for until {until:%Y-%m-%d %H:%M:%S} UTC" if is_over else until_text(until, now)


def _shortly_awaited(until: datetime | None, now: float, *, is_confirmed_first: bool) -> str:
    if is_confirmed_first:
        return f"not confirmed or not answered yet{short_until(until, now)}"
    if until is not None and until.timestamp() <= now:
        return f"no answer of Marketing Cloud until {until:%m-%d %H:%M} UTC"
    return f"no answer of Marketing Cloud yet{short_until(until, now)}"


def _moment(at: datetime, now: float) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC ({seconds(max(0.0, now - at.timestamp()))} ago)"


def _moment_to_come(at: datetime, now: float) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC (in {seconds(max(0.0, at.timestamp() - now))})"


def _error_line(error: LastError, now: float) -> str:
    """Say what failed last, when that was, and since when it fails."""
    since = f"; it fails since {error.since:%Y-%m-%d %H:%M:%S} UTC" if _failed_before(error) else ""
    first = f"; first failed {error.first_at:%Y-%m-%d %H:%M:%S} UTC (code {error.first_code})" if error.first_at else ""
    lead = "before" if error.is_past else "error"
    return f"  {lead:<8} {error.code}: {clause(error.text)}, {_moment(error.at, now)}{since}{first}"


def short_error_lines(error: LastError, now: float) -> Iterator[str]:
    """Say the same in an entry of a list."""
    yield f"    {'before it: ' if error.is_past else ''}error {_shortened(error)}"
    since = f", since {error.since:%m-%d %H:%M:%S} UTC" if _failed_before(error) else ""
    yield f"    failed {seconds(max(0.0, now - error.at.timestamp()))} ago{since}"
    if error.first_at is not None:
        yield f"    first failed {error.first_at:%m-%d %H:%M:%S} UTC (code {error.first_code})"


def _failed_before(error: LastError) -> bool:
    return error.since is not None and error.since != error.at


def _shortened(error: LastError) -> str:
    text = hidden(error.text)
    return f"{error.code}: {text if len(text) <= MAX_ERROR else f'{text[:MAX_ERROR]}…'}"


def _since(since: datetime | None, now: float) -> str:
    return "" if since is None else f" for {seconds(max(0.0, now - since.timestamp()))}"


def _pause_words(pause: PauseView, reason: str) -> str:
    end = "until sfmc-import resume, " if pause.until is None else ""
    by = f"by {pause.operator}: {pause.reason}"
    if reason == "paused":
        return f"{end}{by}"
    return f"and paused {end or f'until {pause.until:%Y-%m-%d %H:%M:%S} UTC, '}{by}"


def pause_line(pause: PauseView, now: float) -> str:
    """Say what is paused by whom, why and until when."""
    end = until_text(pause.until, now) or " until sfmc-import resume"
    return sentence(pause, end)


def attempt_lines(attempt: AttemptView | None, now: float) -> Iterator[str]:
    """Say which further attempt is under way since when, why the request waited before it, and what failed last."""
    if attempt is None:
        return
    since = "" if attempt.since is None else f" since {_moment(attempt.since, now)}"
    yield f"  attempt  {attempt.number} is under way{since}"
    if attempt.text is not None:
        yield f"  answer   none yet{_awaited(attempt.until, now)}: {attempt.text}"
    if attempt.waited is not None and attempt.waited_since is not None:
        yield f"  waited   {attempt.waited} since {_moment(attempt.waited_since, now)}"
    if (error := attempt.last_error) is not None:
        yield _error_line(error, now)
    yield from _deadline_lines(attempt, now)


def short_attempt_lines(attempt: AttemptView | None, now: float) -> Iterator[str]:
    """Say the same in an entry of a list."""
    if attempt is None:
        return
    yield f"    attempt {attempt.number} is under way"
    if attempt.text is not None:
        is_confirmed_first = attempt.text.startswith(CONFIRMED_FIRST)
        yield f"    {_shortly_awaited(attempt.until, now, is_confirmed_first=is_confirmed_first)}"
    if attempt.waited is not None and attempt.waited_since is not None:
        yield f"    {attempt.waited} since {_moment(attempt.waited_since, now)}"
    if attempt.last_error is not None:
        yield from short_error_lines(attempt.last_error, now)
    yield from short_deadline_lines(attempt, now)


def _deadline_lines(of: WaitingView | AttemptView, now: float) -> Iterator[str]:
    if of.deadline is not None:
        at = _moment_to_come(of.deadline, now) if of.deadline.timestamp() > now else _moment(of.deadline, now)
        yield f"  deadline {at}, {_then(of, now)}"


def short_deadline_lines(of: WaitingView | AttemptView, now: float) -> Iterator[str]:
    """Say until when it is tried in an entry of a list."""
    if of.deadline is not None:
        past = "" if of.deadline.timestamp() > now else " (past)"
        yield f"    deadline {of.deadline:%m-%d %H:%M:%S} UTC{past}, {_then(of, now)}"


def _then(of: WaitingView | AttemptView, now: float) -> str:
    """Say what follows; what is past is decided by the next worker that takes the request up."""
    is_ahead = of.deadline is not None and of.deadline.timestamp() > now
    # The attempt whose next pause would pass the deadline is the last one.
    ahead = "then gave_up, or at the last try before it" if of.then == "gave_up" else f"then {of.then}"
    return ahead if is_ahead else f"{of.then} as soon as a worker decides"
