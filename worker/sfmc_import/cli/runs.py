"""`sfmc-import runs`: lists the runs that have ended, for people, spreadsheets and programs."""

import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal

import click

from sfmc_import.cli import runs_written
from sfmc_import.cli.opening import open_operations
from sfmc_import.cli.output import examples, json_option, print_json, print_line
from sfmc_import.cli.times import read_since
from sfmc_import.errors import SfmcImportError, extra_needed
from sfmc_import.operations.protocol import Operations
from sfmc_import.operations.runs import RunPage, RunView
from sfmc_import.private_files import open_private

PAGE = 500
Form = Literal["table", "csv", "jsonl", "parquet"]


@click.command(
    epilog=examples(
        "sfmc-import runs --since 1d",
        "sfmc-import runs --since 2026-03-01 --format csv >runs.csv",
        "sfmc-import runs --format parquet --output runs.parquet",
    )
)
@click.option(
    "--since",
    metavar="TIME|AGE",
    help="Only runs that ended since then: 2026-03-01T06:00 (UTC), 6h, 2d.  [default: as far as the events go back]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "jsonl", "parquet"]),
    help="For people, spreadsheets, programs, or data tools.  [default: table]",
)
@click.option("--output", metavar="PATH", type=click.Path(path_type=Path), help="Write a file, for this user alone.")
@json_option
def runs(*, since: str | None, form: Form | None, output: Path | None, as_json: bool) -> None:
    """List the runs that have ended, oldest first: when, how, which definition and file, how many rows.

    They are read from the stream of events, in pages: a long list needs no more memory than a short one. --json is
    the same as --format jsonl. In csv a text that begins with = + - or @ has a ' before it, so that no spreadsheet
    runs it. parquet needs pyarrow: pip install 'sfmc-import[parquet]'.

    Exit code: 0, 1 Redis does not answer or the file cannot be written, 2 wrong use.
    """
    if as_json and form not in {None, "jsonl"}:
        raise click.UsageError(f"--json is --format jsonl: leave out --json or --format {form}")
    form = "jsonl" if as_json else form or "table"
    if since is not None:
        # What is wrong in it is said before anything is asked; an age counts from the time of Redis.
        read_since(since, time.time())
    if form == "parquet" and output is None and sys.stdout.isatty():
        raise click.UsageError("parquet is no text: give --output PATH, or redirect the output")
    with open_operations() as operations:
        begin = None if since is None else datetime.fromtimestamp(read_since(since, operations.now()), UTC)
        found = pages(operations, begin)
        if output is not None:
            _write_file(found, form, output)
        elif form in {"csv", "parquet"}:
            _write(found, form, sys.stdout.buffer)
        else:
            _print(found, as_json=form == "jsonl")


def pages(operations: Operations, since: datetime | None) -> Iterator[list[RunView]]:
    """Yield the runs, a page at a time."""
    cursor: str | None = None
    while True:
        page: RunPage = operations.runs(since, cursor, PAGE)
        yield page.items
        if page.next in {None, cursor}:
            return
        cursor = page.next


def _print(found: Iterator[list[RunView]], *, as_json: bool) -> None:
    count = 0
    for run in (run for page in found for run in page):
        count += 1
        if as_json:
            print_json(run.model_dump(mode="json"))
            continue
        for line in lines_of(run):
            print_line(line)
    if not as_json:
        print_line("1 run" if count == 1 else f"{count} runs")


def lines_of(run: RunView) -> Iterator[str]:
    """Give a run as an entry of a list: when and how, which definition and file, which rows."""
    task = "" if run.task_id is None else f"  Task {run.task_id}"
    yield f"{run.ended_at[:19].replace('T', ' ')} UTC  {run.outcome}"
    yield f"  {run.customer_key}{task}"
    if run.file is not None:
        yield f"  {run.file}"
    if run.rows_total is not None:
        yield f"  {run.rows_total} rows, {run.rows_successful or 0} ok, {run.rows_failed or 0} failed"


def _write_file(found: Iterator[list[RunView]], form: Form, output: Path) -> None:
    try:
        with os.fdopen(open_private(output), "wb") as file:
            file.truncate()
            _write(found, form, file)
    except OSError as error:
        raise SfmcImportError(f"{output} cannot be written: {error.strerror or error}") from error


def _write(found: Iterator[list[RunView]], form: Form, output: BinaryIO) -> None:
    if form == "parquet":
        with extra_needed("runs --format parquet", "parquet"):
            from sfmc_import.cli.runs_parquet import write_parquet  # noqa: PLC0415 - an extra
        write_parquet(found, output)
    else:
        write = {"csv": runs_written.write_csv, "jsonl": runs_written.write_jsonl, "table": runs_written.write_table}
        write[form](found, output)
