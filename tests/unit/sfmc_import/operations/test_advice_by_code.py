"""Each code of a failure has its advice, whatever it keeps from going on, in the lines of every command."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sfmc_import.cli.doctor_folders import check_folders
from sfmc_import.cli.doctor_starts import NO_WORKER, unanswered
from sfmc_import.cli.folder_lines import alarm_lines
from sfmc_import.cli.overview import trouble_line
from sfmc_import.cli.requests_shown import request_lines, table_lines
from sfmc_import.operations.fixing import FIXES, OTHER, advice_for, fix_for
from sfmc_import.operations.folders import sorted_out
from sfmc_import.operations.requests import advised
from sfmc_import.operations.troubles import sorted_out as troubles_of
from sfmc_import.operations.views import FolderView, RequestView, WorkerView, request_view
from sfmc_import.waiting import NO_FAILURE, waiting_of
from tests.support.fault_codes import fault_codes

NOW = 1_800_000_000.0
AT = datetime.fromtimestamp(NOW, UTC)
STATES: dict[str, dict[str, Any]] = {
    "a start": {"state": "retrying", "waits_because": "backoff", "retry_until": NOW + 60},
    "an attempt": {"state": "starting", "attempt": 2, "waited": "backoff", "waited_since": NOW - 5},
    "a look": {"state": "reconciling", "waits_because": "reconciling", "reconcile_until": NOW + 60},
    "a run": {"state": "started", "waits_because": "following", "follow_until": NOW + 60},
}


def request(state: str, code: str) -> RequestView:
    error = {"code": code, "text": "no", "at": NOW * 1000 - 1000}
    record = STATES[state] | {"last_error": error, "since": NOW - 9, "mid": "5", "customer_key": "K"}
    return advised(request_view("r", record, waiting_of(record, NOW + 5)), "oauth")


@pytest.mark.parametrize("reason", sorted(NO_FAILURE - {"paused"}))
def test_a_wait_that_is_no_failure_has_the_failure_before_it_as_past_and_no_advice_about_it(reason: str) -> None:
    error = {"code": "token_unavailable", "text": "no", "at": NOW * 1000 - 9000, "since": NOW * 1000 - 60_000}
    record = {"state": "deferred", "last_error": error, "since": NOW - 9, "mid": "5", "customer_key": "K"}
    for state in (
        {"waits_because": reason, "waits_since": NOW - 5},
        {"state": "accepted", "waits_because": "queued", "waited": reason},
        {"state": "starting", "attempt": 2, "waited": reason},
    ):
        view = advised(request_view("r", record | state, waiting_of(record | state, NOW + 5)), "oauth")
        now = view.waiting or view.attempting

        assert (now is not None and now.last_error is not None and now.last_error.is_past, view.advice) == (True, None)
        for text in (texts(request_lines(view, NOW)), texts(table_lines(view, NOW))):
            assert ("SFMC_AUTH_URL" in text, "since 0" in text, "fails since" in text) == (False, False, False)


def test_a_pause_that_a_retry_met_does_not_fail_since_the_outage_before_it() -> None:
    error = {"code": "paused", "text": "night", "at": NOW * 1000 - 9000, "since": NOW * 1000 - 60_000}
    record = {"state": "retrying", "waits_because": "paused", "last_error": error, "mid": "5", "customer_key": "K"}
    view = request_view("r", record, waiting_of(record, NOW + 5))

    assert (view.waiting is not None and view.waiting.last_error is not None) is True
    assert "fails since" not in texts(request_lines(view, NOW))


def folder(code: str) -> FolderView:
    file = {"name": "a.csv", "reason": "unavailable", "since": NOW, "text": "no", "code": code}
    said = {"folder": "/in", "location": "/in", "state": "watched", "files": [file], "more": 0}
    (found,) = sorted_out([{"watcher": "h:1:x", "seen_at": NOW, "folders": [said]}], (), NOW)
    return found


def texts(lines: Iterator[Any]) -> str:
    return " ".join(map(str, lines))


@pytest.mark.parametrize("state", STATES)
def test_a_request_says_in_each_state_what_helps_against_each_code(state: str) -> None:
    for code in [*fault_codes(), "999"]:
        view, fix = request(state, code), fix_for(code, "oauth")

        assert (code, str(view.advice).startswith(fix)) == (code, True)
        assert f"  to do    {fix}" in texts(request_lines(view, NOW))
        assert f"    to do: {fix}" in texts(table_lines(view, NOW))


def test_a_folder_says_what_helps_against_each_code() -> None:
    for code in [*fault_codes(), "999", "redis", ""]:
        view, fix = folder(code), fix_for(code, "")
        [finding] = check_folders([view])

        assert (code, str(view.advice).startswith(fix), finding.fix.startswith(fix)) == (code, True, True)
        assert f"; to do: {fix}" in texts(alarm_lines([view]))


def test_runs_that_cannot_be_asked_for_say_what_helps() -> None:
    for code in fault_codes():
        (found,) = troubles_of([request("a run", code)], {}, "oauth")
        fix = fix_for(code, "oauth")

        assert fix.startswith("wait:") or f"To do: {fix}." in trouble_line(found, NOW)


def test_a_code_that_is_not_documented_has_a_text_of_its_own() -> None:
    assert (fix_for("999", ""), set(FIXES.values()) & {"", OTHER}) == (OTHER, set())


def test_files_that_wait_for_a_full_redis_do_not_go_on_by_themselves() -> None:
    assert str(folder("redis").advice).startswith("let Redis take writes again")
    assert str(folder("redis").advice).endswith("the files go on by themselves after that")


def test_a_further_attempt_and_the_wait_for_a_worker_before_it_keep_the_deadline() -> None:
    record = STATES["an attempt"] | {"retry_until": NOW + 60, "mid": "5", "customer_key": "K"}
    queued = record | {"state": "retrying", "waits_because": "queued"}
    under_way = request_view("r", record, None).attempting
    between = request_view("r", queued, waiting_of(queued, NOW)).waiting

    assert under_way is not None
    assert between is not None
    assert under_way.deadline == between.deadline == datetime.fromtimestamp(NOW + 60, UTC)
    assert (under_way.then, between.then) == ("gave_up", "gave_up")
    line = "  deadline 2027-01-15 08:01:00 UTC (in 60 s), then gave_up"
    assert any(str(each).startswith(line) for each in request_lines(request_view("r", record, None), NOW))


def test_a_deadline_that_is_past_is_said_as_past() -> None:
    view = request("a look", "reset")
    [long] = [line for line in request_lines(view, NOW + 62) if "deadline" in str(line)]
    [short] = [line for line in table_lines(view, NOW + 62) if "deadline" in str(line)]

    assert long == "  deadline 2027-01-15 08:01:00 UTC (2 s ago), start_unknown as soon as a worker decides"
    assert short == "    deadline 01-15 08:01:00 UTC (past), start_unknown as soon as a worker decides"


def test_doctor_warns_of_a_start_without_an_answer_for_long() -> None:
    record = STATES["an attempt"] | {"attempt": 1, "since": NOW - 91, "mid": "5", "customer_key": "K", "sent": True}
    late, fresh = request_view("r", record, None), request_view("s", record | {"since": NOW - 5}, None)

    assert [*unanswered([fresh], NOW)] == []
    [finding] = unanswered([late, fresh], NOW)
    [without] = unanswered([late, fresh], NOW, ("no worker runs: nothing starts; start sfmc-import worker",))
    assert (without.fix or "").startswith("start sfmc-import worker")
    assert (finding.level, finding.text) == ("warn", "1 start has had no answer for 91 s: sfmc-import status has them")


def test_doctor_says_of_a_worker_that_is_gone_that_its_requests_go_on() -> None:
    record = STATES["an attempt"] | {"attempt": 1, "since": NOW - 91, "mid": "5", "customer_key": "K", "sent": True}
    gone = WorkerView(is_gone=True, text="Its worker is gone. Another worker takes the request up at once.")
    lost = request_view("r", record, None).model_copy(update={"worker": gone})
    [finding] = unanswered([lost], NOW)
    [without] = unanswered([lost], NOW, ("no worker runs: nothing starts; start sfmc-import worker",))

    assert finding.text == f"1 request has a worker that is gone: {gone.text}"
    assert (finding.fix.startswith("nothing for the requests"), without.fix) == (True, NO_WORKER)


def test_nothing_is_said_to_go_on_after_a_report() -> None:
    assert "after that" not in str(request("a start", "http_400").advice) + advice_for(("http_400",))
