"""`sfmc-import dead-letters`: messages that were set aside, to look at, put back or drop; decides nothing itself."""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from worker.adapters import transport
from worker.adapters.transport import dead_letters
from worker.adapters.transport.dead_letters import DeadLetter, NoSuchLetterError
from worker.adapters.transport.entry import UndecodableEntryError, read_entry
from worker.cli.ledger import look
from worker.cli.printing import examples, json_option, print_json

LONGEST_DETAIL = 100


@dataclass(frozen=True)
class Box:
    """The dead letters of the broker that the settings name."""

    client: Any
    keys: transport.Keys

    def all(self) -> Iterator[DeadLetter]:
        """Give all, oldest first."""
        return dead_letters.listed(self.client, self.keys)


def _open() -> Box:
    looking = look()
    return Box(looking.broker, transport.Keys(looking.settings.transport_prefix))


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
def letters(context: click.Context, *, as_json: bool) -> None:
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


@letters.command("list")
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


@letters.command()
@click.argument("letter_id", metavar="ID")
@click.option("--raw", is_flag=True, help="Only the bytes as they stood in the queue.")
@json_option
def show(letter_id: str, *, raw: bool, as_json: bool) -> None:
    """One of them with its bytes."""
    box = _open()
    with _telling_misses():
        letter = dead_letters.read(box.client, box.keys, letter_id)
    if raw:
        click.echo(letter.entry, nl=False)
    elif as_json:
        print_json(_fields(letter))
    else:
        shown = {name: value for name, value in _fields(letter).items() if name != "entry_base64" and value is not None}
        shown["entry"] = _text(letter.entry) or repr(letter.entry)
        click.echo("\n".join(f"  {name:<8}{value}" for name, value in shown.items()))


@letters.command()
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
        with _telling_misses():
            letter = dead_letters.replay(box.client, box.keys, letter_id, queue)
        _tell("replayed", letter, queue or letter.queue, as_json=as_json)


@letters.command()
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@json_option
def drop(ids: Sequence[str], *, as_json: bool) -> None:
    """Delete messages for good. A request that the ledger knows goes on without its message."""
    box = _open()
    for letter_id in ids:
        with _telling_misses():
            letter = dead_letters.read(box.client, box.keys, letter_id)
            dead_letters.drop(box.client, box.keys, letter_id)
        _tell("dropped", letter, letter.queue, as_json=as_json)


@contextmanager
def _telling_misses() -> Iterator[None]:
    try:
        yield
    except NoSuchLetterError as error:
        raise click.ClickException(f"{error}; see 'sfmc-import dead-letters'") from error


def _tell(done: str, letter: DeadLetter, queue: str, *, as_json: bool) -> None:
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
    return "  ".join([*parts, letter.detail[:LONGEST_DETAIL]]).rstrip()


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
