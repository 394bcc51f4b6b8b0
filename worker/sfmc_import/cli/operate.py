"""`sfmc-import show`, `cancel`, `replay`, `pause` and `resume`: one request, and what an operator does."""

import getpass
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click

from sfmc_import.access import ReadAccess, open_for_reading
from sfmc_import.cli.output import Line, examples, json_option, print_json, print_line, print_lines, seconds
from sfmc_import.events import line
from sfmc_import.operations import actions, requests
from sfmc_import.operations.views import PauseView, RequestView
from sfmc_import.settings.values import MAX_SECONDS, read_duration

operator_option = click.option(
    "--operator", metavar="NAME", help="Who does it; stored in the event.  [default: your login name]"
)
reason_option = click.option("--reason", metavar="TEXT", help="Why; stored in the event.")
mid_option = click.option("--mid", metavar="MID", help="MID of the business unit.  [default: SFMC_ACCOUNT_ID]")


def login() -> str:
    """Give the name of the user of this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"uid {os.getuid()}"


# --- show


@click.command(epilog=examples("sfmc-import show 0199f3a2-…", "sfmc-import show 4712", "sfmc-import show orders.csv"))
@click.argument("what", metavar="REQUEST|TASK|FILE")
@mid_option
@json_option
def show(what: str, *, mid: str | None, as_json: bool) -> None:
    """Show a request: where it stands, why it waits and until when, and what happened to it.

    REQUEST is its id, TASK the Task.ID of its run, FILE the name of its file: of several requests the newest is shown,
    and the others are named.

    Exit code: 0, or 1 if there is no such request or Redis does not answer.
    """
    with open_for_reading() as access:
        found = requests.find(access, what, access.mid(mid))
        newest = found[0]
        events = list(requests.life(access, newest))
        if as_json:
            others = [each.request_id for each in found[1:]]
            print_json({**newest.model_dump(mode="json"), "events": events, "others": others})
            return
        print_lines(request_lines(newest, access.reader.now()))
        print_lines([["  ", *line(event)] for event in events])  # type: ignore[list-item]
        print_lines(f"  also: {each.request_id}  {each.state}" for each in found[1:])


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


def until_text(until: datetime | None, now: float) -> str:
    """Say until when, and how long that is from now; nothing where no time ends the wait."""
    if until is None:
        return ""
    left = until.timestamp() - now
    if left <= 0:
        return " (due now)"
    return f" until {until:%Y-%m-%d %H:%M:%S} UTC (in {seconds(left)})"


def _since(since: datetime | None, now: float) -> str:
    return "" if since is None else f" for {seconds(max(0.0, now - since.timestamp()))}"


# --- cancel, force and replay


@click.command(epilog=examples("sfmc-import cancel 0199f3a2-… --reason 'wrong file'"))
@click.argument("request_id", metavar="REQUEST_ID")
@reason_option
@operator_option
@json_option
def cancel(request_id: str, *, reason: str | None, operator: str | None, as_json: bool) -> None:
    """End a request before its start. Its file counts as handled: seen again, it starts nothing.

    A request whose earlier start may have been applied ends as start_unknown instead.

    Exit code: 0 cancelled, 1 there is no such request, or its start may have been sent.
    """
    with open_for_reading() as access:
        done = actions.cancel(access, request_id, operator or login(), reason)
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        print_line(f"request {request_id}: {done.state}")


@click.command(epilog=examples("sfmc-import force 0199f3a2-… --reason 'the customer waits'"))
@click.argument("request_id", metavar="REQUEST_ID")
@click.option("--reason", metavar="TEXT", required=True, help="Why the window does not count; stored in the event.")
@operator_option
@json_option
def force(request_id: str, *, reason: str, operator: str | None, as_json: bool) -> None:
    """Let a request that waits start as soon as its definition is free, and nothing pauses it.

    It waits no more for the window, for its order (`after` of the policy file) or for what came before it.

    Exit code: 0, or 1 if there is no such request, or it does not wait.
    """
    with open_for_reading() as access:
        done = actions.force(access, request_id, operator or login(), reason)
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        print_line(f"request {request_id}: it starts when its definition is free, without the window and its order")


@click.command(epilog=examples("sfmc-import replay 0199f3a2-… --reason 'definition is corrected'"))
@click.argument("request_id", metavar="REQUEST_ID")
@click.option("--force", is_flag=True, help="Also if its file was imported, and inside the window; needs --reason.")
@reason_option
@operator_option
@json_option
def replay(request_id: str, *, force: bool, reason: str | None, operator: str | None, as_json: bool) -> None:
    """Submit what a request asked for again, as a new request that names it (`replays`).

    For requests that ended without an import. The new one waits for the window as any other.

    Exit code: 0 submitted, 1 there is no such request, or it has not ended, is start_unknown, or was imported.
    """
    with open_for_reading() as access:
        done = actions.replay(access, request_id, operator or login(), reason, force=force)
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        print_line(f"request {done.new_request_id} replays {request_id}; see: sfmc-import show {done.new_request_id}")


# --- pause and resume


@click.command(
    epilog=examples(
        "sfmc-import pause Daily_Orders --reason 'columns change' --for 2h",
        "sfmc-import pause --all --reason 'maintenance'",
        "sfmc-import pause --list",
    )
)
@click.argument("customer_key", metavar="[KEY]", required=False)
@click.option("--unit", is_flag=True, help="Pause the business unit, not one definition.")
@click.option("--all", "every", is_flag=True, help="Pause everything.")
@click.option("--for", "duration", metavar="TIME", help='End by itself after a time such as "30m", "2h" or "1d".')
@click.option("--list", "listed", is_flag=True, help="List what is paused, and end.")
@mid_option
@reason_option
@operator_option
@json_option
def pause(
    customer_key: str | None,
    *,
    unit: bool,
    every: bool,
    duration: str | None,
    listed: bool,
    mid: str | None,
    reason: str | None,
    operator: str | None,
    as_json: bool,
) -> None:
    """Let starts wait: of one definition (KEY), of a business unit (--unit) or of everything (--all).

    Arrivals are accepted and wait with the reason `paused`, forced ones too; runs that are under way are followed to
    their end. Only a start that is being sent at this moment still goes out. An earlier pause has its words replaced.

    Exit code: 0, or 2 for a wrong option.
    """
    with open_for_reading() as access:
        if listed:
            found = actions.pauses(access)
        else:
            scope = _scope(access, customer_key, mid, unit=unit, every=every)
            found = [actions.pause(access, scope, operator or login(), reason or "", _end(access, duration))]
        now = access.reader.now()
    if as_json:
        print_json([each.model_dump(mode="json") for each in found] if listed else found[0].model_dump(mode="json"))
    else:
        print_lines([pause_line(each, now) for each in found] or ["nothing is paused"])


def pause_line(pause: PauseView, now: float) -> str:
    """Say what is paused by whom, why and until when."""
    end = until_text(pause.until, now) or " until sfmc-import resume"
    return f"paused: {pause.scope}{end}, by {pause.operator}: {pause.reason}"


def _scope(access: ReadAccess, key: str | None, mid: str | None, *, unit: bool, every: bool) -> str:
    if (key is not None) + unit + every != 1:
        raise click.UsageError("give the KEY of a definition, --unit or --all")
    if every:
        return actions.scope_of(None, None)
    number = access.mid(mid)
    return actions.scope_of(number, None if key is None else access.reader.spelled(number, key))


def _end(access: ReadAccess, duration: str | None) -> datetime | None:
    if duration is None:
        return None
    length = read_duration(duration)
    if not isinstance(length, float | int) or not 0 < length <= MAX_SECONDS:
        raise click.UsageError(f'--for {duration}: give a time such as "30m", "2h" or "1d"')
    return datetime.fromtimestamp(access.reader.now(), UTC) + timedelta(seconds=length)


@click.command(epilog=examples("sfmc-import resume Daily_Orders", "sfmc-import resume --all"))
@click.argument("customer_key", metavar="[KEY]", required=False)
@click.option("--unit", is_flag=True, help="The pause of the business unit.")
@click.option("--all", "every", is_flag=True, help="The pause of everything; others stay.")
@mid_option
@reason_option
@operator_option
@json_option
def resume(
    customer_key: str | None,
    *,
    unit: bool,
    every: bool,
    mid: str | None,
    reason: str | None,
    operator: str | None,
    as_json: bool,
) -> None:
    """End a pause. What waits for it is decided anew at once, the oldest first.

    Exit code: 0 ended, 1 there is no such pause.
    """
    with open_for_reading() as access:
        scope = _scope(access, customer_key, mid, unit=unit, every=every)
        actions.resume(access, scope, operator or login(), reason)
    if as_json:
        print_json({"scope": scope, "paused": False})
    else:
        print_line(f"resumed: {scope}")
