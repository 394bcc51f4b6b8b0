"""`status --failures` and `--unfinished` go through all pages, and say how many there are."""

import json
from typing import Any

import click
import pytest

from sfmc_import.cli.request_lists import print_list
from sfmc_import.operations.listing import RequestPage
from tests.unit.sfmc_import.cli.test_tables import request


class Pages:
    """Operations that have so many requests, two on a page."""

    def __init__(self, count: int, hint: str | None = None) -> None:
        self._ids, self._hint, self.asked = [f"r{number}" for number in range(count)], hint, list[dict[str, Any]]()

    def now(self) -> float:
        return 0.0

    def requests(self, **query: Any) -> RequestPage:
        self.asked.append(query)
        begin = int(query["cursor"] or 0)
        items = [request("gave_up", request_id=each) for each in self._ids[begin : begin + 2]]
        return RequestPage(items=items, next=str(begin + 2) if items else None, hint=self._hint)


def test_all_pages_are_printed_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    operations: Any = Pages(3)
    print_list(operations, "failures", "orders", "7", as_json=False)
    printed = capsys.readouterr().out.splitlines()

    assert [line.split()[-1] for line in printed if line.startswith("    request ")] == ["r0", "r1", "r2"]
    assert printed[-1] == "ended badly: 3"
    assert {name: operations.asked[0][name] for name in ("list", "customer_key", "mid")} == {
        "list": "failures", "customer_key": "orders", "mid": "7",
    }  # fmt: skip


def test_with_json_each_request_is_a_line_and_nothing_else_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    operations: Any = Pages(3)
    print_list(operations, "unfinished", None, None, as_json=True)

    found = [json.loads(line)["request_id"] for line in capsys.readouterr().out.splitlines()]
    assert found == ["r0", "r1", "r2"]


def test_a_business_unit_that_nothing_knows_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    operations: Any = Pages(0, "no business unit 77 is known here")
    with pytest.raises(click.ClickException, match="no business unit 77 is known here"):
        print_list(operations, "failures", None, "77", as_json=False)
    assert capsys.readouterr().out == ""
