"""The commands `watch` and `start`: their options and help. What they need is imported when they run."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sfmc_import.cli.completing import complete_key
from sfmc_import.cli.output import SecondsRange, examples, json_option
from sfmc_producers.stability import IGNORED_NAMES

if TYPE_CHECKING:
    from sfmc_import.settings.policy_file import Tables

# Imports inside the commands keep `sfmc-import --help` fast: Celery, zeep and structlog take half a second.


@click.command(epilog=f"Ignored names: {' '.join(IGNORED_NAMES)}")
@click.argument("folders", metavar="DIR…", nargs=-1, required=True)
@click.option("--mid", metavar="MID", help="MID of the business unit of these files.  [default: SFMC_ACCOUNT_ID]")
@click.option("--key", metavar="KEY", help="Start this definition for every file; no routing.")
@click.option("--pattern", metavar="GLOB", default="*", show_default=True, help="Only files with such a name.")
@click.option(
    "--location",
    metavar="NAME",
    help="Name that stands for the folder in the identity of its files.  [default: its path]",
)
@click.option("--recursive", is_flag=True, help="Include subfolders (but not links to folders).")
@click.option(
    "--stable-seconds",
    metavar="SECONDS",
    type=SecondsRange(min=0),
    help="A file is complete when its size and times did not change for this long."
    "  [default: 10; on a network file system 60]",
)
@click.option(
    "--scans",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    help="Size and times must also be the same in this many scans.",
)
@click.option(
    "--rescan",
    metavar="SECONDS",
    type=SecondsRange(min=0.1),
    default=5.0,
    show_default=True,
    help="Most seconds between two scans; file notifications start a scan earlier.",
)
@click.option(
    "--hanging-after",
    metavar="SECONDS",
    type=SecondsRange(min=0.1),
    default=30.0,
    show_default=True,
    help="Report a folder whose file system does not answer for this long.",
)
@click.option(
    "--marker", metavar="SUFFIX", help="A file is complete only when its marker file exists: .done means x.csv.done."
)
@click.option("--temporary", metavar="GLOB", multiple=True, help="Further names to ignore; may be given several times.")
@click.option(
    "--complete", metavar="GLOB", multiple=True, help="Names not to ignore (see below); may be given several times."
)
@click.option(
    "--open-files",
    type=click.Choice(["wait", "run"]),
    default="wait",
    show_default=True,
    help="Local files that a program has open for writing: wait until it closes them, or start the import.",
)
@click.option(
    "--empty",
    type=click.Choice(["skip", "run"]),
    default="skip",
    show_default=True,
    help="Empty files: skip with a warning, or start the import.",
)
@click.option("--json", "as_json", is_flag=True, help="Log JSON lines, also on a terminal.")
def watch(folders: tuple[str, ...], **options: Any) -> None:
    """Watch folders and submit a request for each file that arrives.

    When a file is complete, its definition is started: that of --key, else that of the first route of the policy
    file that matches, else the one definition whose FileSpec matches the name today. If no definition or several
    definitions match, nothing is started, and an event and a log line say so.

    A folder can have its own options: '/data/eu,mid=510001234,key=contacts'. Possible are mid, key, pattern and
    location.

    A file is complete when its size and times stay the same: 10 seconds, on a network file system 60 (NFS, SMB,
    sshfs and others, on Linux recognised by type). A file that a program has open for writing is not complete;
    Linux tells this about local files of the same user, and to root about all. Best is a writer that renames its
    file when it is done, or a marker file (--marker).

    Files that are in a folder at the start are submitted too. A file with the same location, name, size,
    modification time and content is imported once, also after a restart and with several watchers. This is
    remembered for SFMC_REQUEST_TTL (30 days): move files away before that. The command changes nothing in the
    folders. A link to a file counts as the file.

    Each DIR has a thread of its own: one that does not answer keeps no other waiting, so give each mount a DIR of
    its own. One that cannot be read is waited for. `sfmc-import status` shows files and folders that wait, with why.

    Names of incomplete and of handled files are ignored, in upper or lower case; see the end of this page.

    To stop it, press Ctrl-C or send SIGTERM. Exit code: 0 stopped by SIGTERM, 130 Ctrl-C, 2 usage or settings error.
    """
    from sfmc_producers.commands import run_watch  # noqa: PLC0415 - start-up cost, see above

    run_watch(folders, **options)


@click.command()
@click.argument("customer_key", metavar="[KEY]", required=False, shell_complete=complete_key)
@click.option("--object-id", metavar="GUID", help="Name the ImportDefinition by its ObjectID.")
@click.option(
    "--file",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="The file to import; the request is for this content.",
)
@click.option("--mid", metavar="MID", help="MID of the business unit.  [default: SFMC_ACCOUNT_ID]")
@click.option("--force", is_flag=True, help="Start although the window is closed; needs --reason.")
@click.option("--reason", metavar="TEXT", help="Why; stored with the request.")
@click.option("--event-id", metavar="ID", help="Id of the event that is the cause: the same id starts one import.")
@click.option(
    "--request-id",
    metavar="ID",
    help="An id of your own: the same command with the same id is one request, so it can be given again when it"
    " failed. Over the API it is the Idempotency-Key.  [default: a new id]",
)
@click.option("--wait", is_flag=True, help="Wait for the end; exit code 0 only if the import completed.")
@click.option("--timeout", metavar="SECONDS", type=SecondsRange(min=0), help="With --wait: wait at most this long.")
@click.option("--record-only", is_flag=True, help="Exit code 0 also while no worker or no beat runs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines: the request, and with --wait each event.")
def start(
    customer_key: str | None,
    *,
    object_id: str | None,
    wait: bool,
    timeout: float | None,
    force: bool,
    reason: str | None,
    record_only: bool,
    as_json: bool,
    **what: Any,
) -> None:
    """Submit a request to start the ImportDefinition with the external key KEY, or with the ObjectID of --object-id.

    The command ends when the request is recorded. The request then ends with exactly one final event, also if
    processes die. With --file a second request for the same content is a duplicate. Without --file a request
    inside the window (MaxImportFrequency) is a duplicate. A duplicate of a request that then comes to nothing is
    taken up; --wait waits until that is known.

    If no worker or no beat runs, the request is kept until one does; the command says so and ends with 1, unless
    --record-only is given.

    Exit code: 0 recorded (with --wait: the import completed), 1 not recorded, or no worker or beat runs (with
    --wait: not completed in time), 2 usage or settings error.
    """
    from sfmc_producers.commands import run_start  # noqa: PLC0415 - start-up cost, see above

    what |= {"customer_key": customer_key, "object_id": object_id, "force": force, "reason": reason}
    _require_complete(what)
    run_start(wait=wait, timeout=timeout, record_only=record_only, as_json=as_json, **what)


def _require_complete(what: Mapping[str, Any]) -> None:
    if what["force"] and not what["reason"]:
        raise click.UsageError("--force needs --reason TEXT: why the window does not count")
    if not (what["customer_key"] or what["object_id"]):
        raise click.UsageError("no ImportDefinition: give its external key, or --object-id GUID")


@click.command(
    epilog=examples("sfmc-import source drop", "sfmc-import source drop events --json"), short_help="Run sources."
)
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@json_option
def source(names: tuple[str, ...], *, as_json: bool) -> None:
    """Run sources of the policy file until SIGTERM: each submits a request for every file that arrives.

    A source lets go of an arrival (acknowledges, deletes the message, moves the file) only after its request is
    recorded. One that is refused (a wrong password, an unknown host key) stops and says so; the others go on.

    Exit code: 0 stopped by SIGTERM, 130 Ctrl-C, 1 every source was refused, 2 usage or settings error.
    """
    from sfmc_producers.sources.commands import run_named  # noqa: PLC0415

    run_named(names, as_json=as_json)


@click.command(epilog=examples("sfmc-import sources"), short_help="Run all sources.")
@json_option
def sources(*, as_json: bool) -> None:
    """Run all sources of the policy file in one process, until SIGTERM; see `sfmc-import source --help`."""
    from sfmc_producers.sources.commands import run_named  # noqa: PLC0415

    run_named((), as_json=as_json)


@click.command(
    epilog=examples(
        "sfmc-import scan arrivals --dry-run", "sfmc-import scan arrivals --since 2d", "sfmc-import scan drop --json"
    ),
    short_help="Submit what lies in a source.",
)
@click.argument("source", metavar="SOURCE")
@click.option(
    "--since",
    metavar="TIME|AGE",
    help="Only files changed since then: 2026-03-01T06:00 (UTC), 6h, 2d.  [default: as long as the ledger remembers]",
)
@click.option("--dry-run", is_flag=True, help="Say what would be submitted, and submit nothing.")
@json_option
def scan(source: str, *, since: str | None, dry_run: bool, as_json: bool) -> None:
    """List a source of the policy file once, and submit a request for each complete file that has none yet.

    What an event missed is found so. A file has the identity that its events give it: with a request it is known, and
    a second scan submits nothing new. The line scan_every of the source does the same from time to time.

    The ledger remembers files for SFMC_SEEN_TTL and SFMC_REQUEST_TTL (30 days). Older files are left out and counted,
    unless --since says otherwise: they could be imported again. A file whose time is not known is not old.

    A file whose route delivers is delivered first; the command waits until that is done. One that cannot be delivered
    now is said to be waiting.

    Prints a line for each new request, and at the end the numbers. With --dry-run the ledger and Marketing Cloud are
    only read.

    Exit code: 0, 1 the source, Redis, the list of definitions or a target does not answer (run it again),
    2 usage or settings error, or a source that cannot be listed.
    """
    from sfmc_producers.sources.questions import run_scan  # noqa: PLC0415

    run_scan(source, since=since, dry_run=dry_run, as_json=as_json)


@click.command(
    epilog=examples(
        "sfmc-import explain /data/arrivals/orders_1.csv --source arrivals",
        "sfmc-import explain event.json --source drop --json",
        "sfmc-import explain orders_2.csv",
    ),
    short_help="Say what a file would start.",
)
@click.argument("given", metavar="FILE|EVENT.json")
@click.option("--source", metavar="NAME", help="As if it came from this source of the policy file.")
@click.option("--mid", metavar="MID", help="Without --source: MID of its business unit.  [default: SFMC_ACCOUNT_ID]")
@json_option
def explain(given: str, *, source: str | None, mid: str | None, as_json: bool) -> None:
    """Say what a file or an event would start, and why; it does nothing.

    Each rule up to the first that matches is shown with the reason why it does not: the routes of the source, the
    routes of all, then FileSpec. Then the definition, and what the ledger would decide now: start, duplicate of a
    request, wait until a time or the end of a request and why, or reject. A file that is empty, may still grow, is open
    for writing or has no marker yet waits for that first: what is here is looked at, else what its watcher said last.

    FILE may be the path of a file that is not here: then its name alone counts. EVENT.json is an event as the source
    gets it; without --source, the arguments of imports.start.

    The decision is said from one look at Redis, by the rules of the ledger; nothing is reserved. The ledger itself
    decides when a worker takes the request: what others submit or start until then changes it. Outages, retries, and
    requests that are accepted and not yet decided are not foreseen.

    Exit code: 0, 1 Redis does not answer, 2 usage or settings error.
    """
    from sfmc_producers.sources.questions import run_explain  # noqa: PLC0415

    run_explain(given, source=source, mid=mid, as_json=as_json)


def wrong_lines(tables: "Tables") -> list[str]:
    """Say what is wrong in the lines of all sources and targets, for `doctor`."""
    from sfmc_producers.sources.kinds import KINDS  # noqa: PLC0415 - as in the commands
    from sfmc_producers.sources.tables import problems_in  # noqa: PLC0415 - as above

    return problems_in(lambda _: True, KINDS)(tables)
