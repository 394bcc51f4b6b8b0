"""`sfmc-import status`, `events` and `follow`: show state and events of the system, a definition or a request."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import click

from sfmc_import import request
from sfmc_import.access import ReadAccess, open_for_reading, redis_errors
from sfmc_import.cli.folder_lines import watcher_lines
from sfmc_import.cli.naming import check_key, check_known, check_types
from sfmc_import.cli.operate import pause_line, until_text
from sfmc_import.cli.output import Line, examples, json_option, print_json, print_line, print_lines, seconds
from sfmc_import.cli.unmatched import describe_unmatched
from sfmc_import.display import Coloured
from sfmc_import.events import ENDS, Entry, Event, just_before, kind, line
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.operations import actions, requests
from sfmc_import.operations.unmatched import LOOKED_AT, unmatched_files
from sfmc_import.operations.views import RequestView, View
from sfmc_import.states import AS_EXPECTED
from sfmc_transport import dead_letters, queues

SHOWN_UNFINISHED = 20


@click.command(
    epilog=examples("sfmc-import status", "sfmc-import status Daily_Orders", "sfmc-import status --unmatched")
)
@click.argument("customer_key", metavar="[KEY]", required=False)
@click.option("--unmatched", is_flag=True, help="Show files that start nothing: no or several definitions match.")
@click.option("--mid", metavar="MID", help="MID of the business unit.  [default: SFMC_ACCOUNT_ID]")
@click.option(
    "-n",
    "--last",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="How many events of the definition, or unmatched files, to show.",
)
@json_option
def status(customer_key: str | None, *, unmatched: bool, mid: str | None, last: int, as_json: bool) -> None:
    """Show the state of the system, or of one definition (KEY); of one request: `sfmc-import show`.

    For the system: numbers, what is paused, the newest requests that ended badly, those that are due next with why
    they wait and until when, and what the folder watchers say: which files wait, why and since when, and which folders
    cannot be read now.

    For a definition: the request that holds it, how long its window is closed (no start until then), the
    follow-ups that wait, and the last events.

    --unmatched lists files that watchers and sources saw and that start nothing: each file once, as long as its event
    is among the newest 50,000. One that became a request later is left out.

    Exit code: 0, or 1 if the definition or request is not known or Redis does not answer.
    """
    with open_for_reading() as access:
        if unmatched:
            found, lines = describe_unmatched(unmatched_files(access.stream.backwards(LOOKED_AT)), last)
        elif customer_key is not None:
            found, lines = _definition(access, access.mid(mid), customer_key, last)
        else:
            found, lines = _whole(access)
    if as_json:
        print_json(found)
    else:
        print_lines(lines)


def _definition(access: ReadAccess, mid: str, key: str, last: int) -> tuple[Mapping[str, Any], Sequence[Line]]:
    if not mid:
        raise click.UsageError("no business unit; set SFMC_ACCOUNT_ID or give --mid MID")
    key = access.reader.spelled(mid, key)
    record = access.reader.definition(mid, key)
    check_known(access, mid, key, record)
    recent = access.reader.recent(mid, key, last)
    waiting = [found for found in map(access.reader.request, record["waiting"]) if found]
    found = {**record, "waiting": waiting, "recent": recent}
    held = _holder(access, record)
    lines = [f"{key} of business unit {mid}", f"  held_by  {held}", f"  window   {window_text(record)}"]
    events = ([Coloured("  "), *line(event)] for event in reversed(recent))
    return found, [*lines, *_waiting_lines(waiting), *events]


def _holder(access: ReadAccess, record: Mapping[str, Any]) -> str:
    if record["holder"] is None:
        return "-"
    request = access.reader.request(record["holder"]) or {}
    task = f", Task.ID {request['task_id']}" if "task_id" in request else ""
    lease = f", lease for {seconds(record['lease_left'])}" if record["lease_left"] else ""
    return f"request {record['holder']}: {request.get('state', 'no longer recorded')}{task}{lease}"


def window_text(record: Mapping[str, Any]) -> str:
    """Say how long the window is closed, by which request, and how many imports in a row ended in Error."""
    errors = record["consecutive_errors"]
    after = f", after {errors} {'import' if errors == 1 else 'imports in a row'} that ended in Error" if errors else ""
    if not record["window_left"]:
        return f"open{after}"
    return f"closed for {seconds(record['window_left'])}, by request {record['window_by']}{after}"


def _waiting_lines(waiting: list[Mapping[str, Any]]) -> list[str]:
    named = [(request.get("file") or {}).get("name", "without a file") for request in waiting]
    lines = [f"    {name}, request {request['request_id']}" for name, request in zip(named, waiting, strict=True)]
    return [f"  waiting  {len(waiting)}", *lines]


def _whole(access: ReadAccess) -> tuple[Mapping[str, Any], Sequence[Line]]:
    running = access.reader.running()
    counts = {**access.reader.overview(), **_queue(access), "workers": running.workers, "beats": running.beats}
    paused = actions.pauses(access)
    failed, unfinished = requests.failures(access, SHOWN_UNFINISHED), requests.unfinished(access, SHOWN_UNFINISHED)
    place, now = access.settings.redis.shown, access.reader.now()
    watchers = access.reader.watchers()
    lines: list[Line] = [place, *(f"  {name.replace('_', ' '):<14}{number}" for name, number in counts.items())]
    lines += ["  list them with: sfmc-import dead-letters"] if counts["dead_letters"] else []
    lines += [f"  {missing}" for missing in _missing(counts)]
    lines += [f"  {pause_line(each, now)}" for each in paused]
    lines += [_request_line(each, now) for each in (*failed, *unfinished)]
    lines += watcher_lines(watchers)
    views: Mapping[str, Sequence[View]] = {"paused": paused, "failures": failed, "next": unfinished}
    shown = {name: [each.model_dump(mode="json") for each in found] for name, found in views.items()}
    return {"redis": place, **counts, **shown, "watchers": watchers}, lines


def _missing(counts: Mapping[str, int]) -> Iterator[str]:
    """Say which process must be started for what waits."""
    if not (counts["queued"] or counts["unfinished"]):
        return
    if not counts["workers"]:
        yield "no worker runs, and nothing is taken: start sfmc-import worker"
    if not counts["beats"]:
        yield "no beat runs, and what is due later is not woken: start sfmc-import beat"


def _queue(access: ReadAccess) -> dict[str, int]:
    broker: Any = access.broker
    keys = access.broker_keys
    with redis_errors(access.settings.broker, access.broker_variable):
        return {
            "queued": queues.length(broker, keys.queue(request.QUEUE)),
            "in_flight": broker.hlen(keys.unacked_key),
            "dead_letters": dead_letters.count(broker, keys),
        }


def _request_line(request: RequestView, now: float) -> str:
    """Give one line: state, definition, file, and why it waits until when."""
    name = "" if request.file is None else request.file.name
    waiting = request.waiting
    why = "" if waiting is None else f"{waiting.reason}{until_text(waiting.until, now)}"
    parts = (f"  {request.state:<14}{request.customer_key}", name, why, f"request {request.request_id}")
    return "  ".join(part for part in parts if part)


# Both parts are numbers of 64 bits; nineteen digits always fit.
_ID = re.compile(r"[0-9]{1,19}(-[0-9]{1,19})?")


def _check_id(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _ID.fullmatch(value):
        raise click.BadParameter("not an id of the stream; give one such as 1767225600000-0")
    return value


@click.command(
    epilog=examples(
        "sfmc-import events --follow",
        "sfmc-import events --key Daily_Orders --last 10",
        "sfmc-import events --json --since 1767225600000-0 | jq .type",
    )
)
@click.option("-f", "--follow", is_flag=True, help="Then wait for new events and show them.")
@click.option(
    "--since", metavar="ID", callback=_check_id, help="Only events after this id of the stream (stream_id of --json)."
)
@click.option("-k", "--key", help="Only events of this CustomerKey.")
@click.option(
    "-t",
    "--type",
    "types",
    multiple=True,
    callback=check_types,
    help="Only events of this type, such as started; may be given several times.",
)
@click.option(
    "-n",
    "--last",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="At most this many of the newest events.",
)
@json_option
def events(
    *, follow: bool, since: str | None, key: str | None, types: tuple[str, ...], last: int, as_json: bool
) -> None:
    """Show events, one a line, oldest first.

    With --json each line is a CloudEvent with its `stream_id`. To continue later without a gap or a repeated
    event, give the last `stream_id` to --since. With --since the option --last has no effect.

    Exit code: 0, or 1 if no request ever named the CustomerKey of --key or Redis does not answer.
    """

    def wanted(event: Event) -> bool:
        subject = str(event.get("subject"))
        has_key = key is None or request.fold_key(subject) == request.fold_key(key)
        return has_key and (not types or kind(event) in types)

    def show(entries: Iterable[Entry]) -> str:
        position = ""
        for position, event in entries:
            if wanted(event):
                _show(position, event, as_json=as_json)
        return position

    with open_for_reading() as access:
        stream = access.stream
        newest = stream.newest()
        position = show(stream.after(since) if since else stream.last(last, wanted, newest))
        if key is not None and not follow:
            check_key(access, key, newest)
        show(stream.live(position or since or newest, on_outage=_log_outage) if follow else ())


def _log_outage(reason: str) -> None:
    print_line(f"sfmc-import: Redis does not answer ({reason}); waiting until it does", err=True)


def _show(entry: str, event: Event, *, as_json: bool) -> None:
    if as_json:
        print_json({"stream_id": entry, **event})
    else:
        print_line(*line(event))


@click.command(epilog=examples("sfmc-import follow 4712", "sfmc-import follow 4712 --json | jq .data.rows_total"))
@click.argument("task_id", metavar="TASK_ID")
@click.option("--mid", metavar="MID", help="MID of the business unit.  [default: SFMC_ACCOUNT_ID]")
@json_option
def follow(task_id: str, *, mid: str | None, as_json: bool) -> None:
    """Show the events of one run until it ends. TASK_ID is the Task.ID that Marketing Cloud gave the run.

    If following has ended (follow_timed_out), the workers follow the run again. The events of a run that has
    ended are shown at once.

    Exit code: 0 the import completed, 1 it did not, or not as expected, or the Task.ID is not known.
    """
    last = ""
    with open_for_reading() as access:
        request_id = _request_of(access.reader, access.mid(mid), task_id)
        for event in _events(access, request_id):
            last = kind(event) if kind(event) in ENDS else last
            if as_json:
                print_json(event)
            else:
                print_line(*line(event))
    raise SystemExit(0 if last in AS_EXPECTED else 1)


def _request_of(reader: LedgerReader, mid: str, task_id: str) -> str:
    if not mid:
        raise click.UsageError("no business unit; set SFMC_ACCOUNT_ID or give --mid MID")
    request_id = reader.request_of(mid, task_id)
    if request_id is None:
        raise click.ClickException(
            f"no request of business unit {mid} has Task.ID {task_id}; find it with: sfmc-import events --type started"
        )
    return request_id


def _events(access: ReadAccess, request_id: str) -> Iterator[Event]:
    """Yield the past events of the request, then new ones, until its last."""
    position = access.stream.newest()
    record = access.reader.request(request_id) or {}
    ended = record.get("state") in ENDS
    if record.get("state") == "follow_timed_out":
        policy = access.settings.policy(record["mid"], record["customer_key"])
        ended = not open_ledger(access.settings).resume(request_id, policy)
    yield from (event for _, event in _past(access, request_id, record, position))
    live = () if ended else access.stream.live(position, on_outage=_log_outage)
    for _, event in live:
        if event["data"].get("request_id") == request_id:
            yield event
            if kind(event) in ENDS:
                return


def _past(access: ReadAccess, request_id: str, record: object, position: str) -> Iterator[tuple[str, Event]]:
    accepted_at = record.get("accepted_at", 0) if isinstance(record, dict) else 0
    for entry, event in access.stream.after(just_before(accepted_at)):
        if _order(entry) > _order(position):
            return
        if event["data"].get("request_id") == request_id:
            yield entry, event


def _order(entry: str) -> tuple[int, ...]:
    return tuple(map(int, entry.split("-")))
