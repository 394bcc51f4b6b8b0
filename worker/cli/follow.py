"""`sfmc-import follow`: one run to its end, by its Task.ID; takes up a run whose following had timed out."""

from collections.abc import Iterator

import click

from worker.adapters.event_stream import Event, just_before
from worker.adapters.ledger.reading import LedgerReader
from worker.bootstrap import open_ledger
from worker.cli.event_lines import ENDS, kind, line
from worker.cli.ledger import Looking, look
from worker.cli.printing import examples, json_option, print_json
from worker.domain.life import COMPLETED


@click.command(epilog=examples("sfmc-import follow 4712", "sfmc-import follow 4712 --json | jq .data.rows_total"))
@click.argument("task_id", metavar="TASK_ID")
@click.option("--mid", metavar="MID", help="Business unit.  [default: SFMC_ACCOUNT_ID]")
@json_option
def follow(task_id: str, *, mid: str | None, as_json: bool) -> None:
    """Follow one run to its end, by the Task.ID that Marketing Cloud gave it.

    A run that was followed long enough (follow_timed_out) is followed again; workers and beat do that, this
    command watches them. A run that has ended already is told at once.

    Exit code: 0 the import completed, 1 it did not, or nobody knows this Task.ID.
    """
    looking = look()
    request_id = _request_of(looking.reader, looking.mid(mid), task_id)
    last = ""
    for event in _events(looking, request_id):
        last = kind(event)
        if as_json:
            print_json(event)
        else:
            click.echo(line(event))
    raise SystemExit(0 if last in COMPLETED else 1)


def _request_of(reader: LedgerReader, mid: str, task_id: str) -> str:
    if not mid:
        raise click.UsageError("no business unit: set SFMC_ACCOUNT_ID or give --mid")
    request_id = reader.request_of(mid, task_id)
    if request_id is None:
        raise click.ClickException(f"no request of business unit {mid} was given Task.ID {task_id}; see 'events'")
    return request_id


def _events(looking: Looking, request_id: str) -> Iterator[Event]:
    """Yield what the request went through, and then what it goes through, to its end."""
    position = looking.stream.newest()
    record = looking.reader.request(request_id) or {}
    ended = record.get("state") in ENDS
    if record.get("state") == "follow_timed_out":
        policy = looking.settings.policy(record["mid"], record["customer_key"])
        ended = not open_ledger(looking.settings).resume(request_id, policy)
    yield from (event for _, event in _past(looking, request_id, record, position))
    live = () if ended else looking.stream.live(position, on_outage=_tell_outage)
    for _, event in live:
        if event["data"].get("request_id") == request_id:
            yield event
            if kind(event) in ENDS:
                return


def _past(looking: Looking, request_id: str, record: object, position: str) -> Iterator[tuple[str, Event]]:
    accepted_at = record.get("accepted_at", 0) if isinstance(record, dict) else 0
    for entry, event in looking.stream.after(just_before(accepted_at)):
        if _order(entry) > _order(position):
            return
        if event["data"].get("request_id") == request_id:
            yield entry, event


def _order(entry: str) -> tuple[int, ...]:
    return tuple(map(int, entry.split("-")))


def _tell_outage(reason: str) -> None:
    click.echo(f"sfmc-import: Redis does not answer ({reason}); waiting for it", err=True)
