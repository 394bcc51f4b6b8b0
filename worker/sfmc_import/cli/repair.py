"""`sfmc-import dead-letters` and `resolve`: what an operator does about messages and starts that need a decision."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

import sfmc_transport
from sfmc_import.access import open_for_reading, redis_errors
from sfmc_import.cli.operate import login
from sfmc_import.cli.output import examples, json_option, print_json, print_line, print_lines
from sfmc_import.operations import resolving
from sfmc_import.operations.views import ActionView
from sfmc_import.redaction import hidden
from sfmc_transport import dead_letters
from sfmc_transport.dead_letters import DeadLetter, DeadLetterNotFoundError
from sfmc_transport.delivery import UndecodableEntryError, read_entry

MAX_DETAIL = 100


@dataclass(frozen=True)
class Access:
    """The dead letters of the broker that the settings name."""

    client: Any
    keys: sfmc_transport.Keys

    def all(self) -> Iterator[DeadLetter]:
        """Give all, oldest first."""
        return dead_letters.listed(self.client, self.keys)


@contextmanager
def _open() -> Iterator[Access]:
    """Open the dead letters; also turns an id that is not there into a line for the user."""
    with open_for_reading() as access, redis_errors(access.settings.broker, access.broker_variable):
        try:
            yield Access(access.broker, access.broker_keys)
        except DeadLetterNotFoundError as error:
            raise click.ClickException(f"{error}; list them with: sfmc-import dead-letters") from error


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

    Exit code: 0, or 1 if there is no such dead letter.
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
    found = 0
    with _open() as access:
        for found, letter in enumerate(access.all(), 1):  # noqa: B007 - counts
            if as_json:
                print_json(_fields(letter))
            else:
                print_line(_line(letter))
    if not as_json:
        print_line(f"{found} dead letters" if found != 1 else "1 dead letter")
    if found and not as_json:
        print_line(f"look at one with: sfmc-import dead-letters show {letter.id}")


@dead_letters_group.command()
@click.argument("letter_id", metavar="ID")
@click.option("--raw", is_flag=True, help="Print only the bytes of the message.")
@json_option
def show(letter_id: str, *, raw: bool, as_json: bool) -> None:
    """Show one dead letter with its message."""
    with _open() as access:
        letter = dead_letters.read(access.client, access.keys, letter_id)
    if raw:
        click.echo(letter.entry, nl=False)  # the bytes as they are: this is for a program
    elif as_json:
        print_json(_fields(letter))
    else:
        shown = {name: value for name, value in _fields(letter).items() if name != "entry_base64" and value is not None}
        shown["entry"] = _text(letter.entry) or repr(letter.entry)
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
    with _open() as access:
        for letter_id in [letter.id for letter in access.all()] if every else ids:
            target = None if queue is None else access.keys.queue(queue)
            letter = dead_letters.replay(access.client, access.keys, letter_id, target)
            _report_changed("replayed", letter, queue or letter.queue, as_json=as_json)


@dead_letters_group.command()
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@json_option
def delete(ids: Sequence[str], *, as_json: bool) -> None:
    """Delete dead letters for ever. A request in the ledger does not need its message and continues."""
    with _open() as access:
        for letter_id in ids:
            letter = dead_letters.read(access.client, access.keys, letter_id)
            dead_letters.delete(access.client, access.keys, letter_id)
            _report_changed("deleted", letter, letter.queue, as_json=as_json)


def _report_changed(done: str, letter: DeadLetter, queue: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"id": letter.id, "done": done, "queue": queue})
    else:
        print_line(f"{done}  {letter.id}  {queue}".rstrip())


def _fields(letter: DeadLetter) -> dict[str, Any]:
    task, body = _message(letter.entry)
    return {
        "id": letter.id,
        "at": letter.at.isoformat(timespec="milliseconds"),
        "queue": letter.queue,
        "reason": letter.reason,
        "detail": letter.detail,
        "task": task,
        "body": body,
        "size": len(letter.entry),
        "entry": _text(letter.entry),
        "entry_base64": base64.b64encode(letter.entry).decode(),
    }


def _line(letter: DeadLetter) -> str:
    task, _ = _message(letter.entry)
    parts = [letter.id, f"{letter.at:%Y-%m-%d %H:%M:%S} UTC", f"{letter.reason:<18}", task or "-"]
    return "  ".join([*parts, hidden(letter.detail)[:MAX_DETAIL]])


def _message(entry: bytes) -> tuple[str | None, str | None]:
    """Give the name of the task and the decoded body of a message; None for what cannot be read."""
    try:
        payload = read_entry(entry)
    except UndecodableEntryError:
        return None, None
    task = payload.get("headers", {}).get("task")
    return None if task is None else str(task), _body(payload)


def _body(payload: dict[str, Any]) -> str | None:
    body = payload.get("body", "")
    if payload["properties"].get("body_encoding") != "base64":
        return str(body)
    try:
        return _text(base64.b64decode(body))
    except ValueError:
        return None


def _text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


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
@click.option("--reason", metavar="TEXT", help="How you know; stored in the event.")
@click.option("--operator", metavar="NAME", help="Who decided; stored in the event.  [default: your login name]")
@json_option
def resolve(
    request_id: str,
    *,
    task_id: str | None,
    not_started: bool,
    unchecked: bool,
    reason: str | None,
    operator: str | None,
    as_json: bool,
) -> None:
    """Record whether the start of a request that ended as start_unknown happened.

    First look in Marketing Cloud (Imports, history of the activity, or ImportResultsSummary) for a run of the
    definition at the time of the request. The event lists runs that are possible as candidates.

    With --task-id the request counts as started: Marketing Cloud is asked whether this is a run of the definition,
    then the workers follow it to its end. With --not-started the window opens, and the same file can be submitted
    again with 'sfmc-import start KEY --file PATH'. In both cases no start is sent to Marketing Cloud. A wrong
    --not-started can be corrected with --task-id.

    Exit code: 0 recorded, 1 the request is not start_unknown, or the run cannot be asked for or is not one of it.
    """
    _check_words(task_id, not_started=not_started, unchecked=unchecked, reason=reason)
    operator = operator or login()
    ask = None if unchecked else resolving.ask_marketing_cloud
    with open_for_reading() as access:
        done = resolving.resolve(access, request_id, task_id, operator, reason, ask=ask)
        key = str((access.reader.request(request_id) or {}).get("customer_key"))
    _report_resolved(done, key, task_id, as_json=as_json)


def _report_resolved(done: ActionView, key: str, task_id: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json({**done.model_dump(mode="json"), "task_id": task_id})
    else:
        print_line(f"request {done.request_id}: {done.state}; {_next(key, task_id)}")


def _check_words(task_id: str | None, *, not_started: bool, unchecked: bool, reason: str | None) -> None:
    if (task_id is None) != not_started:
        raise click.UsageError("give either --task-id N or --not-started")
    if not_started and not reason:
        raise click.UsageError("--not-started needs --reason TEXT: how you know")
    if unchecked and not (task_id and reason):
        raise click.UsageError("--unchecked is for --task-id N, and needs --reason TEXT: how you know")


def _next(key: str, task_id: str | None) -> str:
    if task_id is not None:
        return f"follow it with: sfmc-import follow {task_id}"
    return f"start it with: sfmc-import start {key}"
