"""`sfmc-import dead-letters`: messages that were set aside, to look at, put back or drop; decides nothing itself."""

import base64
import getpass
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

import sfmc_transport
from sfmc_import.bootstrap import open_ledger
from sfmc_import.cli.output import ReadAccess, examples, json_option, open_for_reading, print_json
from sfmc_transport import dead_letters
from sfmc_transport.dead_letters import DeadLetter, DeadLetterNotFoundError
from sfmc_transport.entry import UndecodableEntryError, read_entry

MAX_DETAIL = 100


@dataclass(frozen=True)
class Access:
    """The dead letters of the broker that the settings name."""

    client: Any
    keys: sfmc_transport.Keys

    def all(self) -> Iterator[DeadLetter]:
        """Give all, oldest first."""
        return dead_letters.listed(self.client, self.keys)


def _open() -> Access:
    looking = open_for_reading()
    return Access(looking.broker, sfmc_transport.Keys(looking.settings.transport_prefix))


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
    """Messages of the queue that no worker could handle: set aside with their bytes and the reason.

    A message is set aside when it cannot be read, names a task or arguments that the worker does not know, or
    was in the hands of three workers when they died. The others go on. Each stays here until it is replayed or
    dropped; the oldest go when there are more than 10,000. Without a subcommand: list.

    Exit code: 0, or 1 when there is no such message.
    """
    if context.invoked_subcommand is None:
        _list(as_json=as_json)
    elif as_json:
        raise click.UsageError(f"put --json behind {context.invoked_subcommand}")


@dead_letters_group.command("list")
@json_option
def list_all(*, as_json: bool) -> None:
    """All of them, oldest first: id, time, reason, task, detail."""
    _list(as_json=as_json)


def _list(*, as_json: bool) -> None:
    found = 0
    for found, letter in enumerate(_open().all(), 1):  # noqa: B007 - counts
        if as_json:
            print_json(_fields(letter))
        else:
            click.echo(_line(letter))
    if not as_json:
        click.echo(f"{found} dead letters" if found != 1 else "1 dead letter")


@dead_letters_group.command()
@click.argument("letter_id", metavar="ID")
@click.option("--raw", is_flag=True, help="Only the bytes as they stood in the queue.")
@json_option
def show(letter_id: str, *, raw: bool, as_json: bool) -> None:
    """One of them with its bytes."""
    box = _open()
    with _reporting_missing():
        letter = dead_letters.read(box.client, box.keys, letter_id)
    if raw:
        click.echo(letter.entry, nl=False)
    elif as_json:
        print_json(_fields(letter))
    else:
        shown = {name: value for name, value in _fields(letter).items() if name != "entry_base64" and value is not None}
        shown["entry"] = _text(letter.entry) or repr(letter.entry)
        click.echo("\n".join(f"  {name:<8}{value}" for name, value in shown.items()))


@dead_letters_group.command()
@click.argument("ids", metavar="[ID]…", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every message that is set aside now.")
@click.option("--queue", metavar="NAME", help="Into this queue instead of the one it came from.")
@json_option
def replay(ids: tuple[str, ...], *, every: bool, queue: str | None, as_json: bool) -> None:
    """Put messages back, last in line: after the worker was mended. What still cannot be handled comes back here."""
    if every == bool(ids):
        raise click.UsageError("name the messages to put back, or give --all")
    box = _open()
    for letter_id in [letter.id for letter in box.all()] if every else ids:
        with _reporting_missing():
            letter = dead_letters.replay(box.client, box.keys, letter_id, queue)
        _report_changed("replayed", letter, queue or letter.queue, as_json=as_json)


@dead_letters_group.command()
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@json_option
def delete(ids: Sequence[str], *, as_json: bool) -> None:
    """Delete messages for good. A request that the ledger knows goes on without its message."""
    box = _open()
    for letter_id in ids:
        with _reporting_missing():
            letter = dead_letters.read(box.client, box.keys, letter_id)
            dead_letters.delete(box.client, box.keys, letter_id)
        _report_changed("dropped", letter, letter.queue, as_json=as_json)


@contextmanager
def _reporting_missing() -> Iterator[None]:
    try:
        yield
    except DeadLetterNotFoundError as error:
        raise click.ClickException(f"{error}; see 'sfmc-import dead-letters'") from error


def _report_changed(done: str, letter: DeadLetter, queue: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"id": letter.id, "done": done, "queue": queue})
    else:
        click.echo(f"{done}  {letter.id}  {queue}".rstrip())


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
    parts = [letter.id, f"{letter.at:%Y-%m-%d %H:%M:%S}", f"{letter.reason:<18}", task or "-"]
    return "  ".join([*parts, letter.detail[:MAX_DETAIL]]).rstrip()


def _message(entry: bytes) -> tuple[str | None, str | None]:
    """Give task name and decoded body of a message as far as they can be read."""
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


MAX_REASON = 1024


@click.command(
    epilog=examples(
        "sfmc-import resolve 0199f3a2-… --task-id 4712",
        "sfmc-import resolve 0199f3a2-… --not-started --reason 'nothing under Imports for that hour'",
    )
)
@click.argument("request_id", metavar="REQUEST_ID")
@click.option("--task-id", metavar="N", help="It was started: this is the Task.ID (TaskResultID) of its run.")
@click.option("--not-started", is_flag=True, help="It was not started; needs --reason.")
@click.option("--reason", metavar="TEXT", help="How you know; kept in the event.")
@click.option("--operator", metavar="NAME", help="Who says so; kept in the event.  [default: your login name]")
@json_option
def resolve(
    request_id: str, *, task_id: str | None, not_started: bool, reason: str | None, operator: str | None, as_json: bool
) -> None:
    """Say what became of a request that ended as start_unknown.

    Look in Marketing Cloud (Imports, the activity's history, or ImportResultsSummary) for a run of the definition
    at the time of the request; the event names candidates if there were several.

    With --task-id the request is started: workers follow the run to its end, and nothing is sent. With
    --not-started its window is open again and its file may be announced again; nothing is sent by itself: start
    it with 'sfmc-import start KEY --file PATH'. A wrong --not-started can be corrected with --task-id.

    Exit code: 0 recorded, 1 the request is not in doubt or the run belongs to another request.
    """
    if (task_id is None) != not_started:
        raise click.UsageError("say either --task-id N or --not-started")
    if not_started and not reason:
        raise click.UsageError("--not-started needs --reason: say how you know")
    looking = open_for_reading()
    record = _ambiguous(looking, request_id, task_id)
    operator = operator or _login()
    _record(looking, record, task_id, operator[:MAX_REASON], reason and reason[:MAX_REASON])
    state = "not_started" if task_id is None else "started"
    if as_json:
        print_json({"request_id": request_id, "state": state, "task_id": task_id, "operator": operator})
    else:
        click.echo(f"request {request_id}: {state}; {_next(record, task_id)}")


def _ambiguous(looking: ReadAccess, request_id: str, task_id: str | None) -> Mapping[str, Any]:
    """Give the request if this can be said of it; raise ClickException with the reason if not."""
    record = looking.reader.request(request_id)
    if record is None:
        raise click.ClickException(f"no request {request_id}: never recorded here, or ended and forgotten since")
    if task_id is not None and not (task_id.isascii() and task_id.isdigit()):
        raise click.UsageError(f"a Task.ID is a whole number, not {task_id!r}")
    owner = None if task_id is None else looking.reader.request_of(record["mid"], task_id)
    if owner not in {None, request_id}:
        raise click.ClickException(f"Task.ID {task_id} is the run of request {owner}")
    return record


def _record(
    looking: ReadAccess, record: Mapping[str, Any], task_id: str | None, operator: str, reason: str | None
) -> None:
    policy = looking.settings.policy(record["mid"], record["customer_key"])
    ledger = open_ledger(looking.settings)
    if not ledger.resolve(record["request_id"], task_id, operator, reason, policy):
        now = looking.reader.request(record["request_id"]) or record
        task = f" with Task.ID {now['task_id']}" if "task_id" in now else ""
        raise click.ClickException(
            f"request {now['request_id']} is {now['state']}{task}; only start_unknown can be resolved"
        )


def _next(record: Mapping[str, Any], task_id: str | None) -> str:
    if task_id is not None:
        return f"follow it with: sfmc-import follow {task_id}"
    return f"its file may be announced again: sfmc-import start {record['customer_key']}"


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"uid {os.getuid()}"
