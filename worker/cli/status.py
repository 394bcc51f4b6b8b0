"""`sfmc-import status`: where the whole, a definition or a request stands; reads only."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from worker import messages
from worker.adapters import transport
from worker.adapters.transport import dead_letters
from worker.cli.event_lines import line
from worker.cli.ledger import Looking, look
from worker.cli.printing import examples, json_option, print_json, seconds

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
    looking = look()
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


def _request(looking: Looking, request_id: str) -> tuple[Mapping[str, Any], list[str]]:
    record = looking.reader.request(request_id)
    if record is None:
        raise click.ClickException(f"no request {request_id}: never recorded here, or ended and forgotten since")
    return record, [f"  {name:<16}{_shown(name, value)}" for name, value in record.items() if value is not None]


def _shown(name: str, value: Any) -> str:
    if name in {"accepted_at", "since", "due_at"}:
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return str(value.get("name", value)) if isinstance(value, Mapping) else str(value)


def _definition(looking: Looking, mid: str, key: str, last: int) -> tuple[Mapping[str, Any], list[str]]:
    if not mid:
        raise click.UsageError("no business unit: set SFMC_ACCOUNT_ID or give --mid")
    record = looking.reader.definition(mid, key)
    recent = looking.reader.recent(mid, key, last)
    waiting = [found for found in map(looking.reader.request, record["waiting"]) if found]
    found = {**record, "waiting": waiting, "recent": recent}
    held = _holder(looking, record)
    lines = [f"{key} of business unit {mid}", f"  holder   {held}", f"  window   {_window(record)}"]
    return found, [*lines, *_waiting_lines(waiting), *(f"  {line(event)}" for event in reversed(recent))]


def _holder(looking: Looking, record: Mapping[str, Any]) -> str:
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


def _whole(looking: Looking) -> tuple[Mapping[str, Any], list[str]]:
    counts = {**looking.reader.overview(), **_queue(looking)}
    unfinished = list(_unfinished(looking))
    place = looking.settings.redis.shown
    lines = [place, *(f"  {name.replace('_', ' '):<14}{number}" for name, number in counts.items())]
    lines += [_unfinished_line(request) for request in unfinished]
    return {"redis": place, **counts, "next": unfinished}, lines


def _queue(looking: Looking) -> dict[str, int]:
    broker: Any = looking.broker
    keys = transport.Keys(looking.settings.transport_prefix)
    return {
        "queued": broker.llen(messages.QUEUE),
        "in_flight": broker.hlen(keys.unacked_key),
        "dead_letters": dead_letters.count(broker, keys),
    }


def _unfinished(looking: Looking) -> Iterator[Mapping[str, Any]]:
    client: Any = looking.client
    ids = client.zrange(looking.keys.due, 0, SHOWN_UNFINISHED - 1)
    yield from (found for request_id in ids if (found := looking.reader.request(request_id.decode())))


def _unfinished_line(request: Mapping[str, Any]) -> str:
    file = (request.get("file") or {}).get("name", "")
    return f"  {request['state']:<14}{request['customer_key']}  {file}  request {request['request_id']}".rstrip()
