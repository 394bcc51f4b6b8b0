"""Questions that fail, or have no answer, are one line for a business unit: since when, whom they hold, what next."""

from datetime import UTC, datetime
from typing import Any

import pytest

from sfmc_import.cli.overview import trouble_line
from sfmc_import.operations.absent import BY_THEMSELVES
from sfmc_import.operations.fixing import fix_for
from sfmc_import.operations.in_trouble import LONG_SECONDS, Alike
from sfmc_import.operations.open_circuits import OpenCircuit, WorksAgain
from sfmc_import.operations.troubles import (
    LINES,
    LOOK_AT_RUNS,
    NO_REQUEST_TRIED,
    WHAT_COMES_WAITS,
    TroubleView,
    sorted_out,
)
from sfmc_import.operations.views import RequestView, WorkerView, request_view
from sfmc_import.waiting import NOT_FOUND_OUT, REASONS, TAKEN, UNANSWERED, waiting_of

NOW = 1_800_000_000.0
MID = "510001234"


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(NOW + seconds, UTC)


def error(code: str, ago: float = 1.0, since: float = 300.0) -> dict[str, Any]:
    return {"code": code, "text": "no", "at": (NOW - ago) * 1000, "since": (NOW - since) * 1000}


def view(key: str = "Orders", **record: Any) -> RequestView:
    known = {"state": "retrying", "mid": MID, "customer_key": key, "since": NOW - 300, "attempt": 1} | record
    return request_view(f"r-{key}", known, waiting_of(known, NOW + 5))


def backoff(code: str, key: str = "Orders", **more: Any) -> RequestView:
    waits = {"waits_because": "backoff", "waits_since": NOW - 290, "last_error": error(code)}
    return view(key, **waits | {"retry_until": NOW + 600} | more)


def troubles(*views: RequestView) -> tuple[TroubleView, ...]:
    return sorted_out(views, (), "oauth", NOW)


@pytest.mark.parametrize(
    "code", ["read_timeout", "http_status", "http_denied", "server_fault", "2", "13", "99", "refused"]
)
def test_questions_before_a_start_that_fail_are_a_trouble_that_names_the_definitions(code: str) -> None:
    found = troubles(backoff(code), backoff(code, "Prices", retry_until=NOW + 60))
    (trouble,) = found
    line = trouble_line(trouble, NOW)

    assert (trouble.reason, trouble.codes, trouble.since) == ("backoff", (code,), at(-300))
    assert (trouble.requests, trouble.customer_keys) == (2, ("Orders", "Prices"))
    assert "It holds 2 requests, of Orders, Prices; if nothing changes" in line
    assert f"the first ends as gave_up by {at(60):%Y-%m-%d %H:%M:%S} UTC." in line
    assert fix_for(code, "oauth").startswith("wait:") or fix_for(code, "oauth") in line


def test_it_counts_and_names_those_that_one_request_stands_for() -> None:
    alike = {"r-Orders": Alike(30, frozenset({"Orders", "Kinds"}))}
    (trouble,) = sorted_out([backoff("13"), backoff("13", "Prices")], (), "oauth", NOW, alike)

    assert (trouble.requests, trouble.customer_keys) == (32, ("Kinds", "Orders", "Prices"))


def test_what_failed_and_waits_for_a_limit_of_ours_now_is_held_by_what_failed() -> None:
    limited = {"waits_because": "rate_limited", "waits_since": NOW - 1, "last_error": error("13")}
    (trouble,) = troubles(backoff("13"), view("Prices", **limited))

    assert (trouble.reason, trouble.codes, trouble.requests) == ("backoff", ("13",), 2)
    assert troubles(view(**limited | {"last_error": error("43010")})) == ()


def test_of_more_requests_than_were_looked_at_it_says_so() -> None:
    (trouble,) = troubles(backoff("13"))
    among_many = trouble.model_copy(update={"looked_at": 1000})

    assert among_many.affected.startswith("It holds 1 request of the 1,000 that are due next, of Orders")


def test_its_begin_is_that_of_the_code_and_what_failed_first_stands_beside_it() -> None:
    failed = error("http_503", since=20) | {"first_code": "13", "first_at": (NOW - 3600) * 1000}
    waits = {"waits_because": "circuit_open", "waits_since": NOW - 3600, "last_error": failed}
    (trouble,) = troubles(view(**waits))

    assert (trouble.since, trouble.codes) == (at(-20), ("http_503",))
    assert trouble.text.endswith(f" Before that calls failed with code 13, first at {at(-3600):%Y-%m-%d %H:%M:%S} UTC.")


def test_what_fails_with_another_code_is_a_line_of_its_own_with_its_begin_and_its_advice() -> None:
    busy = backoff("13", last_error=error("13", since=900))
    first, second = troubles(backoff("http_status", "Prices"), busy)

    assert [(each.codes, each.since) for each in (first, second)] == [(("13",), at(-900)), (("http_status",), at(-300))]
    assert first.advice == BY_THEMSELVES
    assert fix_for("http_status", "oauth") in second.advice


def test_of_many_codes_the_newest_share_the_last_line() -> None:
    codes = ("13", "http_status", "read_timeout", "reset", "dns", "tls", "2")
    found = troubles(
        *(backoff(code, f"K{at}", last_error=error(code, since=900.0 - at)) for at, code in enumerate(codes))
    )

    assert [each.codes for each in found] == [*((code,) for code in codes[: LINES - 1]), codes[LINES - 1 :]]
    assert sum(each.requests for each in found) == len(codes)


def test_requests_that_one_circuit_holds_are_one_line_whatever_failed_for_them_before() -> None:
    held = [
        view(key, waits_because="circuit_open", waits_since=NOW - 5, last_error=error(code))
        for key, code in (("Orders", "9"), ("Prices", "10"))
    ]
    (trouble,) = sorted_out(held, [OpenCircuit(code="10", since=NOW - 9, until=NOW + 9)], "oauth", NOW)

    assert (trouble.requests, trouble.codes) == (2, ("10", "9"))


@pytest.mark.parametrize("code", ["43010", "other_definition", "nothing_started", "missing_row", "worker_lost"])
def test_a_wait_that_is_the_requests_own_is_none(code: str) -> None:
    assert troubles(backoff(code)) == ()


def test_many_definitions_are_named_in_part() -> None:
    (trouble,) = troubles(*(backoff("http_status", f"K{number}") for number in range(7)))

    assert "7 requests, of K0, K1, K2, K3, K4 and others" in trouble.affected


def test_it_stays_while_the_next_attempt_and_the_wait_for_a_worker_before_it_last() -> None:
    failed = {"waited": "backoff", "waited_since": NOW - 290, "last_error": error("http_status")}
    queued = view(**failed, waits_because="queued", waits_since=NOW - 1)
    attempt = view("Prices", **failed, state="starting")
    (trouble,) = troubles(queued, attempt)

    assert (trouble.reason, trouble.requests, trouble.since) == ("backoff", 2, at(-300))


def test_a_run_that_cannot_be_looked_for_is_one_and_a_start_that_failed_is_none() -> None:
    record = {
        "state": "reconciling",
        "waits_because": "reconciling",
        "reconcile_until": NOW + 60,
        "waits_since": NOW - 99,
    }
    started = view(**record, last_error=error("reset", ago=300))
    (trouble,) = troubles(started, view("Prices", **record, last_error=error("http_status", ago=20)))

    assert (trouble.reason, trouble.codes, trouble.text) == ("reconciling", ("http_status",), NOT_FOUND_OUT)
    assert trouble.customer_keys == ("Prices",)
    assert f"it ends as start_unknown by {at(60):%Y-%m-%d %H:%M:%S} UTC" in trouble.affected


def test_starts_that_the_whole_account_fails_with_are_a_trouble_while_their_runs_are_looked_for() -> None:
    record = {"last_error": error("http_503", ago=300)}
    looked_for = view(**record, state="reconciling", waits_because="reconciling", reconcile_until=NOW + 60)
    (trouble,) = troubles(looked_for, view("Prices", **record, state="starting", attempt=2, waited="reconciling"))

    assert (trouble.reason, trouble.codes, trouble.requests) == ("reconciling", ("http_503",), 2)
    assert trouble.text == REASONS["reconciling"]


def test_a_throttle_of_the_account_is_said_once_with_the_requests_that_meet_it() -> None:
    throttled = view(waits_because="rate_limited", waits_since=NOW - 5, last_error=error("17"))
    (trouble,) = sorted_out([throttled], [OpenCircuit(code="17", since=NOW - 9, until=NOW + 9)], "oauth", NOW)

    assert (trouble.mid, trouble.reason, trouble.requests) == (MID, "rate_limited", 1)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("redis_unsure", "ledger_down"),
        ("redis_unsure", "writes_lost"),
        ("rate_limited", "17"),
        ("rate_limited", "budget"),
    ],
)
def test_what_holds_every_request_names_those_whose_next_attempt_or_its_worker_is_waited_for(
    reason: str, code: str
) -> None:
    failed = {"last_error": error(code, since=90.0)}
    before = {"waited": reason, "waited_since": NOW - 90}
    waits = view("Waits", waits_because=reason, waits_since=NOW - 80, **failed)
    queued = view("Queued", waits_because="queued", waits_since=NOW - 1, **before, **failed)
    attempt = view("Tried", state="starting", since=NOW - 1, **before, **failed)
    (trouble,) = troubles(waits, queued, attempt)

    assert (trouble.reason, trouble.codes, trouble.since) == (reason, (code,), at(-90))
    assert (trouble.requests, trouble.customer_keys) == (3, ("Queued", "Tried", "Waits"))
    for each in (queued, attempt):
        assert [(one.reason, one.since) for one in troubles(each)] == [(reason, at(-90))]


def test_an_attempt_that_lasts_has_passed_what_held_every_request_and_waits_for_an_answer() -> None:
    failed = {"waited": "rate_limited", "waited_since": NOW - 90, "last_error": error("17")}
    (trouble,) = troubles(view(state="starting", since=NOW - LONG_SECONDS, **failed))

    assert trouble.reason == "no_answer"


def test_a_throttle_that_one_request_met_and_for_which_another_was_held_is_one_line() -> None:
    met = view("Met", waits_because="rate_limited", waits_since=NOW - 9, last_error=error("17", since=9))
    held = view("Held", waits_because="circuit_open", waits_since=NOW - 5, last_error=error("17", since=5))
    circuit = OpenCircuit(code="17", since=NOW - 9, until=NOW + 9)
    (trouble,) = sorted_out([met, held], [circuit], "oauth", NOW)

    assert (trouble.reason, trouble.requests, trouble.since) == ("rate_limited", 2, at(-9))
    assert trouble.text == "Marketing Cloud limits the calls of the account."


def test_a_request_whose_circuit_no_process_tries_has_no_next_try_and_does_not_say_that_calls_fail() -> None:
    held = view(waits_because="circuit_open", waits_since=NOW - 99, last_error=error("login_failed"))
    dead = OpenCircuit(mid=MID, is_of_login=True, code="login_failed", since=NOW - 99, until=NOW - 60, is_untried=True)
    (trouble,) = sorted_out([held], [dead], "oauth", NOW)

    assert (trouble.text, trouble.until) == (NO_REQUEST_TRIED, None)


def test_a_request_that_is_overdue_and_whose_circuit_is_forgotten_does_not_say_that_calls_fail() -> None:
    held = view(waits_because="circuit_open", waits_since=NOW - 99, last_error=error("login_failed"))
    (due,), (overdue,) = (sorted_out([held], (), "oauth", NOW + later) for later in (10, 60))

    assert due.text.startswith("A login to Marketing Cloud does not work.")
    assert (overdue.text, overdue.until) == (NO_REQUEST_TRIED, None)


@pytest.mark.parametrize(
    ("code", "still_open", "works"),
    [
        ("9", set(), True),
        ("9", {(MID, True)}, True),
        ("9", {("", False)}, False),
        ("login_failed", set(), False),
        ("circuit_open", {(MID, True)}, False),
        ("circuit_open", {("7", True)}, True),
        ("13", set(), False),
    ],
)
def test_calls_work_again_where_the_circuit_of_the_failure_has_closed_since_and_none_of_its_kind_is_open(
    code: str, still_open: set[tuple[str, bool]], works: bool
) -> None:
    found = WorksAgain(closed=((("", False), NOW),), still_open=frozenset(still_open))

    assert found.since(MID, code, NOW - 1) == (NOW if works else None)
    assert found.since(MID, code, NOW + 1) is None


def test_a_circuit_that_runs_wait_for_is_not_said_to_be_met_by_none() -> None:
    run = view(state="started", waits_because="following", last_error=error("login_failed"), follow_until=NOW + 60)
    circuit = OpenCircuit(mid=MID, code="login_failed", since=NOW - 9, until=NOW + 9)
    of_circuit, of_run = sorted_out([run], [circuit], "oauth", NOW)

    assert (of_circuit.text.endswith(WHAT_COMES_WAITS), of_run.reason) == (True, "following")
    assert f" Next try at {at(9):%H:%M:%S} UTC. " in trouble_line(of_circuit, NOW)
    assert "Next try" not in trouble_line(of_circuit, NOW + 60)


def test_a_run_with_an_odd_status_has_one_advice() -> None:
    odd = view(state="started", waits_because="following", import_status="Paused", follow_until=NOW + 60)
    (trouble,) = troubles(odd)

    assert trouble.advice == f"To do: {LOOK_AT_RUNS}."


def asked(key: str, seconds: float, **more: Any) -> RequestView:
    """A request whose definition is read since so many seconds."""
    record = {"state": "accepted", "waits_because": "queued", "resolving_until": NOW + 60, "polled_at": NOW - seconds}
    return view(key, **record | more)


def test_what_is_not_answered_for_long_is_said_before_anything_has_failed() -> None:
    reading = asked("Orders", 40.0)
    starting = view("Prices", state="starting", since=NOW - 50)
    fresh = (asked("New", LONG_SECONDS - 1), view("Newer", state="starting", since=NOW - 2))
    (trouble,) = troubles(reading, starting, *fresh)
    line = trouble_line(trouble, NOW)

    assert reading.waiting is not None
    assert reading.waiting.text.startswith(f"{TAKEN} It is asked since ")
    assert (trouble.reason, trouble.since, trouble.text) == ("no_answer", at(-50), UNANSWERED)
    assert trouble.customer_keys == ("Orders", "Prices")
    assert line.startswith(f"business unit {MID}: no_answer for 50 s (code -): Marketing Cloud does not answer")
    assert f"To do: {fix_for('read_timeout', '')}." in line
    assert trouble.asked_for == {"list": "unfinished"}


def test_a_run_that_is_asked_for_without_an_answer_counts_as_a_run() -> None:
    record = {"state": "started", "waits_because": "following", "resolving_until": NOW + 60, "follow_until": NOW + 9}
    (trouble,) = troubles(view(**record, polled_at=NOW - 45))

    assert (trouble.reason, trouble.runs, trouble.text) == ("following", 1, UNANSWERED)
    assert troubles(view(**record, polled_at=NOW - 5)) == ()


def test_of_a_request_whose_worker_is_gone_no_answer_is_expected() -> None:
    gone = WorkerView(is_gone=True, text="Its worker is gone.")

    assert troubles(asked("Orders", 40.0).model_copy(update={"worker": gone})) == ()
