"""Lists of requests fit into 60 columns, and say what ended badly before what comes next."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sfmc_import.cli.overview import trouble_line, whole_lines
from sfmc_import.cli.requests_shown import pause_line, request_lines, short_error_lines, table_lines
from sfmc_import.cli.unmatched import unmatched_lines
from sfmc_import.ends import advice_for_end
from sfmc_import.operations.broker import BrokerView, sentence
from sfmc_import.operations.open_circuits import OpenCircuit
from sfmc_import.operations.status import StatusView, UnmatchedFileView, UnmatchedView
from sfmc_import.operations.troubles import TroubleView, sorted_out
from sfmc_import.operations.views import (
    AttemptView,
    FileView,
    LastError,
    PauseView,
    RequestView,
    WaitingView,
    WorkerView,
)
from sfmc_import.redis_errors import trouble
from sfmc_import.settings import load
from sfmc_import.waiting import REASONS

BY_ITSELF = "Requests go on by themselves."
NOW = datetime(2026, 3, 1, 6, tzinfo=UTC)


def request(state: str, **more: Any) -> RequestView:
    fields: dict[str, Any] = dict.fromkeys(("accepted_at", "since", "waiting"))
    fields |= {"request_id": "0199f3a2-4c1d-7e0b-9a57-6f1f4c7d8e90", "mid": "510001234", "customer_key": "K" * 36}
    fields |= {"state": state, "is_finished": False, "attempt": 0, "next": [], "file": FileView(name="orders.csv")}
    return RequestView(**fields | more)


def test_a_budget_that_is_used_up_leads_to_the_command_that_shows_the_calls() -> None:
    found = TroubleView(mid="5", reason="rate_limited", text="It waits.", since=None, codes=("budget",), advice="Wait.")

    assert trouble_line(found, NOW.timestamp()).endswith("It waits. Wait. See: sfmc-import usage")


def waiting(until: datetime | None) -> WaitingView:
    fields: dict[str, Any] = dict.fromkeys(("since", "held_by", "last_error"))
    return WaitingView(reason="single_flight", text="", until=until, attempts=0, **fields)


def overview(failures: list[RequestView], due: list[RequestView], circuits: Sequence[OpenCircuit] = ()) -> StatusView:
    counts = dict.fromkeys(
        ("unfinished", "overdue", "events", "queued", "in_flight", "dead_letters", "workers", "beats"), 1
    )
    lists: dict[str, Any] = {"paused": [], "failures": failures, "next": due, "watchers": []}
    return StatusView(redis="redis://r", now=NOW, troubles=sorted_out(due, circuits, "oauth"), **counts, **lists)


def test_an_entry_fits_into_60_columns_and_says_why_and_until_when() -> None:
    found = list(
        table_lines(request("deferred", waiting=waiting(datetime(2026, 3, 4, 7, tzinfo=UTC))), NOW.timestamp())
    )

    assert found[1] == "    single_flight until 03-04 07:00 UTC (in 3 d 1 h)"
    assert found[2:] == ["    orders.csv", "    request 0199f3a2-4c1d-7e0b-9a57-6f1f4c7d8e90"]
    assert max(map(len, found)) <= 60
    due = request("retrying", waiting=waiting(NOW), file=None)
    assert list(table_lines(due, NOW.timestamp()))[1] == "    single_flight (due now)"


def test_rows_of_several_business_units_name_theirs_and_others_do_not() -> None:
    other = request("rejected", mid="9" * 19)
    alone = "\n".join(map(str, whole_lines(overview([request("rejected")], [request("retrying")]))))
    mixed = [str(each) for each in whole_lines(overview([other], [request("retrying")]))]
    named = [each for each in mixed if "business unit" in each]

    assert "business unit" not in alone
    assert named == [f"    business unit {'9' * 19}", "    business unit 510001234"]
    assert max(map(len, named)) <= 60


def test_unmatched_files_of_several_business_units_name_theirs() -> None:
    def file(mid: str) -> UnmatchedFileView:
        texts = {
            "name": "a.csv",
            "location": "/in",
            "fingerprint": mid,
            "since": "",
            "reason": "no_match",
            "text": "none",
        }
        return UnmatchedFileView(**texts, customer_keys=[], mid=mid)

    alone, mixed = ([file(mid) for mid in mids] for mids in ("11", "12"))
    lines = [unmatched_lines(UnmatchedView(count=2, unmatched=each))[1:3] for each in (alone, mixed)]

    assert ["business unit" in str(each) for each in lines[0]] == [False, False]
    assert [str(each).rpartition(", ")[2] for each in lines[1]] == ["business unit 1", "business unit 2"]


def test_an_entry_of_a_list_says_since_when_and_which_error_and_what_helps() -> None:
    error = LastError(code="http_503", text="HTTP 503 " * 100, at=NOW)
    since = datetime(2026, 3, 1, 5, tzinfo=UTC)
    waits = waiting(None).model_copy(update={"since": since, "last_error": error})
    found = list(table_lines(request("retrying", waiting=waits), NOW.timestamp()))
    ended = list(table_lines(request("gave_up", since=since, is_finished=True, next=["replay"]), NOW.timestamp()))

    assert found[2] == "    since 2026-03-01 05:00:00 UTC (1 h ago)"
    assert found[3].startswith("    error http_503: HTTP 503 ")
    assert len(found[3]) < 250
    assert ended[1] == "    since 2026-03-01 05:00:00 UTC (1 h ago)"
    assert ended[-1] == "    next: sfmc-import replay 0199f3a2-4c1d-7e0b-9a57-6f1f4c7d8e90"


def test_a_request_says_since_when_it_waits_and_when_it_failed_last() -> None:
    error = LastError(code="9", text="in maintenance", at=NOW)
    waits = waiting(NOW).model_copy(update={"since": datetime(2026, 3, 1, 5, tzinfo=UTC), "last_error": error})
    found = list(request_lines(request("retrying", waiting=waits), NOW.timestamp()))

    assert "  since    2026-03-01 05:00:00 UTC (1 h ago)" in found
    assert "  error    9: in maintenance, 2026-03-01 06:00:00 UTC (0 s ago)" in found


def test_what_fails_again_and_again_says_when_it_failed_last_and_since_when() -> None:
    begin = NOW - timedelta(minutes=5)
    error = LastError(code="9", text="in maintenance", at=NOW - timedelta(seconds=3), since=begin)
    once = error.model_copy(update={"since": error.at})
    waits = waiting(NOW).model_copy(update={"last_error": error})
    whole, entry = (
        [*map(str, lines(request("started", waiting=waits), NOW.timestamp()))] for lines in (request_lines, table_lines)
    )

    since = "; it fails since 2026-03-01 05:55:00 UTC"
    assert f"  error    9: in maintenance, 2026-03-01 05:59:57 UTC (3 s ago){since}" in whole
    assert "    failed 3 s ago, since 03-01 05:55:00 UTC" in entry
    assert [*short_error_lines(once, NOW.timestamp())][1] == "    failed 3 s ago"


def test_what_ended_badly_stands_before_what_is_due_next() -> None:
    failed = request("gave_up", why_ended="code 9, in maintenance")
    lines = list(whole_lines(overview([failed], [request("deferred")])))

    assert "    why: code 9, in maintenance" in lines
    assert lines.index("ended badly:") < lines.index("due next:")
    assert "  list them with: sfmc-import dead-letters" in lines


def test_each_list_says_how_many_more_there_are_and_which_command_lists_them() -> None:
    whole = overview([request("gave_up")], [request("deferred")]).model_copy(
        update={"failed": 78, "unfinished": 20_000}
    )
    lines = list(whole_lines(whole))

    assert lines[lines.index("due next:") - 1] == "  and 77 more: sfmc-import status --failures"
    assert lines[-1] == "  and 19999 more: sfmc-import status --unfinished"
    all_shown = whole.model_copy(update={"failed": 1, "unfinished": 1})
    assert not any("more" in str(each) for each in whole_lines(all_shown))


def test_an_outage_of_a_business_unit_is_said_once_with_its_beginning_and_its_code() -> None:
    error = LastError(code="http_503", text="HTTP 503", at=NOW)
    since = [datetime(2026, 3, 1, hour, tzinfo=UTC) for hour in (4, 5)]
    errors = [error.model_copy(update={"since": at}) for at in since]
    waits = [waiting(NOW).model_copy(update={"reason": "circuit_open", "last_error": each}) for each in errors]
    whole = overview([], [request("retrying", waiting=each) for each in waits])

    said = f"  business unit 510001234: circuit_open for 2 h (code http_503): {REASONS['circuit_open']} {BY_ITSELF}"
    hit = f"It holds 2 requests, of {'K' * 36}."
    assert [each for each in whole_lines(whole) if "business unit" in str(each)] == [f"{said} {hit}"]


def lines_of_trouble(code: str, *circuits: OpenCircuit, since: datetime = NOW) -> list[str]:
    error = LastError(code=code, text="no", at=NOW)
    held = waiting(NOW).model_copy(update={"reason": "circuit_open", "since": since, "last_error": error})
    whole = overview([], [request("retrying", waiting=held)], circuits)
    return [str(each) for each in whole_lines(whole) if "business unit" in str(each)]


def test_an_outage_is_as_old_as_its_circuit_and_has_the_code_of_what_failed_and_what_to_do() -> None:
    begun = (NOW - timedelta(hours=3)).timestamp()
    for mid in ("510001234", ""):
        circuit = OpenCircuit(mid=mid, code="login_failed", since=begun, until=1)
        (line,) = lines_of_trouble("circuit_open", circuit)
        assert "circuit_open for 3 h (code login_failed)" in line
        assert "To do: check SFMC_CLIENT_ID" in line
        assert "Requests go on by themselves after that. It holds 1 request" in line
    other, line = lines_of_trouble("circuit_open", OpenCircuit(mid="7", code="login_failed", since=begun, until=1))
    assert ("business unit 7: " in other, "(code circuit_open)" in line) == (True, True)


def test_an_outage_names_the_process_and_the_login_that_failed_and_no_other_one() -> None:
    mine = OpenCircuit(mid="510001234", is_of_login=True, code="login_failed", by="client id abcd… of the worker h:1")
    other = OpenCircuit(mid="510001234", is_of_login=True, code="token_refused", by="the watcher h:2")
    of_other, line = lines_of_trouble("login_failed", other, mine)

    assert ("h:2" in of_other, "h:2" in line) == (True, False)
    assert "It failed for client id abcd… of the worker h:1. To do: check SFMC_CLIENT_ID" in line
    assert "then restart the worker h:1, and every other process that has another login: workers, beats" in line
    assert "h:2" not in lines_of_trouble("9", other)[-1]


def test_an_outage_is_no_older_than_its_circuit_though_something_else_held_its_requests_before() -> None:
    begun = (NOW - timedelta(seconds=12)).timestamp()
    circuit = OpenCircuit(mid="510001234", code="token_unavailable", since=begun, until=1)
    (line,) = lines_of_trouble("circuit_open", circuit, since=NOW - timedelta(hours=1))

    assert "circuit_open for 12 s (code token_unavailable)" in line


def test_a_circuit_that_no_request_has_met_is_said_with_its_begin_whose_it_is_and_what_to_do() -> None:
    begun = (NOW - timedelta(minutes=3)).timestamp()
    circuits = [
        OpenCircuit(mid="", code="9", text="In maintenance.", since=begun),
        OpenCircuit(mid="7", is_of_login=True, code="login_failed", text="no", by="the watcher h:2", since=begun),
    ]
    everywhere, one = (str(each) for each in whole_lines(overview([], [], circuits)) if "circuit_open" in str(each))

    assert everywhere.startswith("  all business units: circuit_open for 3 min (code 9): Calls to Marketing Cloud")
    assert ": In maintenance. No request waits for it yet: what comes will" in everywhere
    assert one.startswith("  business unit 7: circuit_open for 3 min (code login_failed): Calls with one login fail")
    assert "It failed for the watcher h:2." in one
    assert "To do: check SFMC_CLIENT_ID" in one


def test_a_circuit_that_no_process_tries_is_no_cause_of_an_outage() -> None:
    dead = OpenCircuit(mid="510001234", is_of_login=True, code="login_failed", by="the worker h:1", is_untried=True)
    lines = lines_of_trouble("circuit_open", dead)

    assert not any("h:1" in line for line in lines)
    assert [line for line in lines if "(code circuit_open)" in line]
    [untried] = [line for line in lines if "(code login_failed)" in line]
    assert "Calls with one login failed. No process has tried again since its pause ended" in untried


def test_an_outage_of_one_login_is_not_said_of_the_whole_account() -> None:
    for code in ("login_failed", "12", "token_refused", "http_refused"):
        (line,) = lines_of_trouble(code)
        assert "A login to Marketing Cloud does not work. A process with another login goes on, and" in line
    assert "the whole account." in lines_of_trouble("9")[0]


def test_an_outage_names_the_processes_of_each_login_that_failed() -> None:
    first, second = (
        OpenCircuit(mid="510001234", is_of_login=True, code="login_failed", since=since, by=by)
        for since, by in ((NOW.timestamp() - 60, "user abcd… of the worker h:1"), (NOW.timestamp() - 3600, "b h:2"))
    )
    (line,) = lines_of_trouble("login_failed", first, second)

    assert "circuit_open for 1 h" in line
    assert "It failed for user abcd… of the worker h:1, b h:2. To do" in line


def test_a_request_says_how_its_file_was_named_at_arrival_where_a_delivery_gave_it_another_name() -> None:
    renamed = request("completed", file=FileView(name="orders.csv", arrived_as="o_1.csv"))

    assert list(request_lines(renamed, NOW.timestamp()))[2:4] == ["  file     orders.csv", "  arrived  o_1.csv"]
    assert not any("arrived" in str(each) for each in request_lines(request("completed"), NOW.timestamp()))


@pytest.mark.parametrize(
    ("state", "code", "advice"),
    [
        ("rejected", "11", "give the installed package the right"),
        ("rejected", "never seen", "correct what Marketing Cloud or the text names"),
        ("rejected", None, "correct what Marketing Cloud or the text names"),
        ("import_failed", None, "correct the file or the definition"),
        ("start_unknown", "reset", "look in Marketing Cloud"),
        ("completed", None, None),
    ],
)
def test_a_bad_end_says_what_to_do(state: str, code: str | None, advice: str | None) -> None:
    found = advice_for_end(state, code)
    assert found is None if advice is None else (found or "").startswith(advice)
    lines = [str(each) for each in table_lines(request(state).model_copy(update={"advice": found}), 0.0)]
    assert any(line.startswith("    to do: ") for line in lines) is (advice is not None)


def test_a_request_that_ended_badly_says_why_and_what_to_do() -> None:
    ended = request("gave_up", is_finished=True, why_ended="code 9, in maintenance", advice="replay it")

    assert list(request_lines(ended, NOW.timestamp()))[-2:] == [
        "  why      code 9, in maintenance",
        "  to do    replay it",
    ]


def test_a_further_attempt_that_is_under_way_shows_the_wait_before_it_and_what_failed() -> None:
    since, error = NOW - timedelta(seconds=20), LastError(code="read_timeout", text="no answer", at=NOW)
    under_way = AttemptView(number=3, since=since, waited="backoff", waited_since=since, last_error=error)
    view = request("starting", attempting=under_way)
    bare = request("starting", attempting=AttemptView(**dict.fromkeys(AttemptView.model_fields) | {"number": 2}))

    assert [line for line in request_lines(view, NOW.timestamp()) if "under way" in line or "waited" in line] == [
        "  attempt  3 is under way since 2026-03-01 05:59:40 UTC (20 s ago)",
        "  waited   backoff since 2026-03-01 05:59:40 UTC (20 s ago)",
    ]
    assert "  error    read_timeout: no answer, 2026-03-01 06:00:00 UTC (0 s ago)" in [
        *request_lines(view, NOW.timestamp())
    ]
    assert [*table_lines(view, NOW.timestamp())][1:4] == [
        "    attempt 3 is under way",
        "    backoff since 2026-03-01 05:59:40 UTC (20 s ago)",
        "    error read_timeout: no answer",
    ]
    assert "  attempt  2 is under way" in [*request_lines(bare, NOW.timestamp())]
    assert [*table_lines(bare, NOW.timestamp())][1] == "    attempt 2 is under way"


def test_a_run_that_cannot_be_asked_for_and_one_with_an_odd_status_are_troubles() -> None:
    error = LastError(code="read_timeout", text="no answer", at=NOW, since=NOW - timedelta(minutes=5))
    wait = waiting(NOW).model_copy(update={"reason": "following", "since": NOW - timedelta(hours=5)})
    failing = request("started", waiting=wait.model_copy(update={"last_error": error}))
    well = request("started", waiting=wait, import_status="Processing")
    odd = request("started", waiting=wait, import_status="Paused")

    assert sorted_out([well], ()) == ()
    (two,) = sorted_out([failing, failing, well], ())
    assert trouble_line(two, NOW.timestamp()).startswith(
        f"business unit {failing.mid}: following 2 runs for 5 min (code "
    )
    (found,) = sorted_out([failing, well], ())
    assert trouble_line(found, NOW.timestamp()).startswith(f"business unit {failing.mid}: following 1 run for 5 min (")
    assert (found.reason, found.codes, found.since) == ("following", ("read_timeout",), error.since)
    assert found.text.startswith("Marketing Cloud does not say how the run goes")
    (found,) = sorted_out([odd], ())
    assert (found.codes, found.since) == (("Paused",), wait.since)
    assert found.advice.startswith("To do: look at the runs in Marketing Cloud")


def test_a_wait_says_until_when_it_is_tried_and_what_it_is_then() -> None:
    wait = waiting(NOW).model_copy(update={"deadline": datetime(2026, 3, 1, 21, 4, tzinfo=UTC), "then": "gave_up"})
    found = request("retrying", waiting=wait)

    assert "  deadline 2026-03-01 21:04:00 UTC (in 15 h 4 min), then gave_up, or at the last try before it" in list(
        request_lines(found, NOW.timestamp())
    )
    assert "    deadline 03-01 21:04:00 UTC, then gave_up, or at the last try before it" in list(
        table_lines(found, NOW.timestamp())
    )


def test_an_unknown_start_has_its_two_commands_on_two_lines() -> None:
    ended = request("start_unknown", is_finished=True, next=["resolve"])
    name = ended.request_id

    assert list(table_lines(ended, NOW.timestamp()))[-2:] == [
        f"    if it ran: sfmc-import resolve {name} --task-id N",
        f"    if it did not: sfmc-import resolve {name} --not-started --reason TEXT",
    ]


def test_a_broker_that_does_not_answer_is_said_and_the_rest_is_shown() -> None:
    whole = overview([request("gave_up")], []).model_copy(
        update={"queued": None, "broker": BrokerView(text="Redis at redis://b does not answer", fix="start it")}
    )
    lines = [str(each) for each in whole_lines(whole)]

    assert "  queued        not known" in lines
    begin = "  Redis at redis://b does not answer; start it."
    assert any(line.startswith(f"{begin} Requests stay") for line in lines)
    assert "ended badly:" in lines


def test_texts_of_others_that_end_with_a_full_stop_are_followed_by_no_second_mark() -> None:
    error = LastError(code="9", text="In maintenance.", at=NOW)
    waits = waiting(NOW).model_copy(update={"last_error": error})
    broker = BrokerView(text="it refused.", fix="start it.", since=NOW)
    refused = trouble(ConnectionError("Connection refused."), load({}).redis, "SFMC_REDIS_URL")

    assert any("9: In maintenance, 20" in str(line) for line in request_lines(request("retrying", waiting=waits), 0.0))
    assert sentence(broker).startswith("it refused, since 2026-03-01 06:00:00 UTC; start it. Requests")
    assert refused.text.endswith("does not answer: Connection refused")


def test_imports_to_be_looked_at_stand_between_failures_and_what_is_due() -> None:
    whole = overview([request("gave_up")], [request("deferred")])
    lines = list(whole_lines(whole.model_copy(update={"warnings": (request("completed_empty", advice="look"),)})))

    assert lines.index("ended badly:") < lines.index("to be looked at:") < lines.index("due next:")


def test_a_network_that_is_away_is_a_trouble_of_its_business_unit() -> None:
    error = LastError(code="refused", text="no", at=NOW, since=NOW)
    wait = waiting(NOW).model_copy(update={"reason": "backoff", "since": NOW, "last_error": error})
    other = wait.model_copy(update={"last_error": error.model_copy(update={"code": "43010"})})

    (found,) = sorted_out([request("retrying", waiting=wait), request("retrying", waiting=other)], {})
    assert (found.reason, found.codes) == ("backoff", ("refused",))
    assert "check the network" in trouble_line(found, NOW.timestamp())


def test_an_answer_whose_time_is_over_is_not_said_to_be_waited_for() -> None:
    past = AttemptView(**dict.fromkeys(AttemptView.model_fields) | {"number": 1, "text": "Sent.", "until": NOW})
    gone = WorkerView(name="w@h", is_gone=True, until=NOW + timedelta(minutes=2), text="Its worker w@h is gone.")
    view = request("starting", attempting=past, worker=gone)
    long, short = [*request_lines(view, NOW.timestamp())], [*table_lines(view, NOW.timestamp())]

    assert "  answer   none yet; it was waited for until 2026-03-01 06:00:00 UTC: Sent." in long
    assert "  worker   Its worker w@h is gone." in long
    assert "    no answer of Marketing Cloud until 03-01 06:00 UTC" in short
    assert short[3:5] == ["    its worker is gone: w@h", "    another takes it up at 03-01 06:02 UTC (in 2 min)"]
    assert max(map(len, map(str, short[1:6]))) <= 60


def test_a_pause_says_since_when_it_lasts() -> None:
    pause = PauseView(scope="all", operator="ann", reason="why", since=NOW, until=None)

    said = "since 2026-03-01 06:00:00 UTC until sfmc-import resume (no start of it is sent, what comes waits, and runs"
    assert pause_line(pause, 0.0) == f"everything is paused by ann {said} are followed on): why"
    of_one, of_unit = (pause.model_copy(update={"scope": scope}) for scope in ("key:7:a:b", "mid:7"))
    assert pause_line(of_one, 0.0).startswith("a:b of business unit 7 is paused by ann")
    assert pause_line(of_unit, 0.0).startswith("business unit 7 is paused by ann")
