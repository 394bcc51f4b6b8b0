from typing import Any

import click
import pytest

from sfmc_import.cli.output import seconds
from sfmc_import.events import line


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"), (0, "0 s"), (59.6, "60 s"), (119, "119 s"), (150, "2 min"), (3600, "1 h"), (12000, "3 h 20 min"),
        (90000, "1 d 1 h"), (172800, "2 d"),
    ],
)  # fmt: skip
def test_a_time_has_the_units_that_fit_it(value: float | None, text: str) -> None:
    assert seconds(value) == text


def event(name: str, **data: Any) -> dict[str, Any]:
    return {"type": f"sfmc.import.{name}", "subject": "Daily", "time": "2026-11-22T01:02:03.004Z", "data": data}


def shown(name: str, **data: Any) -> str:
    return click.unstyle(line(event(name, **data)))


def test_an_event_is_one_line() -> None:
    text = shown("completed", file={"name": "a.csv"}, task_id="7", rows_total=10, rows_successful=9, rows_failed=1)

    assert text.split("  ")[0] == "2026-11-22 01:02:03"
    assert text.endswith("Daily                 a.csv  Task.ID 7  10 rows, 9 ok, 1 failed")


def test_an_event_without_particulars_is_a_short_line() -> None:
    assert shown("accepted", file=None) == "2026-11-22 01:02:03  accepted               Daily"


def test_an_event_of_an_unknown_kind_is_shown_too() -> None:
    assert "unrouted" in shown("unrouted", why="no route")
