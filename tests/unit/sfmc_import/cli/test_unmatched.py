"""Files that start nothing are counted and listed once, until they become a request."""

from typing import Any

from sfmc_import.cli.unmatched import unmatched_lines
from sfmc_import.operations.status import unmatched_view
from sfmc_import.operations.unmatched import unmatched_files


def event(name: str, file: str | None, version: str = "1", **data: Any) -> dict[str, Any]:
    named = None if file is None else {"name": file, "location": "/in", "fingerprint": f"{file}-{version}"}
    about = {"file": named, "mid": "7", "text": "no route", "customer_keys": [], **data}
    return {"type": f"sfmc.import.{name}", "time": "2026-03-01T06:00:00.123Z", "subject": file, "data": about}


def names(*oldest_first: dict[str, Any]) -> list[str]:
    return [each.fingerprint for each in unmatched_files(reversed(oldest_first))]


def test_each_file_is_listed_once_newest_first() -> None:
    assert names(event("unrouted", "a"), event("unrouted", "b"), event("ambiguous_route", "a")) == ["a-1", "b-1"]


def test_a_file_that_became_a_request_later_is_not_listed() -> None:
    assert names(event("unrouted", "a"), event("accepted", "a"), event("completed", "a")) == []
    assert names(event("accepted", "a"), event("unrouted", "a")) == ["a-1"]


def test_other_content_of_the_same_name_is_another_file() -> None:
    assert names(event("unrouted", "a"), event("accepted", "a", "2")) == ["a-1"]


def test_events_without_a_file_are_passed_over() -> None:
    assert names(event("accepted", None), event("message_rejected", None), event("unrouted", "a")) == ["a-1"]


def test_the_newest_are_shown_and_all_are_counted() -> None:
    found = unmatched_files(event("unrouted", f"{number}.csv") for number in range(3))
    about = unmatched_view(found, 2)
    lines = unmatched_lines(about)

    assert (about.count, [each.name for each in about.unmatched]) == (3, ["0.csv", "1.csv"])
    assert lines[0] == "3 files without a definition, among the last 50000 events"
    assert lines[1] == "  2026-03-01 06:00:00 UTC  /in/0.csv  no route"
    assert lines[3] == "  and 1 more: sfmc-import status --unmatched --last 3"


def test_of_very_many_files_no_command_is_named_that_would_be_refused() -> None:
    found = unmatched_files(event("unrouted", f"{number}.csv") for number in range(700))

    assert unmatched_lines(unmatched_view(found, 10))[-2] == "  and 690 more: sfmc-import status --unmatched --last 500"
    assert unmatched_lines(unmatched_view(found, 500))[-2] == "  and 200 more, which the console lists"


def test_definitions_that_a_file_nearly_names_are_shown() -> None:
    found = unmatched_files([event("unrouted", "a", customer_keys=["x", "y"], reason="date_differs")])

    assert (found[0].reason, unmatched_lines(unmatched_view(found, 1))[1][-6:]) == ("date_differs", "(x, y)")
    assert unmatched_lines(unmatched_view([], 1)) == ["0 files without a definition, among the last 50000 events"]
