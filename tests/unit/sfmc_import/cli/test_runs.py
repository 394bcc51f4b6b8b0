"""The runs that have ended, as lines, CSV and Parquet: in pages, with texts that steer nothing."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pyarrow import parquet

from sfmc_import.cli.main import cli
from sfmc_import.cli.runs import lines_of, pages
from sfmc_import.cli.runs_parquet import write_parquet
from sfmc_import.cli.runs_written import write_csv, write_jsonl, write_table
from sfmc_import.operations.runs import RunPage, RunView


def run_of(number: int, **more: Any) -> RunView:
    fields: dict[str, Any] = dict.fromkeys(RunView.model_fields)
    fields |= {"ended_at": f"2026-03-01T06:00:{number:02}.000Z", "outcome": "completed", "mid": "510001234"}
    fields |= {"customer_key": "Daily_Orders", "request_id": f"r{number}", "task_id": str(number)}
    return RunView(**fields | {"file": "orders.csv", "rows_total": 10, "rows_successful": 9, "rows_failed": 1} | more)


class Operations:
    """Gives pages in turn, by cursor."""

    def __init__(self, *found: list[RunView]) -> None:
        self.found = found
        self.cursors: list[str | None] = []

    def runs(self, _since: Any, cursor: str | None, _limit: int) -> RunPage:
        self.cursors.append(cursor)
        number = int(cursor or 0)
        following = str(number + 1) if number + 1 < len(self.found) else None
        return RunPage(items=self.found[number], next=following)


def test_pages_are_asked_for_one_after_another_until_there_is_no_next() -> None:
    operations: Any = Operations([run_of(1)], [], [run_of(2)])

    assert [[run.request_id for run in page] for page in pages(operations, None)] == [["r1"], [], ["r2"]]
    assert operations.cursors == [None, "1", "2"]


def test_a_run_fits_into_60_columns() -> None:
    run = run_of(1, outcome="completed_with_errors", customer_key="k" * 36, task_id="1234567890", file="f" * 58)

    assert list(lines_of(run)) == [
        "2026-03-01 06:00:01 UTC  completed_with_errors",
        f"  {'k' * 36}  Task 1234567890",
        f"  {'f' * 58}",
        "  10 rows, 9 ok, 1 failed",
    ]
    assert max(map(len, lines_of(run))) <= 60


@pytest.mark.parametrize(
    ("name", "shown"),
    [("=cmd()", "'=cmd()"), ("-1.csv", "'-1.csv"), ("a\nb,c", "a\\nb,c"), ("\u202egnp.csv", "\\u202egnp.csv")],
)
def test_csv_has_no_cell_that_a_spreadsheet_runs_and_no_line_within_one(name: str, shown: str) -> None:
    output = io.BytesIO()
    write_csv([[run_of(1, file=name)], []], output)
    [row] = csv.DictReader(io.StringIO(output.getvalue().decode()))

    assert (row["file"], row["rows_total"], row["source"]) == (shown, "10", "")
    assert list(row) == list(RunView.model_fields)


def test_jsonl_and_text_have_a_line_for_each_run() -> None:
    as_json, as_text = io.BytesIO(), io.BytesIO()
    write_jsonl([[run_of(1), run_of(2)]], as_json)
    write_table([[run_of(1, file="a\nb")]], as_text)

    assert [RunView.model_validate_json(line).request_id for line in as_json.getvalue().splitlines()] == ["r1", "r2"]
    assert as_text.getvalue() == b"2026-03-01T06:00:01  completed  Daily_Orders  a\\nb  10\n"


def test_parquet_has_typed_columns_and_a_group_of_rows_for_each_page(tmp_path: Path) -> None:
    with (tmp_path / "runs.parquet").open("wb") as file:
        write_parquet([[run_of(1), run_of(2, rows_total=None)], [], [run_of(3)]], file)
    found = parquet.ParquetFile(tmp_path / "runs.parquet")

    assert found.num_row_groups == 2
    assert found.read().column("rows_total").to_pylist() == [10, None, 10]
    assert str(found.schema_arrow.field("ended_at").type) == "timestamp[ms, tz=UTC]"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [(("--since", "soon"), "is no time"), (("--format", "xml"), "is not one of"), (("--output",), "requires")],
)
def test_wrong_use_is_said(words: tuple[str, ...], complaint: str) -> None:
    done = CliRunner().invoke(cli, ["runs", *words])

    assert (done.exit_code, complaint in done.output) == (2, True)


def test_json_with_another_format_is_refused() -> None:
    answer = CliRunner().invoke(cli, ["runs", "--json", "--format", "csv"])

    assert answer.exit_code == 2
    assert "leave out --json or --format csv" in answer.output
