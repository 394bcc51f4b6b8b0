"""`sfmc-import show`, `cancel`, `replay`, `pause` and `resume`: one request, and what an operator does."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from uuid_utils import uuid7

from sfmc_import.advice import Command
from sfmc_import.cli.completing import complete_key
from sfmc_import.cli.doctor_folders import to_do_about
from sfmc_import.cli.folder_lines import file_lines
from sfmc_import.cli.opening import given_mid, open_operations
from sfmc_import.cli.output import Line, examples, json_option, print_json, print_line, print_lines
from sfmc_import.cli.requests_shown import pause_line, request_lines
from sfmc_import.display import Coloured
from sfmc_import.events import left_out, line
from sfmc_import.operations.errors import NotFoundError
from sfmc_import.operations.folders import WaitingFileView, readers, title
from sfmc_import.operations.views import FolderView, PauseView, ResumedView, scope_of
from sfmc_import.settings.values import MAX_SECONDS, read_duration

operator_option = click.option(
    "--operator", metavar="NAME", help="Who does it; stored in the event.  [default: your login name]"
)
reason_option = click.option("--reason", metavar="TEXT", help="Why; stored in the event.")
mid_option = click.option("--mid", metavar="MID", help="MID of the business unit.  [default: SFMC_ACCOUNT_ID]")


# --- show


@click.command(epilog=examples("sfmc-import show 0199f3a2-…", "sfmc-import show 4712", "sfmc-import show orders.csv"))
@click.argument("what", metavar="REQUEST|TASK|FILE")
@mid_option
@json_option
def show(what: str, *, mid: str | None, as_json: bool) -> None:
    """Show a request: where it stands, why it waits and until when, and what happened to it.

    REQUEST is its id, TASK the Task.ID of its run, FILE the name of its file: of several requests the newest is shown,
    and the others are named.

    A file of this name that waits in a watched folder is shown too, with the reason: it has no request yet. What lies
    in a folder that no watcher reads is not known; such folders are named where nothing else is found.

    Exit code: 0, or 1 if there is no such request and no such file, or Redis does not answer.
    """
    with open_operations() as operations:
        waiting = operations.folders(what)
        try:
            newest, *others = operations.search(what, given_mid(mid))
        except NotFoundError:
            if not waiting:
                raise
            _show_waiting(what, waiting, as_json=as_json)
            return
        life = operations.show(newest.request_id)
        now = 0.0 if as_json else operations.now()
    if as_json:
        whole = life.model_copy(update={"others": [each.request_id for each in others], "folders": waiting})
        print_json(whole.model_dump(mode="json"))
        return
    print_lines([*request_lines(life, now), *(f"  folder   {each}" for each in life.in_the_way)])
    print_lines(life_lines(life.events))
    print_lines(f"  also: {each.request_id}  {each.state}" for each in others)
    print_lines(waiting_in_folders(waiting, is_known=True))


def _show_waiting(file: str, folders: Sequence[FolderView], *, as_json: bool) -> None:
    if as_json:
        print_json(WaitingFileView(file=file, folders=tuple(folders)).model_dump(mode="json"))
    else:
        print_lines(waiting_in_folders(folders))


NOT_SEEN = "a file of this name that is not looked at, so it may be that of this request or a new one,"


def waiting_in_folders(folders: Sequence[FolderView], *, is_known: bool = False) -> Iterator[Line]:
    """Say in which folders files of one name wait, and why; `is_known` where there are requests of this name."""
    of_known = "a file of this name that has no request of its own yet"
    for folder in folders:
        are_seen = any(each.reason != "unavailable" for each in folder.files)
        begin = (of_known if are_seen else NOT_SEEN) if is_known else "no request yet: it"
        yield f"{begin} waits in {title(folder)}, read by {', '.join(readers(folder.watchers))}"
        yield from file_lines(folder.files)
        if folder.state != "watched":
            yield f"    {folder.text}"
        if folder.advice:
            yield f"    to do: {to_do_about(folder)}"


def life_lines(events: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    """Give the events of a request; where some are not kept, how many."""
    for before, event in zip([None, *events], events, strict=False):
        missing = 0 if before is None else left_out(before, event)
        if missing:
            yield f"  ({missing} events between are not kept here: sfmc-import events has them)"
        yield [Coloured("  "), *line(event)]


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
    with open_operations(operator) as operations:
        done = operations.cancel(request_id, reason)
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
    with open_operations(operator) as operations:
        done = operations.force(request_id, reason)
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        print_line(f"request {request_id}: it starts when its definition is free, without the window and its order")


@click.command(epilog=examples("sfmc-import settle 0199f3a2-… --reason 'started as orders2'"))
@click.argument("request_id", metavar="REQUEST_ID")
@click.option("--reason", metavar="TEXT", required=True, help="What was done about it; stored in the event.")
@operator_option
@json_option
def settle(request_id: str, *, reason: str, operator: str | None, as_json: bool) -> None:
    """Say that the bad end of a request is dealt with: it leaves the lists of `status` and of the console.

    Nothing is started, and its file and the window stay as they are. A start that is unknown is resolved instead.

    Exit code: 0, or 1 if there is no such request, it has not ended badly, or somebody else has settled it.
    """
    with open_operations(operator) as operations:
        done = operations.settle(request_id, reason)
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        print_line(f"request {request_id}: settled")


@click.command(epilog=examples("sfmc-import replay 0199f3a2-… --reason 'definition is corrected'"))
@click.argument("request_id", metavar="REQUEST_ID")
@click.option("--force", is_flag=True, help="Also if its file was imported, and inside the window; needs --reason.")
@click.option(
    "--request-id",
    "new_id",
    metavar="ID",
    help="An id of your own for the new request: the same command with the same id is one request, so it can be given"
    " again when it failed. Over the API it is the Idempotency-Key.  [default: a new id]",
)
@reason_option
@operator_option
@json_option
def replay(
    request_id: str, *, force: bool, new_id: str | None, reason: str | None, operator: str | None, as_json: bool
) -> None:
    """Submit what a request asked for again, as a new request that names it (`replays`).

    For requests that ended without an import. The new one waits for the window as any other. If a newer request has
    imported a file of the same name since, only --force replays it: what lies there would be imported once more. So
    does --force alone where it was replayed already, and that has not come to nothing.

    Exit code: 0 submitted, 1 there is no such request, or it has not ended, is start_unknown, or was imported or
    replayed.
    """
    with open_operations(operator) as operations:
        done = operations.replay(request_id, new_id or str(uuid7()), reason, force=force)
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        see = Command(("show", str(done.new_request_id)))
        print_line(f"request {done.new_request_id} replays {request_id}; see: {see}")


# --- pause and resume


@click.command(
    epilog=examples(
        "sfmc-import pause Daily_Orders --reason 'columns change' --for 2h",
        "sfmc-import pause --all --reason 'maintenance'",
        "sfmc-import pause --list",
    )
)
@click.argument("customer_key", metavar="[KEY]", required=False, shell_complete=complete_key)
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
    """Let starts wait: of one definition (KEY, or its ObjectID), of a business unit (--unit), of everything (--all).

    Arrivals are accepted and wait with the reason `paused`, forced ones too; runs under way are followed to their end.
    Only a start that is being sent at this moment still goes out. An earlier pause has its words replaced.

    Exit code: 0, or 2 for a wrong option.
    """
    with open_operations(operator) as operations:
        now = operations.now()
        if listed:
            found = operations.pauses()
        else:
            scope = _scope(customer_key, mid, unit=unit, every=every)
            found = [operations.pause(scope, reason or "", _end(now, duration))]
    if as_json:
        print_json([each.model_dump(mode="json") for each in found] if listed else found[0].model_dump(mode="json"))
    else:
        print_lines(_pause_lines(found, now))


def _pause_lines(found: Sequence[PauseView], now: float) -> Iterator[Line]:
    for each in found:
        yield pause_line(each, now)
        if each.hint:
            yield f"  {each.hint}"
    if not found:
        yield "nothing is paused"


def _scope(key: str | None, mid: str | None, *, unit: bool, every: bool) -> str:
    if (key is not None) + unit + every != 1:
        raise click.UsageError("give the KEY of a definition, --unit or --all")
    return scope_of(None, None) if every else scope_of(given_mid(mid) or "", key)


def _end(now: float, duration: str | None) -> datetime | None:
    if duration is None:
        return None
    length = read_duration(duration)
    if not isinstance(length, float | int) or not 0 < length <= MAX_SECONDS:
        raise click.UsageError(f'--for {duration}: give a time such as "30m", "2h" or "1d"')
    return datetime.fromtimestamp(now, UTC) + timedelta(seconds=length)


@click.command(epilog=examples("sfmc-import resume Daily_Orders", "sfmc-import resume --all"))
@click.argument("customer_key", metavar="[KEY]", required=False, shell_complete=complete_key)
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
    """End a pause, by any name of its definition. What waits for it is decided anew at once, the oldest first.

    A pause that had ended by itself is said to have, and nothing is done.

    Exit code: 0 ended, 1 there is no such pause.
    """
    with open_operations(operator) as operations:
        done = operations.resume(_scope(customer_key, mid, unit=unit, every=every), reason)
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        print_line(_resumed(done))


def _resumed(done: ResumedView) -> str:
    if done.had_ended is None:
        return f"resumed: {done.scope}"
    return f"{done.scope} is not paused: its pause had ended by itself at {done.had_ended:%Y-%m-%d %H:%M:%S} UTC"
