"""Following runs to their end, resuming, and what is due."""

import pytest

from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.ledger.schema import REQUEST
from sfmc_import.runs import Run, Unexpected
from sfmc_import.states import RUN_ENDS, AlreadyEnded, DueRequest, Followed, NotYet, StartNow
from tests.contract.ledger.scenario import HOUR, KEY, MID, Scenario, file, request

DAY = 24 * HOUR


def test_a_started_request_is_followed_by_its_task(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.arrives("b")
    scenario.world.advance(7)

    assert scenario.ledger.followed(["a", "b", "unknown"]) == [
        Followed(
            request_id="a",
            mid=MID,
            customer_key=KEY,
            task_id="task-a",
            status=None,
            polls=0,
            age=7.0,
            overdue=False,
        )
    ]
    assert list(scenario.ledger.followed([])) == []


def test_a_look_is_counted_and_reported_only_when_the_status_is_new(scenario: Scenario):
    scenario.arrives_and_starts("a")
    for status, pause in ((None, 1), ("Processing", 2), ("Processing", 3), (None, 4), ("IOWork", 9)):
        scenario.ledger.progressed(scenario.run("a"), status, pause)

    assert scenario.names("a")[3:] == ["progressed", "progressed"]
    assert scenario.last("a")["import_status"] == "IOWork"
    run = scenario.run("a")
    assert (run.status, run.polls) == ("IOWork", 5)


@pytest.mark.parametrize("end", ["completed", "import_failed", "follow_timed_out"])
def test_an_ended_request_is_in_its_state_since_its_last_event_which_is_kept_once(scenario: Scenario, end: str):
    scenario.arrives_and_starts("a")
    scenario.world.advance(DAY)
    scenario.ends("a", end)

    world = scenario.world
    reader = LedgerReader(world.client, world.keys)
    [*_, newest] = world.client.xrange(world.keys.stream)
    milliseconds = int(newest[0].split(b"-")[0])
    found = reader.request("a")
    assert not world.client.hexists(world.keys.request("a"), "since")
    assert found is not None
    assert found["since"] == milliseconds / 1000


def test_runs_are_polled_at_common_moments_and_never_before_their_pause(scenario: Scenario):
    scenario.world.advance(0.3)
    scenario.arrives_and_starts("a")
    step, due = 2.5, scenario.world.keys.due
    for pause in (5, 0.001, 2.5, 2.4, 9, 60.001):
        if pause != 5:
            scenario.ledger.progressed(scenario.run("a"), None, pause)
        assert scenario.world.client.zscore(due, "a") % (step * 1000) == 0
        assert pause <= scenario.due_in("a") < pause + step
        scenario.world.advance(0.7)


def test_the_ids_of_events_count_the_steps_of_their_request(scenario: Scenario):
    scenario.arrives_and_starts("a")
    for status in ("New", "Processing"):
        scenario.ledger.progressed(scenario.run("a"), status, 5)

    ids = [event["id"] for event in scenario.events("a")]
    assert ids == ["a/1/accepted", "a/2/starting", "a/3/started", "a/4/progressed", "a/5/progressed"]


def test_a_run_is_overdue_at_its_deadline(scenario: Scenario):
    scenario.decide_by(follow_deadline=100)
    scenario.arrives_and_starts("a")
    scenario.world.advance(99.999)
    assert scenario.run("a").overdue is False
    scenario.world.advance(0.001)

    assert scenario.run("a").overdue is True


@pytest.mark.parametrize("outcome", RUN_ENDS)
def test_a_run_ends_once_with_its_outcome_and_leaves_nothing_due(scenario: Scenario, outcome: str):
    scenario.arrives_and_starts("a")
    run = scenario.run("a")
    scenario.world.advance(DAY)
    for _ in range(2):
        scenario.ledger.ended(run, outcome, None, scenario.policy)
    scenario.ledger.progressed(run, "Processing", 5)
    scenario.ledger.ended(run, "completed_empty", None, scenario.policy)

    assert scenario.names("a") == ["accepted", "starting", "started", outcome]
    assert scenario.due_in("a") is None
    assert list(scenario.ledger.followed(["a"])) == []
    assert scenario.claim("a") == AlreadyEnded(state=outcome)


def test_the_end_of_a_run_tells_the_counts_and_dates_that_are_known(scenario: Scenario):
    scenario.arrives_and_starts("a")
    row = Run(
        task_id="task-a",
        customer_key=KEY,
        status="Completed",
        successful=9_007_199_254_740_993,
        errors=0,
        total=2,
        start_date="1/2/2027 3:04:05 AM",
        destination_id="77",
    )
    scenario.ends("a", "completed", row)

    data = scenario.last("a")
    assert (data["rows_total"], data["rows_failed"], data["destination_id"]) == (2, 0, "77")
    assert data["start_date"] == "1/2/2027 3:04:05 AM"
    assert (data["import_status"], data["task_id"]) == ("Completed", "task-a")
    assert "rows_duplicated" not in data
    assert "end_date" not in data


def rows_before(scenario: Scenario, request_id: str) -> int | None:
    scenario.arrives_and_starts(request_id)
    return scenario.run(request_id).last_rows


def status_of(scenario: Scenario, request_id: str) -> str | None:
    record = REQUEST.read(scenario.world.client.hgetall(Keys().request(request_id)))
    found = record.get("import_status")
    return None if found is None else str(found)


def test_the_record_of_a_run_that_has_ended_has_its_last_status(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.ledger.progressed(scenario.run("a"), "Processing", 30)
    assert status_of(scenario, "a") == "Processing"
    scenario.ends("a", result=Run(task_id="task-a", customer_key=KEY, status="Completed"))
    assert status_of(scenario, "a") == "Completed"


def test_the_status_of_a_run_that_completed_takes_no_memory_and_any_other_one_is_kept(scenario: Scenario):
    for request_id, outcome, status in (("a", "completed", "Completed"), ("b", "import_failed", "Error")):
        scenario.arrives_and_starts(request_id)
        scenario.ledger.progressed(scenario.run(request_id), "Processing", 30)
        scenario.ends(request_id, outcome, Run(task_id=f"task-{request_id}", customer_key=KEY, status=status))

    kept = [scenario.world.client.hget(Keys().request(each), "status") for each in ("a", "b")]
    assert kept == [None, b"Error"]
    assert (status_of(scenario, "a"), status_of(scenario, "b")) == ("Completed", "Error")


def test_following_that_timed_out_leaves_the_status_that_was_seen_last(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.ledger.progressed(scenario.run("a"), "Processing", 30)
    scenario.world.advance(scenario.policy.follow_deadline + 1)
    scenario.ends("a", "follow_timed_out")
    assert status_of(scenario, "a") == "Processing"


def test_a_run_knows_how_many_rows_the_last_completed_run_of_its_definition_had(scenario: Scenario):
    found = []
    ends = [("completed", 5), ("import_failed", 7), ("completed_empty", 0), ("completed_suspicious", 3),
            ("follow_timed_out", 9), ("completed_with_errors", 2**53), ("completed", None)]  # fmt: skip
    for number, (outcome, total) in enumerate(ends):
        found.append(rows_before(scenario, f"r{number}"))
        if outcome == "follow_timed_out":
            scenario.world.advance(DAY)
        scenario.ends(f"r{number}", outcome, Run(task_id="t", customer_key=KEY, status="x", total=total))
        scenario.world.advance(120)

    assert [*found, rows_before(scenario, "last")] == [None, 5, 5, 5, 3, 3, 2**53, 2**53]


def test_the_end_of_a_suspicious_run_tells_what_was_expected_and_what_came(scenario: Scenario):
    scenario.arrives_and_starts("a")
    run, row = scenario.run("a"), Run(task_id="task-a", customer_key=KEY, status="Completed", total=2)
    unexpected = Unexpected({"min_rows": 10}, {"rows": 2})
    for _ in range(2):
        scenario.ledger.ended(run, "completed_suspicious", row, scenario.policy, unexpected)

    assert scenario.names("a")[3:] == ["completed_suspicious"]
    assert (scenario.last("a")["expected"], scenario.last("a")["found"]) == ({"min_rows": 10}, {"rows": 2})


def test_the_end_of_another_run_is_not_the_end_of_this_one(scenario: Scenario):
    scenario.arrives_and_starts("a")
    other = Followed(request_id="a", mid=MID, customer_key=KEY, task_id="x", status=None, polls=0, age=0, overdue=False)
    scenario.ledger.ended(other, "completed", None, scenario.policy)
    scenario.ledger.progressed(other, "New", 5)

    assert scenario.names("a")[-1] == "started"


def test_an_import_that_ended_in_error_frees_window_file_and_source_event(scenario: Scenario):
    scenario.accept(request("a", file(), event_id="e"))
    scenario.start("a", window=5)
    scenario.ends("a", "import_failed")
    scenario.world.advance(scenario.policy.error_pause)
    scenario.accept(request("b", file(), event_id="e"))

    assert isinstance(scenario.claim("b"), StartNow)


def test_with_on_error_keep_an_import_that_ended_in_error_keeps_them(scenario: Scenario):
    scenario.decide_by(on_error="keep")
    scenario.accept(request("a", file()))
    scenario.start("a", window=5)
    scenario.ends("a", "import_failed")
    scenario.accept(request("b", file()))
    scenario.accept(request("c"))

    assert scenario.claim("b").state == "duplicate"
    assert scenario.claim("c") == AlreadyEnded(state="duplicate", held_by="a", opens_in=5 * HOUR)


def test_an_import_that_completed_with_errors_keeps_its_window(scenario: Scenario):
    scenario.arrives_and_starts("a", window=5)
    scenario.ends("a", "completed_with_errors")
    scenario.accept(request("b"))

    assert scenario.claim("b").state == "duplicate"


def timed_out(scenario: Scenario, name: str = "a") -> None:
    scenario.arrives_and_starts(name)
    scenario.world.advance(DAY)
    scenario.ends(name, "follow_timed_out")


def test_following_that_timed_out_is_resumed_with_a_new_deadline(scenario: Scenario):
    timed_out(scenario)

    assert scenario.ledger.resume("a", scenario.policy) is True
    assert scenario.names("a")[-2:] == ["follow_timed_out", "progressed"]
    assert scenario.last("a")["resumed"] is True
    assert scenario.due_in("a") == 0
    assert (scenario.run("a").overdue, scenario.run("a").polls) == (False, 0)
    scenario.arrives("b")
    assert scenario.claim("b") == NotYet(state="deferred", held_by="a")
    scenario.ends("a")
    assert scenario.names("a")[-1] == "completed"
    assert isinstance(scenario.claim("b"), StartNow)


def test_resuming_twice_is_resuming_once(scenario: Scenario):
    timed_out(scenario)
    scenario.ledger.resume("a", scenario.policy)
    scenario.ledger.progressed(scenario.run("a"), None, 60)

    assert scenario.ledger.resume("a", scenario.policy) is True
    assert scenario.names("a").count("progressed") == 1
    assert scenario.due_in("a") == 0


def test_a_follower_that_still_thinks_of_the_old_deadline_does_not_end_a_resumed_run(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.world.advance(DAY)
    late = scenario.run("a")
    scenario.ends("a", "follow_timed_out")
    scenario.ledger.resume("a", scenario.policy)
    scenario.ledger.ended(late, "follow_timed_out", None, scenario.policy)

    assert scenario.names("a")[-1] == "progressed"


def test_a_resumed_run_does_not_take_the_definition_from_who_holds_it_now(scenario: Scenario):
    timed_out(scenario)
    lease = scenario.arrives_and_starts("b")
    scenario.ledger.resume("a", scenario.policy)
    scenario.ends("a")
    scenario.arrives("c")

    assert scenario.claim("c") == NotYet(state="deferred", held_by="b")
    assert scenario.world.record("b")["fence"] == str(lease.fence)


def test_what_has_no_run_cannot_be_resumed(scenario: Scenario):
    scenario.arrives("a")

    assert scenario.ledger.resume("a", scenario.policy) is False
    assert scenario.ledger.resume("unknown", scenario.policy) is False
    scenario.start("a")
    scenario.ends("a")
    assert scenario.ledger.resume("a", scenario.policy) is False


def test_what_is_due_is_given_once_until_its_pause_is_over(scenario: Scenario):
    scenario.arrives("a")
    scenario.arrives("b", key="Other")
    assert list(scenario.ledger.due(10, 30)) == []
    scenario.world.advance(5)

    found = scenario.ledger.due(10, 30)
    assert sorted(found, key=lambda due: due.request_id) == [
        DueRequest(request_id="a", mid=MID, customer_key=KEY, state="accepted"),
        DueRequest(request_id="b", mid=MID, customer_key="Other", state="accepted"),
    ]
    assert list(scenario.ledger.due(10, 30)) == []
    scenario.world.advance(30)
    assert len(scenario.ledger.due(1, 30)) == 1
    assert len(scenario.ledger.due(10, 30)) == 1


def test_runs_are_given_before_any_number_of_requests_that_wait_for_their_start(scenario: Scenario):
    scenario.arrives_and_starts("run")
    for number in range(6):
        scenario.arrives(f"older-{number}", key=f"key-{number}")
    scenario.world.advance(60)
    scenario.world.client.zadd(scenario.world.keys.due, {f"older-{number}": 1 for number in range(6)})

    found = scenario.ledger.due(2, 30)

    assert (found[0].request_id, found[0].state, len(found)) == ("run", "started", 3)
    assert "run" not in {one.request_id for one in scenario.ledger.due(10, 30)}


def test_a_run_whose_following_is_resumed_is_given_first_too(scenario: Scenario):
    scenario.arrives_and_starts("run")
    scenario.world.advance(10**6)
    scenario.ends("run", "follow_timed_out")
    scenario.ledger.resume("run", scenario.policy)
    scenario.arrives("older", key="other")
    scenario.world.advance(60)
    scenario.world.client.zadd(scenario.world.keys.due, {"older": 1})

    assert [one.request_id for one in scenario.ledger.due(10, 30)] == ["run", "older"]


def test_a_run_that_has_ended_or_lost_its_record_is_polled_no_more(scenario: Scenario):
    for name in ("a", "b"):
        scenario.arrives_and_starts(name, key=name)
    scenario.ends("a", "completed")
    scenario.world.lose("b")
    scenario.world.advance(60)

    assert [(one.request_id, one.state) for one in scenario.ledger.due(10, 30)] == [("b", "missing_record")]
    assert scenario.world.client.exists(scenario.world.keys.follows) == 0


def test_a_due_request_whose_record_vanished_is_reported_once_as_gone(scenario: Scenario):
    scenario.arrives("a")
    scenario.world.lose("a")
    scenario.world.advance(5)

    assert [(due.request_id, due.state) for due in scenario.ledger.due(10, 30)] == [("a", "missing_record")]
    assert scenario.world.due() == {}


def test_every_state_of_an_unfinished_request_is_reported_to_the_sweep(scenario: Scenario):
    scenario.arrives("a")
    scenario.in_doubt("a", results_delay=1)
    scenario.arrives("b")
    scenario.claim("b")
    scenario.world.advance(600)

    assert {due.request_id: due.state for due in scenario.ledger.due(10, 30)} == {"a": "reconciling", "b": "deferred"}
