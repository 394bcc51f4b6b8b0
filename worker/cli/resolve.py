"""`sfmc-import resolve`: what an operator found out about a start that could not be proved; the ledger decides."""

import getpass
import os
from collections.abc import Mapping
from typing import Any

import click

from worker.bootstrap import open_ledger
from worker.cli.ledger import Looking, look
from worker.cli.printing import examples, json_option, print_json

LONGEST_REASON = 1024


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
    looking = look()
    record = _doubtful(looking, request_id, task_id)
    operator = operator or _login()
    _record(looking, record, task_id, operator[:LONGEST_REASON], reason and reason[:LONGEST_REASON])
    state = "not_started" if task_id is None else "started"
    if as_json:
        print_json({"request_id": request_id, "state": state, "task_id": task_id, "operator": operator})
    else:
        click.echo(f"request {request_id}: {state}; {_next(record, task_id)}")


def _doubtful(looking: Looking, request_id: str, task_id: str | None) -> Mapping[str, Any]:
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
    looking: Looking, record: Mapping[str, Any], task_id: str | None, operator: str, reason: str | None
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
