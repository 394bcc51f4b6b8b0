"""`sfmc-import events` and `follow`: show what happened and what happens, of all or of one run."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import click

from sfmc_import.cli.completing import complete_key
from sfmc_import.cli.naming import check_key, check_types
from sfmc_import.cli.opening import given_mid, open_operations
from sfmc_import.cli.output import examples, json_option, print_json, print_line, say_outage
from sfmc_import.events import ENDS, kind, line
from sfmc_import.operations.errors import NotFoundError
from sfmc_import.operations.listing import MAX_NEWEST
from sfmc_import.operations.protocol import Operations
from sfmc_import.operations.views import RequestView
from sfmc_import.operations.watching import events_until_end
from sfmc_import.states import AS_EXPECTED

PAGE = 500

# Both parts are numbers of 64 bits; nineteen digits always fit.
_ID = re.compile(r"[0-9]{1,19}(-[0-9]{1,19})?")


def _check_id(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _ID.fullmatch(value):
        raise click.BadParameter("not an id of the stream; give one such as 1767225600000-0")
    return value if value is None or "-" in value else f"{value}-0"


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
@click.option("-k", "--key", shell_complete=complete_key, help="Only events of this CustomerKey.")
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
    type=click.IntRange(min=0, max=MAX_NEWEST),
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
    event, give the last `stream_id` to --since: then --last has no effect. Without it the newest 50,000 are looked at.

    Exit code: 0, or 1 if no request ever named the CustomerKey of --key or Redis does not answer.
    """
    with open_operations() as operations:
        if since is None:
            page = operations.newest_events(last, key, types)
            _show_all(page.items, as_json=as_json)
            position = page.next or "0-0"
        else:
            position = _show_since(operations, since, key, types, as_json=as_json)
        if key is not None and not follow:
            check_key(operations, key)
        if follow:
            _show_live(operations, position, key, types, as_json=as_json)


def _show_since(operations: Operations, since: str, key: str | None, types: tuple[str, ...], *, as_json: bool) -> str:
    position = since
    while (page := operations.events(position, PAGE, key, types)).next not in {None, position}:
        _show_all(page.items, as_json=as_json)
        position = str(page.next)
    return position


def _show_live(
    operations: Operations, position: str, key: str | None, types: tuple[str, ...], *, as_json: bool
) -> None:
    for entry, event in operations.live(position, key, on_outage=say_outage):
        if not types or kind(event) in types:
            _show_all([{"stream_id": entry, **event}], as_json=as_json)


def _show_all(found: Iterable[Mapping[str, Any]], *, as_json: bool) -> None:
    for each in found:
        if as_json:
            print_json(each)
        else:
            print_line(*line(each))


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
    with open_operations() as operations:
        found = _request_of(operations, mid, task_id)
        if found.state == "follow_timed_out":
            operations.follow(found.request_id)
        for event in events_until_end(operations.show, found.request_id, on_outage=say_outage):
            last = kind(event) if kind(event) in ENDS else last
            _show_all([event], as_json=as_json)
        if not last:
            last = operations.show(found.request_id).state
            print_line(f"its last events are no longer in the stream; it stands at: {last}", err=True)
    raise SystemExit(0 if last in AS_EXPECTED else 1)


def _request_of(operations: Operations, given: str | None, task_id: str) -> RequestView:
    mid = given_mid(given)
    try:
        found = operations.search(task_id, mid)
    except NotFoundError:
        found = []
    of_task = next((each for each in found if each.task_id == task_id), None)
    if of_task is None:
        unit = f"business unit {mid}" if mid else "a business unit that is not given (--mid MID)"
        raise click.ClickException(
            f"no request of {unit} has Task.ID {task_id}; find it with: sfmc-import events --type started"
        )
    return of_task
