"""`sfmc-import status`: where the whole, a definition or a request stands; reads only."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click

import sfmc_transport
from sfmc_import import request
from sfmc_import.bootstrap import open_ledger
from sfmc_import.cli.output import ReadAccess, examples, json_option, open_for_reading, print_json, seconds
from sfmc_import.events import ENDS, Event, just_before, kind, line
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.states import COMPLETED
from sfmc_transport import dead_letters

SHOWN_UNFINISHED = 20


@click.command(
    epilog=examples("sfmc-import status", "sfmc-import status Daily_Orders", "sfmc-import status --request 0199f3a2-…")
)
@click.argument("customer_key", metavar="[KEY]", required=False)
@click.option("--request", "request_id", metavar="ID", help="One request instead of a definition.")
@click.option("--mid", metavar="MID", help="Business unit.  [default: SFMC_ACCOUNT_ID]")
@click.option(
    "-n",
    "--last",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How many events of the definition.",
)
@json_option
def status(customer_key: str | None, *, request_id: str | None, mid: str | None, last: int, as_json: bool) -> None:
    """Where things stand: the whole, or one definition (KEY), or one request.

    For a definition: who holds it and for how long, how long its window is closed (no further start), which
    follow-ups wait, and what happened last.

    Exit code: 0, or 1 when the request is not known.
    """
    looking = open_for_reading()
    if request_id is not None:
        found, lines = _request(looking, request_id)
    elif customer_key is not None:
        found, lines = _definition(looking, looking.mid(mid), customer_key, last)
    else:
        found, lines = _whole(looking)
    if as_json:
        print_json(found)
    else:
        click.echo("\n".join(lines))


def _request(looking: ReadAccess, request_id: str) -> tuple[Mapping[str, Any], list[str]]:
    record = looking.reader.request(request_id)
    if record is None:
        raise click.ClickException(f"no request {request_id}: never recorded here, or ended and forgotten since")
    return record, [f"  {name:<16}{_shown(name, value)}" for name, value in record.items() if value is not None]


def _shown(name: str, value: Any) -> str:
    if name in {"accepted_at", "since", "due_at"}:
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return str(value.get("name", value)) if isinstance(value, Mapping) else str(value)


def _definition(looking: ReadAccess, mid: str, key: str, last: int) -> tuple[Mapping[str, Any], list[str]]:
    if not mid:
        raise click.UsageError("no business unit: set SFMC_ACCOUNT_ID or give --mid")
    record = looking.reader.definition(mid, key)
    recent = looking.reader.recent(mid, key, last)
    waiting = [found for found in map(looking.reader.request, record["waiting"]) if found]
    found = {**record, "waiting": waiting, "recent": recent}
    held = _holder(looking, record)
    lines = [f"{key} of business unit {mid}", f"  holder   {held}", f"  window   {_window(record)}"]
    return found, [*lines, *_waiting_lines(waiting), *(f"  {line(event)}" for event in reversed(recent))]


def _holder(looking: ReadAccess, record: Mapping[str, Any]) -> str:
    if record["holder"] is None:
        return "nobody"
    request = looking.reader.request(record["holder"]) or {}
    task = f", Task.ID {request['task_id']}" if "task_id" in request else ""
    lease = f", lease for {seconds(record['lease_left'])}" if record["lease_left"] else ""
    return f"request {record['holder']}: {request.get('state', 'gone')}{task}{lease}"


def _window(record: Mapping[str, Any]) -> str:
    if not record["window_left"]:
        return "open"
    return f"closed for {seconds(record['window_left'])}, by request {record['window_by']}"


def _waiting_lines(waiting: list[Mapping[str, Any]]) -> list[str]:
    named = [(request.get("file") or {}).get("name", "without a file") for request in waiting]
    lines = [f"    {name}, request {request['request_id']}" for name, request in zip(named, waiting, strict=True)]
    return [f"  waiting  {len(waiting)}", *lines]


def _whole(looking: ReadAccess) -> tuple[Mapping[str, Any], list[str]]:
    counts = {**looking.reader.overview(), **_queue(looking)}
    unfinished = list(_unfinished(looking))
    place = looking.settings.redis.shown
    lines = [place, *(f"  {name.replace('_', ' '):<14}{number}" for name, number in counts.items())]
    lines += [_unfinished_line(request) for request in unfinished]
    return {"redis": place, **counts, "next": unfinished}, lines


def _queue(looking: ReadAccess) -> dict[str, int]:
    broker: Any = looking.broker
    keys = sfmc_transport.Keys(looking.settings.transport_prefix)
    return {
        "queued": broker.llen(request.QUEUE),
        "in_flight": broker.hlen(keys.unacked_key),
        "dead_letters": dead_letters.count(broker, keys),
    }


def _unfinished(looking: ReadAccess) -> Iterator[Mapping[str, Any]]:
    client: Any = looking.client
    ids = client.zrange(looking.keys.due, 0, SHOWN_UNFINISHED - 1)
    yield from (found for request_id in ids if (found := looking.reader.request(request_id.decode())))


def _unfinished_line(request: Mapping[str, Any]) -> str:
    file = (request.get("file") or {}).get("name", "")
    return f"  {request['state']:<14}{request['customer_key']}  {file}  request {request['request_id']}".rstrip()


# Both parts are numbers of 64 bits; nineteen digits always fit.
_ID = re.compile(r"[0-9]{1,19}(-[0-9]{1,19})?")


def _check_id(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _ID.fullmatch(value):
        raise click.BadParameter("not an id of the stream, such as 1767225600000-0")
    return value


@click.command(
    epilog=examples(
        "sfmc-import events --follow",
        "sfmc-import events --key Daily_Orders --last 10",
        "sfmc-import events --json --since 1767225600000-0 | jq .type",
    )
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens from now on.")
@click.option(
    "--since", metavar="ID", callback=_check_id, help="Only what came after this id of the stream, as --json shows it."
)
@click.option("-k", "--key", help="Only this CustomerKey.")
@click.option("-t", "--type", "types", multiple=True, help="Only this kind, such as started; may be repeated.")
@click.option("-n", "--last", type=click.IntRange(min=0), default=50, show_default=True, help="How many at most.")
@json_option
def events(
    *, follow: bool, since: str | None, key: str | None, types: tuple[str, ...], last: int, as_json: bool
) -> None:
    """What happened: one line for each event, oldest first.

    With --json each line is a CloudEvent with its `stream_id`; give the last one to --since and nothing is
    missed or told twice. --since lists everything after it, whatever --last says.
    """
    stream = open_for_reading().stream

    def wanted(event: Event) -> bool:
        return (key is None or event.get("subject") == key) and (not types or kind(event) in types)

    def show(entry: str, event: Event) -> None:
        if wanted(event):
            _show(entry, event, as_json=as_json)

    position = since or stream.newest()
    for entry, event in stream.after(since) if since else stream.last(last, wanted, position):
        position = entry
        show(entry, event)
    for entry, event in stream.live(position, on_outage=_log_outage) if follow else ():
        show(entry, event)


def _log_outage(reason: str) -> None:
    click.echo(f"sfmc-import: Redis does not answer ({reason}); waiting for it", err=True)


def _show(entry: str, event: Event, *, as_json: bool) -> None:
    if as_json:
        print_json({"stream_id": entry, **event})
    else:
        click.echo(line(event))


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
    looking = open_for_reading()
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


def _events(looking: ReadAccess, request_id: str) -> Iterator[Event]:
    """Yield what the request went through, and then what it goes through, to its end."""
    position = looking.stream.newest()
    record = looking.reader.request(request_id) or {}
    ended = record.get("state") in ENDS
    if record.get("state") == "follow_timed_out":
        policy = looking.settings.policy(record["mid"], record["customer_key"])
        ended = not open_ledger(looking.settings).resume(request_id, policy)
    yield from (event for _, event in _past(looking, request_id, record, position))
    live = () if ended else looking.stream.live(position, on_outage=_log_outage)
    for _, event in live:
        if event["data"].get("request_id") == request_id:
            yield event
            if kind(event) in ENDS:
                return


def _past(looking: ReadAccess, request_id: str, record: object, position: str) -> Iterator[tuple[str, Event]]:
    accepted_at = record.get("accepted_at", 0) if isinstance(record, dict) else 0
    for entry, event in looking.stream.after(just_before(accepted_at)):
        if _order(entry) > _order(position):
            return
        if event["data"].get("request_id") == request_id:
            yield entry, event


def _order(entry: str) -> tuple[int, ...]:
    return tuple(map(int, entry.split("-")))
