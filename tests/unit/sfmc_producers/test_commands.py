import contextlib
import json

import click
import pytest
from structlog.testing import capture_logs

from sfmc_import.client import SubmitResult
from sfmc_producers import watch
from sfmc_producers.commands import Printer, check_folders, read_folder
from sfmc_producers.reporting import Reporter
from sfmc_producers.stability import StabilityRule

USUAL = {"mid": "1", "key": None, "pattern": "*.csv", "location": None}


def folder(given, **usual):
    return read_folder(given, USUAL | usual, StabilityRule(), recursive=False)


def test_a_folder_takes_the_options_of_the_command_and_its_path_as_its_place():
    read = folder("/data/eu")

    assert (str(read.path), read.location, read.mid, read.key, read.pattern) == (
        "/data/eu",
        "/data/eu",
        "1",
        None,
        "*.csv",
    )


def test_options_behind_the_path_are_for_this_folder_alone():
    read = folder("/data/eu,mid=7,key=a=b,c,pattern=x*,location=drop", key="theirs")

    assert (str(read.path), read.location, read.mid, read.key, read.pattern) == ("/data/eu", "drop", "7", "a=b,c", "x*")


def test_a_comma_in_a_path_is_part_of_it():
    assert str(folder("/data/a,b=c,mid").path) == "/data/a,b=c,mid"


def test_one_folder_under_two_names_is_refused_unless_one_name_stands_for_both(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    spelled = [folder(str(tmp_path / name)) for name in ("real", "link")]

    with pytest.raises(click.UsageError, match="are the same folder; give it once"):
        check_folders(spelled, 5.0)


def test_the_place_of_a_relative_path_is_absolute_and_keeps_links(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with contextlib.chdir(tmp_path):
        location = folder("link/").location

    assert location == f"{tmp_path}/link"


def test_an_error_in_a_scan_is_logged_and_ends_that_scan_only():
    def scan():
        raise RuntimeError("never seen before")

    with capture_logs() as logs:
        assert watch._scan(scan) is None
    assert [(each["event"], each["log_level"]) for each in logs] == [("scan_failed", "error")]


def event(name, **data):
    return {"type": f"sfmc.import.{name}", "data": {"request_id": "r1", **data}}


def test_an_import_that_completed_but_not_as_expected_is_no_success_and_says_what_came(capsys):
    unexpected = {"expected": {"min_rows": 10}, "found": {"rows": 3}}
    code = Printer(as_json=False).follow([event("completed_suspicious", rows_total=3, **unexpected)], "r1", None)

    assert code == 1
    assert capsys.readouterr().out.splitlines() == [
        (
            "completed_suspicious, expected min_rows 10, found rows 3, 3 rows, request r1; look at the file and at the"
            " run; if the file was wrong, replay the right one by force: sfmc-import replay r1 --force --reason TEXT"
        ),
        "request r1: completed, but not as expected (completed_suspicious)",
    ]


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
    assert Printer(as_json=False, clock=iter([5.0, 35.0]).__next__).follow([event("deferred")], "r1", 30) == 1
    assert "no end within 30 s; how it goes on: sfmc-import show r1" in capsys.readouterr().out


@pytest.mark.parametrize("within", [None, 30])
def test_where_the_events_end_before_the_time_they_have_left_the_stream(within, capsys):
    assert Printer(as_json=False, clock=iter([5.0, 34.9]).__next__).follow([event("deferred")], "r1", within) == 1
    assert "its last events are no longer in the stream; how it stands: sfmc-import show" in capsys.readouterr().out


def test_with_json_standard_output_has_the_result_and_the_events_alone(capsys):
    printer, events = Printer(as_json=True), [event("accepted"), event("completed")]
    printer.show_result(SubmitResult(request_id="r1", is_new=True), "k", None)
    printer.follow(events, "r1", None)

    printed = capsys.readouterr()
    result = {"request_id": "r1", "customer_key": "k", "is_new": True, "workers": None, "beats": None}
    assert [json.loads(line) for line in printed.out.splitlines()] == [result, *events]
    assert printed.err == "request r1: completed (completed)\n"


def test_a_defect_in_the_report_of_the_folders_is_counted_and_logged_ever_more_rarely():
    class Broken:
        def note_folders(self, *_):
            raise RuntimeError("never seen before")

        def read_old_lists(self):
            pass

    reporter = Reporter(Broken(), lambda: "new", lambda _: [], lambda: 0.0)
    with capture_logs() as logs:
        for _ in range(5):
            reporter.tell()

    assert {each["event"] for each in logs} == {"watcher_report_failed"}
    assert [each["failures"] for each in logs] == [1, 2, 4]
