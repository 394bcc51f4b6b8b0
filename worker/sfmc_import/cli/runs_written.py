"""Writes runs as CSV, as JSON lines and as text."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from sfmc_import.display import one_line
from sfmc_import.operations.runs import RunView

COLUMNS = tuple(RunView.model_fields)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""

Pages = Iterable[list[RunView]]


def write_csv(pages: Pages, output: BinaryIO) -> None:
    """Write one line for each run, below one with the names."""
    text = io.TextIOWrapper(output, encoding="utf-8", newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for run in _each(pages):
        rows.writerow([_cell(getattr(run, name)) for name in COLUMNS])
    text.flush()
    text.detach()


def write_jsonl(pages: Pages, output: BinaryIO) -> None:
    """Write one JSON document for each run."""
    output.writelines(json.dumps(run.model_dump(mode="json")).encode() + b"\n" for run in _each(pages))


def write_table(pages: Pages, output: BinaryIO) -> None:
    """Write one line of text for each run, with a dash for what is not known."""
    for run in _each(pages):
        rows = None if run.rows_total is None else str(run.rows_total)
        parts = (each or "-" for each in (run.ended_at[:19], run.outcome, run.customer_key, run.file, rows))
        output.write(one_line("  ".join(parts)).encode(errors="backslashreplace") + b"\n")


def _each(pages: Pages) -> Iterator[RunView]:
    return (run for page in pages for run in page)


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return "" if value is None else value
    shown = one_line(value)
    return f"'{shown}" if shown.startswith(FORMULA) else shown
