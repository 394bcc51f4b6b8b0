"""What an import of the same file settles, and which ends a person should look at."""

from dataclasses import replace
from typing import Any

import pytest

from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.operator_keys import FAILED_FILE, FAILURES, WARNINGS
from sfmc_import.ledger.schema import REQUEST
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.runs import Definition
from tests.contract.ledger.scenario import BUSY, DOUBT, KEY, Scenario, file, request

WRONG = Rejected("43000", "this cannot be started")
ADDS = "AddAndUpdate"
NO_ANSWER = NotApplied("read_timeout", "no answer in time")


def seen(**known: Any) -> FileInfo:
    return FileInfo(**{"location": "/in", "name": "o.csv", **known})


def listed(scenario: Scenario, key=FAILURES) -> list[str]:
    return [name.decode() for name in scenario.world.client.zrange(Keys().name_of(key), 0, -1)]


def record(scenario: Scenario, request_id: str) -> dict:
    return REQUEST.read(scenario.world.client.hgetall(Keys().request(request_id)))


def rejected(scenario: Scenario, request_id: str, name: str | None = "orders.csv", key: str = KEY) -> None:
    arrival = None if name is None else file(name, version=request_id)
    scenario.accept(request(request_id, arrival, key))
    assert scenario.ledger.reject(scenario.sends(request_id), WRONG) == "rejected"
    scenario.world.advance(1)


def imported(
    scenario: Scenario,
    request_id: str,
    name: str | None = "orders.csv",
    outcome: str = "completed",
    update_type: str = "Overwrite",
) -> None:
    arrival = None if name is None else file(name, version=request_id)
    imports(scenario, request(request_id, arrival), outcome, update_type)


def imports(scenario: Scenario, asked: StartRequest, outcome: str = "completed", update_type: str = ADDS) -> None:
    scenario.definition = Definition(customer_key=KEY, update_type=update_type)
    scenario.accept(asked)
    scenario.start(asked.request_id)
    scenario.ends(asked.request_id, outcome)
    scenario.world.advance(1)


@pytest.mark.parametrize("outcome", ["completed", "completed_with_errors"])
def test_an_import_of_the_same_file_settles_older_requests_for_it(scenario: Scenario, outcome: str) -> None:
    rejected(scenario, "a")
    imported(scenario, "failed", outcome="import_failed")
    assert listed(scenario) == ["a", "failed"]

    imported(scenario, "b", outcome=outcome)

    assert listed(scenario) == []
    assert [record(scenario, name)["settled_by"] for name in ("a", "failed")] == ["b", "b"]
    assert record(scenario, "a")["state"] == "rejected"


@pytest.mark.parametrize("update_type", [ADDS, "AddAndDoNotUpdate", "UpdateButDoNotAdd", "Merge", "ColumnBased", ""])
def test_a_newer_file_of_the_same_name_hides_no_failure_where_it_may_not_have_the_same_rows(
    scenario: Scenario, update_type: str
) -> None:
    imported(scenario, "a", outcome="import_failed")

    for newer in ("b", "c"):
        imported(scenario, newer, update_type=update_type)

    assert listed(scenario) == ["a"]
    assert (record(scenario, "a")["newer_import"], "settled_by" in record(scenario, "a")) == ("c", False)
    assert scenario.names("a")[-1] == "import_failed"


@pytest.mark.parametrize("update_type", [ADDS, "Overwrite"])
def test_the_same_content_settles_whatever_the_definition_does_with_rows(scenario: Scenario, update_type: str) -> None:
    imports(scenario, request("a", file("orders.csv", version="1")), "import_failed")
    ended_at = record(scenario, "a")["since"]

    imports(scenario, request("b", file("orders.csv", version="1")), update_type=update_type)

    assert listed(scenario) == []
    assert scenario.names("a")[-1] == "settled"
    assert record(scenario, "a")["since"] == ended_at
    assert {name: scenario.last("a")[name] for name in ("settled_by", "why")} == {"settled_by": "b", "why": "same_file"}


def test_what_was_overwritten_and_what_was_replayed_say_so(scenario: Scenario) -> None:
    imported(scenario, "a", outcome="import_failed")
    imported(scenario, "b")
    imports(scenario, request("c", file("other.csv", version="1")), "import_failed")
    imports(scenario, request("d", file("other.csv", version="2"), replays="c"))

    assert [scenario.last(name)["why"] for name in ("a", "c")] == ["overwritten", "replayed"]


@pytest.mark.parametrize(
    "case",
    [
        (seen(), seen(), False),
        (seen(version="1"), seen(version="1"), True),
        (seen(version="1"), seen(version="2"), False),
        (seen(modified_ns=1, size=1), seen(modified_ns=1, size=1), True),
        (seen(modified_ns=1, size=1), seen(modified_ns=2, size=1), False),
        (seen(modified_ns=1, size=1), seen(modified_ns=1, size=2), False),
        (seen(version="1"), seen(version="1", location="/other"), False),
        (seen(version="1", arrived_as="o_1.csv"), seen(version="1", arrived_as="o_2.csv"), False),
        (seen(version="1", content_hash="sha256:a"), seen(version="2", content_hash="sha256:a"), True),
        (seen(version="1", content_hash="sha256:a"), seen(version="1", content_hash="sha256:b"), False),
    ],
)
def test_only_what_is_surely_the_same_content_counts_as_the_same_file(
    scenario: Scenario, case: tuple[FileInfo, FileInfo, bool]
) -> None:
    before, since, is_same = case
    imports(scenario, request("a", before, event_id="1"), "import_failed")

    imports(scenario, request("b", since, event_id="2", force=True))

    assert ("settled_by" in record(scenario, "a")) is is_same


def test_an_end_that_is_said_again_settles_once(scenario: Scenario) -> None:
    imported(scenario, "a", outcome="import_failed")
    scenario.accept(request("b", file("orders.csv", version="b")))
    scenario.start("b")
    run = scenario.run("b")
    for _ in range(2):
        scenario.ledger.ended(run, "completed", None, scenario.policy)

    scenario.world.advance(1)
    imported(scenario, "c")

    assert scenario.names("a").count("settled") == 1


@pytest.mark.parametrize("outcome", ["import_failed", "completed_empty", "completed_suspicious", "follow_timed_out"])
def test_a_run_that_imported_nothing_settles_nothing(scenario: Scenario, outcome: str) -> None:
    rejected(scenario, "a")
    scenario.accept(request("b", file("orders.csv", version="b")))
    lease = scenario.sends("b")
    scenario.commit(lease, "t")
    scenario.world.advance(8 * 24 * 3600)

    scenario.ends("b", outcome)

    assert "a" in listed(scenario)
    assert "settled_by" not in record(scenario, "a")


def test_another_file_another_definition_and_a_newer_request_are_not_settled(scenario: Scenario) -> None:
    rejected(scenario, "other", "other.csv")
    rejected(scenario, "nameless", None, key="another")
    scenario.definition = Definition(customer_key=KEY, update_type="Overwrite")
    scenario.accept(request("b", file("orders.csv", version="b")))
    scenario.start("b")
    scenario.definition = None
    scenario.world.advance(1)
    rejected(scenario, "newer", key="third")

    scenario.ends("b")

    assert listed(scenario) == ["other", "nameless", "newer"]


def test_what_was_started_perhaps_waits_for_a_person_all_the_same(scenario: Scenario) -> None:
    scenario.accept(request("a", file("orders.csv", version="a")))
    lease = scenario.sends("a")
    scenario.ledger.mark_ambiguous(lease, DOUBT, 0, scenario.policy)
    scenario.ledger.record_start_unknown(scenario.look("a").lease, (), 0)
    scenario.world.advance(1)

    imported(scenario, "b")

    assert listed(scenario) == ["a"]


def test_a_request_without_a_file_is_settled_by_a_run_of_its_definition_without_one(scenario: Scenario) -> None:
    rejected(scenario, "a", None)
    rejected(scenario, "named")

    imported(scenario, "b", None)

    assert listed(scenario) == ["named"]


def test_a_request_that_met_its_definition_is_settled_by_that_one_alone(scenario: Scenario) -> None:
    for name, key in (("own", KEY), ("other", "another")):
        scenario.accept(request(name, file("orders.csv", version=name), key))
        scenario.owners += 1
        decision = scenario.ledger.claim(
            scenario.requests[name], "w", scenario.policy, definition=Definition(customer_key=key, object_id=f"o-{key}")
        )
        scenario.ledger.reject(decision.lease, WRONG)
        scenario.world.advance(1)

    imported(scenario, "b")

    assert listed(scenario) == ["other"]


def test_a_request_that_never_met_its_definition_is_settled_by_an_import_of_its_file_under_another_key(
    scenario: Scenario,
) -> None:
    rejected(scenario, "mistyped", key="another")

    imported(scenario, "b")

    assert listed(scenario) == []
    assert record(scenario, "mistyped")["settled_by"] == "b"


def test_the_same_file_keeps_its_newest_ten_failures(scenario: Scenario) -> None:
    for number in range(12):
        rejected(scenario, f"r{number}")

    [place] = scenario.world.client.keys(f"{Keys().tag}{FAILED_FILE.letter}:*")

    assert scenario.world.client.zcard(place) == 10


def test_ends_that_a_person_should_look_at_are_listed_until_the_file_is_imported_or_asked_for_again(
    scenario: Scenario,
) -> None:
    imported(scenario, "empty", outcome="completed_empty")
    imported(scenario, "partly", "other.csv", outcome="completed_with_errors")
    imported(scenario, "well", "third.csv")
    assert listed(scenario, WARNINGS) == ["empty", "partly"]

    imported(scenario, "again")
    assert listed(scenario, WARNINGS) == ["partly"]
    scenario.accept(request("replay", file("other.csv", version="x"), replays="partly"))

    assert listed(scenario, WARNINGS) == []
    assert listed(scenario) == []


def test_an_unknown_start_names_what_failed(scenario: Scenario) -> None:
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)

    scenario.ledger.record_start_unknown(scenario.look("a").lease, (), 0)

    assert (scenario.last("a")["code"], scenario.last("a")["text"]) == ("read_timeout", "no answer in time")


def test_a_deadline_of_the_sender_names_what_failed_before_it(scenario: Scenario) -> None:
    now = scenario.world.now_ms() / 1000
    scenario.arrives("a", expires=now + 100)
    scenario.ledger.retry(scenario.sends("a"), BUSY, 60)
    scenario.world.advance(101)

    scenario.claim("a")

    assert scenario.names("a")[-1] == "expired"
    assert (scenario.last("a")["code"], scenario.last("a")["text"]) == ("9", "in maintenance")


def test_a_look_before_the_deadline_of_the_sender_hides_no_cause(scenario: Scenario) -> None:
    scenario.arrives("a", expires=scenario.world.now_ms() / 1000 + 100)
    refused = NotApplied("http_refused", "HTTP 401")
    lease = scenario.sends("a")
    scenario.ledger.withdraw_intent(lease, unproved=True)
    scenario.ledger.retry(lease, refused, 60)
    scenario.world.advance(101)

    scenario.claim("a")
    assert record(scenario, "a")["last_error"]["code"] == "http_refused"
    scenario.world.advance(60)
    scenario.ledger.retry(scenario.look("a").lease, NotApplied("nothing_started", "no run"), 30)

    assert scenario.names("a")[-2:] == ["reconciling", "expired"]
    assert scenario.last("a")["code"] == "http_refused"


def test_polls_that_fail_are_the_last_error_since_the_first_until_one_is_answered(scenario: Scenario) -> None:
    scenario.arrives_and_starts("a")
    begin = scenario.world.now_ms()
    for pause in (60, 10):
        scenario.ledger.progressed(scenario.run("a"), None, 5, NO_ANSWER)
        scenario.world.advance(pause)
    error = record(scenario, "a")["last_error"]
    assert (error["code"], error["since"], error["at"]) == ("read_timeout", begin, begin + 60_000)

    scenario.ledger.progressed(scenario.run("a"), "Processing", 5)

    assert "last_error" not in record(scenario, "a")


def test_each_failure_of_polls_has_the_time_of_its_own_and_that_of_the_first_with_its_code(scenario: Scenario) -> None:
    scenario.arrives_and_starts("a")
    begin = scenario.world.now_ms()
    noted = []
    for fault in (NO_ANSWER, NO_ANSWER, BUSY):
        scenario.ledger.progressed(scenario.run("a"), None, 5, fault)
        error = record(scenario, "a")["last_error"]
        noted.append((error["code"], error["at"] - begin, error["since"] - begin))
        scenario.world.advance(5)

    assert noted == [("read_timeout", 0, 0), ("read_timeout", 5_000, 0), ("9", 10_000, 10_000)]


def test_a_run_that_could_not_be_asked_for_ends_with_the_cause(scenario: Scenario) -> None:
    scenario.arrives_and_starts("a")
    scenario.ledger.progressed(scenario.run("a"), None, 5, NO_ANSWER)
    scenario.world.advance(8 * 24 * 3600)

    scenario.ends("a", "follow_timed_out")

    assert scenario.last("a")["code"] == "read_timeout"


def test_an_end_with_a_cause_of_its_own_keeps_that(scenario: Scenario) -> None:
    scenario.arrives("a", expires=scenario.world.now_ms() / 1000 + 100)
    scenario.ledger.unresolved(scenario.requests["a"], BUSY, 60, scenario.policy)
    scenario.world.advance(101)

    again = replace(scenario.requests["a"], attempt=1)
    assert scenario.ledger.unresolved(again, NO_ANSWER, 60, scenario.policy) == "expired"
    assert scenario.last("a")["code"] == NO_ANSWER.code


def test_a_start_that_was_answered_forgets_what_failed_before(scenario: Scenario) -> None:
    scenario.arrives("a")
    scenario.ledger.retry(scenario.sends("a"), BUSY, 60)
    scenario.world.advance(60)

    scenario.start("a")

    assert "last_error" not in record(scenario, "a")


def test_while_no_call_is_made_the_last_error_is_what_failed_for_others(scenario: Scenario) -> None:
    scenario.arrives("a")
    held = NotApplied("circuit_open", "no call is made for now", account_wide=True, cause=("12", "wrong password"))

    scenario.ledger.retry(scenario.sends("a"), held, 60)

    found = record(scenario, "a")
    assert (found["last_error"]["code"], found["last_error"]["text"]) == ("12", "wrong password")
    assert found["waits_because"] == "circuit_open"


def test_a_failure_whose_record_is_gone_is_passed_over(scenario: Scenario) -> None:
    rejected(scenario, "gone")
    scenario.world.client.delete(Keys().request("gone"))

    imported(scenario, "b")

    assert record(scenario, "gone") == {}


def test_a_request_under_a_key_that_is_none_is_settled_by_an_import_of_its_file_under_another(
    scenario: Scenario,
) -> None:
    rejected(scenario, "a", key="mistyped")

    imported(scenario, "b")

    assert listed(scenario) == []


def test_an_end_that_has_a_code_of_its_own_keeps_it(scenario: Scenario) -> None:
    asked = scenario.arrives("a", expires=scenario.world.now_ms() / 1000 + 100)
    scenario.ledger.unresolved(asked, BUSY, 60, scenario.policy)
    scenario.world.advance(101)

    state = scenario.ledger.unresolved(replace(asked, attempt=1), NotApplied("13", "busy"), 60, scenario.policy)

    assert (state, scenario.last("a")["code"]) == ("expired", "13")


def test_a_deadline_before_which_nothing_failed_names_no_cause(scenario: Scenario) -> None:
    scenario.arrives("a", expires=scenario.world.now_ms() / 1000 + 100)
    scenario.ledger.withdraw_intent(scenario.sends("a"), unproved=True)
    scenario.world.advance(200)
    scenario.claim("a")
    scenario.world.advance(60)

    scenario.ledger.retry(scenario.look("a").lease, NotApplied("nothing_started", "no run"), 30)

    assert scenario.names("a")[-2:] == ["reconciling", "expired"]
    assert "code" not in scenario.last("a")


# --- Settled by a person.


def test_a_bad_end_that_a_person_has_dealt_with_leaves_the_list_and_says_by_whom(scenario: Scenario) -> None:
    rejected(scenario, "a")
    assert scenario.ledger.settle("a", "ann", "started as orders2") == "rejected"

    found, said = record(scenario, "a"), scenario.last("a")
    assert listed(scenario) == []
    assert (found["settled_operator"], found["settled_reason"]) == ("ann", "started as orders2")
    assert scenario.names("a")[-2:] == ["rejected", "settled"]
    assert (said["why"], said["operator"], said["reason"]) == ("operator", "ann", "started as orders2")
    assert "settled_by" not in said


def test_a_bad_end_is_settled_once_by_a_person_or_by_an_import(scenario: Scenario) -> None:
    rejected(scenario, "a")
    scenario.ledger.settle("a", "ann", "seen")
    assert scenario.ledger.settle("a", "bob", "me too") == "rejected"
    imported(scenario, "b")

    assert record(scenario, "a")["settled_operator"] == "ann"
    assert "settled_by" not in record(scenario, "a")
    assert scenario.names("a").count("settled") == 1
    rejected(scenario, "c")
    imported(scenario, "d")
    scenario.ledger.settle("c", "ann", "seen")
    assert "settled_operator" not in record(scenario, "c")


def test_an_import_to_be_looked_at_can_be_settled(scenario: Scenario) -> None:
    imported(scenario, "a", outcome="completed_empty")
    assert listed(scenario, WARNINGS) == ["a"]

    assert scenario.ledger.settle("a", "ann", "it was empty") == "completed_empty"
    assert listed(scenario, WARNINGS) == []


def test_what_has_not_ended_badly_or_may_have_been_started_is_not_settled(scenario: Scenario) -> None:
    scenario.arrives("a")
    assert scenario.ledger.settle("a", "ann", "done") == "accepted"
    scenario.start("a")
    scenario.ends("a")
    assert scenario.ledger.settle("a", "ann", "done") == "completed"
    scenario.accept(request("b", key="other"))
    scenario.in_doubt("b")
    scenario.world.advance(60)
    assert scenario.ledger.record_start_unknown(scenario.look("b").lease, (), 0.0)
    assert scenario.ledger.settle("b", "ann", "done") == "start_unknown"

    assert "settled" not in scenario.names("a") + scenario.names("b")
    assert scenario.ledger.settle("unknown", "ann", "done") is None


def test_a_run_that_is_followed_again_is_not_settled_any_more(scenario: Scenario) -> None:
    scenario.arrives_and_starts("a")
    scenario.world.advance(30 * 86_400)
    scenario.ends("a", "follow_timed_out")
    assert scenario.ledger.settle("a", "ann", "it ran") == "follow_timed_out"
    assert listed(scenario) == []
    assert scenario.ledger.resume("a", scenario.policy)

    assert "settled_operator" not in record(scenario, "a")
    assert "settled_reason" not in record(scenario, "a")
