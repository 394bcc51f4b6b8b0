import json

import pytest

from sfmc_import.client import SubmitResult
from sfmc_producers.commands import Printer


def event(name, **data):
    return {"type": f"sfmc.import.{name}", "data": {"request_id": "r1", **data}}


@pytest.mark.parametrize("name", ["completed", "completed_with_errors", "completed_empty"])
def test_an_import_that_completed_is_success_and_the_closing_line_says_how(name, capsys):
    code = Printer(as_json=False).follow([event("accepted"), event(name, rows_total=3)], "r1", None)

    assert code == 0
    assert capsys.readouterr().out.splitlines() == [
        "accepted",
        f"{name}, 3 rows",
        f"request r1: completed ({name})",
    ]


@pytest.mark.parametrize(
    "name", ["duplicate", "rejected", "gave_up", "start_unknown", "import_failed", "follow_timed_out"]
)
def test_any_other_end_is_failure(name, capsys):
    assert Printer(as_json=False).follow([event(name, text="so it is")], "r1", None) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{name}, so it is")
    assert last == f"request r1: not completed ({name})"


def test_no_end_in_time_is_failure_and_says_that_the_request_continues(capsys):
    assert Printer(as_json=False).follow([event("deferred")], "r1", 30) == 1
    assert "no end within 30 s; it continues, see: sfmc-import status --request r1" in capsys.readouterr().out


def test_with_json_standard_output_has_the_result_and_the_events_alone(capsys):
    printer, events = Printer(as_json=True), [event("accepted"), event("completed")]
    printer.show_result(SubmitResult(request_id="r1", is_new=True), "k", None)
    printer.follow(events, "r1", None)

    printed = capsys.readouterr()
    result = {"request_id": "r1", "customer_key": "k", "is_new": True, "workers": None, "beats": None}
    assert [json.loads(line) for line in printed.out.splitlines()] == [result, *events]
    assert printed.err == "request r1: completed (completed)\n"
