"""The commands `watch` and `start`; their words only, for everything they need is imported when one of them runs."""

from pathlib import Path
from typing import Any

import click

# Imports inside the commands keep `sfmc-import --help` fast: Celery, zeep and structlog take half a second.


@click.command()
@click.argument("folders", metavar="DIR…", nargs=-1, required=True)
@click.option("--mid", metavar="MID", help="Business unit of these files.  [default: SFMC_ACCOUNT_ID]")
@click.option("--key", metavar="KEY", help="Start this definition for every file, without routing.")
@click.option("--pattern", metavar="GLOB", default="*", show_default=True, help="Look at these file names only.")
@click.option(
    "--location", metavar="NAME", help="Name of the folder in the identity of its files.  [default: its path]"
)
@click.option("--recursive", is_flag=True, help="Look into subfolders too (never through links).")
@click.option(
    "--stable-seconds",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    help="A file is finished when size and time stamp stayed the same for so long.",
)
@click.option(
    "--looks",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="…and in at least so many looks.",
)
@click.option(
    "--rescan",
    metavar="SECONDS",
    type=click.FloatRange(min=0.1),
    default=5.0,
    show_default=True,
    help="Most seconds between two looks; notifications of the system only make them earlier.",
)
@click.option("--done-suffix", metavar="SUFFIX", help="A file waits for its marker: .done for x.csv.done.")
@click.option("--temporary", metavar="GLOB", multiple=True, help="More names of unfinished files; may be repeated.")
@click.option(
    "--empty",
    type=click.Choice(["skip", "run"]),
    default="skip",
    show_default=True,
    help="Files without a byte: pass over with a warning, or start the import.",
)
@click.option("--json", "as_json", is_flag=True, help="Log as JSON lines also on a terminal.")
def watch(folders: tuple[str, ...], **options: Any) -> None:
    """Watch folders and announce each file that arrives.

    A file that has settled starts the definition that it is for: that of --key, else of the first matching route
    of the policy file, else of the one definition whose FileSpec names the file today. When none or several do,
    the file starts nothing, and an event and a log line say so.

    A folder can have options of its own: '/data/eu,mid=510001234,key=contacts'. The names are mid, key, pattern
    and location.

    Files that are there already are announced too. The ledger takes each file once (same place, name, size and
    time stamp), also after a restart and from several watchers, for as long as SFMC_REQUEST_TTL says (30 days):
    move files away before that. Nothing in the folders is ever changed. A link to a file counts as that file.

    Names that never count: *.part *.partial *.tmp *.filepart *.crdownload *.swp *~ ~* and those with a leading dot.

    SIGTERM and Ctrl-C end it in good order. Exit code: 0 ended by a signal, 2 something given is not usable.
    """
    from sfmc_producers.commands import run_watch  # noqa: PLC0415 - start-up cost, see above

    run_watch(folders, **options)


@click.command()
@click.argument("customer_key", metavar="KEY")
@click.option("--file", metavar="PATH", type=click.Path(path_type=Path), help="The file that is the reason.")
@click.option("--mid", metavar="MID", help="Business unit.  [default: SFMC_ACCOUNT_ID]")
@click.option("--force", is_flag=True, help="Start although the window is not over; needs --reason.")
@click.option("--reason", metavar="TEXT", help="Why; kept with the request.")
@click.option("--event-id", metavar="ID", help="Id of the event that asks for it: the same id starts once.")
@click.option("--wait", is_flag=True, help="Follow to the end; exit code 0 only if the import completed.")
@click.option("--timeout", metavar="SECONDS", type=click.FloatRange(min=0), help="With --wait: follow so long at most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines: the receipt, with --wait then each event.")
def start(
    customer_key: str,
    *,
    wait: bool,
    timeout: float | None,
    force: bool,
    reason: str | None,
    as_json: bool,
    **what: Any,
) -> None:
    """Start the ImportDefinition with the external key KEY.

    Returns when the request is in the ledger: from then on it ends in exactly one terminal event, whatever dies in
    between. With --file a second start for the same content is a duplicate; without it, a start inside the window
    (MaxImportFrequency) is.

    Exit code: 0 recorded (with --wait: the import completed), 1 it did not complete or nothing could be recorded,
    2 something given is not usable.
    """
    from sfmc_producers.commands import run_start  # noqa: PLC0415 - start-up cost, see above

    if force and not reason:
        raise click.UsageError("--force needs --reason: say why the window does not count")
    run_start(customer_key, wait=wait, timeout=timeout, force=force, reason=reason, as_json=as_json, **what)
