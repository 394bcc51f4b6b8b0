"""`sfmc-import dead-letters` and `resolve`: what an operator does about messages and starts that need a decision."""

import base64
from collections.abc import Callable, Iterator, Sequence

import click

from sfmc_import.advice import Command
from sfmc_import.cli.opening import open_operations
from sfmc_import.cli.output import examples, json_option, print_json, print_line, print_lines
from sfmc_import.errors import FAILURE
from sfmc_import.events import follow_command
from sfmc_import.operations.errors import OperationError
from sfmc_import.operations.listing import DeadLetterView
from sfmc_import.operations.protocol import Operations
from sfmc_import.operations.views import ActionView, DoneView, NotDoneView, RequestView
from sfmc_import.redaction import hidden

PAGE = 500
MAX_DETAIL = 200


@click.group(
    "dead-letters",
    invoke_without_command=True,
    epilog=examples(
        "sfmc-import dead-letters",
        "sfmc-import dead-letters show 1767225600000-0",
        "sfmc-import dead-letters show 1767225600000-0 --raw >message",
        "sfmc-import dead-letters replay 1767225600000-0",
        "sfmc-import dead-letters replay --all",
        "sfmc-import dead-letters list --json | jq -r 'select(.reason==\"unknown_task\").id'",
    ),
)
@json_option
@click.pass_context
def dead_letters_group(context: click.Context, *, as_json: bool) -> None:
    """List, show, replay or delete dead letters: messages of the queue that no worker could handle.

    A message becomes a dead letter if it cannot be read, if it names a task or arguments that the worker does
    not know, or if three workers died while they had it. It is kept, with its bytes and the reason, until you
    replay or delete it; if there are more than 10,000, the oldest are deleted. Without a subcommand: list.

    Of several, each is replayed or deleted that can be, and of each it is said what became of it.

    Exit code: 0, or 1 if there is no such dead letter, or one of several could not be replayed or deleted.
    """
    if context.invoked_subcommand is None:
        _list(as_json=as_json)
    elif as_json:
        raise click.UsageError(f"write --json after {context.invoked_subcommand}")


@dead_letters_group.command("list", short_help="List all dead letters, oldest first.")
@json_option
def list_all(*, as_json: bool) -> None:
    """List all dead letters, oldest first: id, time, reason, task, detail."""
    _list(as_json=as_json)


def _list(*, as_json: bool) -> None:
    found, last = 0, ""
    with open_operations() as operations:
        for found, letter in enumerate(_all(operations), 1):  # noqa: B007 - counts
            last = letter.id
            if as_json:
                print_json(letter.model_dump(mode="json"))
            else:
                print_line(_line(letter))
    if not as_json:
        print_line(f"{found} dead letters" if found != 1 else "1 dead letter")
    if found and not as_json:
        print_line(f"look at one with: sfmc-import dead-letters show {last}")


def _all(operations: Operations) -> Iterator[DeadLetterView]:
    """Yield all, oldest first."""
    cursor: str | None = None
    while True:
        page = operations.dead_letters(cursor, PAGE)
        yield from page.items
        if page.next in {None, cursor}:
            return
        cursor = page.next


@dead_letters_group.command()
@click.argument("letter_id", metavar="ID")
@click.option("--raw", is_flag=True, help="Print only the bytes of the message.")
@json_option
def show(letter_id: str, *, raw: bool, as_json: bool) -> None:
    """Show one dead letter with its message."""
    if raw and as_json:
        raise click.UsageError("give either --raw or --json")
    with open_operations() as operations:
        letter = operations.dead_letter(letter_id)
    entry = base64.b64decode(letter.entry_base64 or "")
    if raw:
        click.echo(entry, nl=False)  # the bytes as they are: this is for a program
    elif as_json:
        print_json(letter.model_dump(mode="json"))
    else:
        fields = letter.model_dump(mode="json", exclude={"entry_base64"}, exclude_none=True)
        shown = fields | {"entry": letter.entry or repr(entry)}
        print_lines(f"  {name:<8}{value}" for name, value in shown.items())


@dead_letters_group.command(short_help="Put messages back at the end of the queue.")
@click.argument("ids", metavar="[ID]…", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Replay every dead letter.")
@click.option("--queue", metavar="NAME", help="Send to this queue.  [default: the queue it came from]")
@json_option
def replay(ids: tuple[str, ...], *, every: bool, queue: str | None, as_json: bool) -> None:
    """Put messages back at the end of the queue, after the bug is fixed.

    A message that fails again becomes a dead letter again.
    """
    if every == bool(ids):
        raise click.UsageError("give the ids of the dead letters, or --all")
    with open_operations() as operations:
        chosen = [letter.id for letter in _all(operations)] if every else ids
        _change_each(chosen, lambda letter_id: operations.replay_dead_letter(letter_id, queue), as_json=as_json)


@dead_letters_group.command()
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@json_option
def delete(ids: Sequence[str], *, as_json: bool) -> None:
    """Delete dead letters for ever. A request in the ledger does not need its message and continues."""
    with open_operations() as operations:
        _change_each(ids, operations.delete_dead_letter, as_json=as_json)


def _change_each(ids: Sequence[str], change: Callable[[str], DoneView], *, as_json: bool) -> None:
    """Change each, and say of each what became of it; one that is gone does not keep the others from it."""
    failed = False
    for letter_id in ids:
        try:
            done = change(letter_id)
        except OperationError as error:
            failed = True
            _report_failed(letter_id, error, as_json=as_json)
        else:
            _report_changed(done, as_json=as_json)
    if failed:
        raise SystemExit(FAILURE)


def _report_changed(done: DoneView, *, as_json: bool) -> None:
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        print_line(f"{done.done}  {done.id}  {done.queue}".rstrip())


def _report_failed(letter_id: str, error: OperationError, *, as_json: bool) -> None:
    if as_json:
        view = NotDoneView(id=letter_id, text=hidden(str(error)), fix=error.fix)
        print_json(view.model_dump(mode="json"))
        return
    for line in error.lines():
        print_line(line, err=True)


def _line(letter: DeadLetterView) -> str:
    parts = [letter.id, f"{letter.at:%Y-%m-%d %H:%M:%S} UTC", f"{letter.reason:<18}", letter.task or "-"]
    detail = hidden(letter.detail) or "-"
    return "  ".join([*parts, detail if len(detail) <= MAX_DETAIL else f"{detail[:MAX_DETAIL]}…"])


@click.command(
    epilog=examples(
        "sfmc-import resolve 0199f3a2-… --task-id 4712",
        "sfmc-import resolve 0199f3a2-… --not-started --reason 'nothing under Imports for that hour'",
    )
)
@click.argument("request_id", metavar="REQUEST_ID")
@click.option("--task-id", metavar="N", help="It was started: the Task.ID (TaskResultID) of its run.")
@click.option("--not-started", is_flag=True, help="It was not started; needs --reason.")
@click.option("--unchecked", is_flag=True, help="Take the Task.ID without asking Marketing Cloud; needs --reason.")
@click.option("--force", is_flag=True, help="Record the Task.ID although it was replayed; needs --reason.")
@click.option("--reason", metavar="TEXT", help="How you know; stored in the event.")
@click.option("--operator", metavar="NAME", help="Who decided; stored in the event.  [default: your login name]")
@json_option
def resolve(
    request_id: str,
    *,
    task_id: str | None,
    not_started: bool,
    unchecked: bool,
    force: bool,
    reason: str | None,
    operator: str | None,
    as_json: bool,
) -> None:
    """Record whether the start of a request that ended as start_unknown happened.

    First look in Marketing Cloud (Imports, history of the activity, or ImportResultsSummary) for a run of the
    definition at the time of the request. The event lists runs that are possible as candidates.

    With --task-id the request counts as started: Marketing Cloud is asked whether this is a run of the definition,
    then the workers follow it to its end. With --not-started the window opens, and the request can be started with
    'sfmc-import replay REQUEST_ID'. In both cases no start is sent to Marketing Cloud. A wrong --not-started can be
    corrected with --task-id; where another operator recorded it, and the request was replayed since, with --force.

    Exit code: 0 recorded, 1 the request is not start_unknown, or the run cannot be asked for or is not one of it.
    """
    taken = "--unchecked" if unchecked else "--force" if force else ""
    _check_words(task_id, not_started=not_started, taken=taken, reason=reason)
    with open_operations(operator) as operations:
        done = operations.resolve(request_id, task_id, reason, unchecked=unchecked, force=force)
        _print_resolved(done, operations.show(request_id), task_id, as_json=as_json)


def _print_resolved(done: ActionView, view: RequestView, task_id: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        print_line(f"request {done.request_id}: {done.state}; {what_is_next(view, task_id)}")


def _check_words(task_id: str | None, *, not_started: bool, taken: str, reason: str | None) -> None:
    """Refuse what does not fit together; `taken` is the option by which a Task.ID is taken all the same."""
    if (task_id is None) != not_started:
        raise click.UsageError("give either --task-id N or --not-started")
    if not_started and not reason:
        raise click.UsageError("--not-started needs --reason TEXT: how you know")
    if taken and not (task_id and reason):
        raise click.UsageError(f"{taken} is for --task-id N, and needs --reason TEXT: how you know")


def what_is_next(view: RequestView, task_id: str | None) -> str:
    """Give the command that goes on after a start was resolved."""
    if task_id is not None:
        return f"follow it with: {follow_command(task_id, view.mid)}"
    return f"start it with: {Command(('replay', view.request_id))}"
