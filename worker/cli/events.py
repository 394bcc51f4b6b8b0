"""`sfmc-import events`: the stream of events for people and pipes; reads only."""

import re

import click

from worker.adapters.event_stream import Event
from worker.cli.event_lines import kind, line
from worker.cli.ledger import look
from worker.cli.printing import examples, json_option, print_json

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
    stream = look().stream

    def wanted(event: Event) -> bool:
        return (key is None or event.get("subject") == key) and (not types or kind(event) in types)

    def show(entry: str, event: Event) -> None:
        if wanted(event):
            _show(entry, event, as_json=as_json)

    position = since or stream.newest()
    for entry, event in stream.after(since) if since else stream.last(last, wanted, position):
        position = entry
        show(entry, event)
    for entry, event in stream.live(position, on_outage=_tell_outage) if follow else ():
        show(entry, event)


def _tell_outage(reason: str) -> None:
    click.echo(f"sfmc-import: Redis does not answer ({reason}); waiting for it", err=True)


def _show(entry: str, event: Event, *, as_json: bool) -> None:
    if as_json:
        print_json({"stream_id": entry, **event})
    else:
        click.echo(line(event))
