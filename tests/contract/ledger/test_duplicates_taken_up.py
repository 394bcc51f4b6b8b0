"""A request that was asked for twice and came to nothing is tried for the one who asked again, and starts once."""

from collections.abc import Callable, Mapping

import pytest

from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.request import FileInfo
from sfmc_import.runs import Definition
from sfmc_import.states import AlreadyEnded, FirstRead, Lease, NotYet, StartNow
from tests.contract.ledger.scenario import BUSY, DOUBT, KEY, Scenario, file, request
from tests.contract.ledger.test_quota import SPENT, Asker

SAME = file("x.csv")
OTHER = file("y.csv", version="v2")
REFUSED = Rejected("pattern_mismatch", "FileSpec selects another file")
TIME_LEFT = 100.0


def ask(scenario: Scenario, request_id: str, arrival: FileInfo | None = SAME, **more: object) -> None:
    """A request arrives some seconds after the one before, and is decided."""
    scenario.world.advance(1)
    scenario.accept(request(request_id, arrival, **more))
    scenario.claim(request_id)


def first(scenario: Scenario, **more: object) -> Lease:
    """The request `a`, about to start."""
    deadline = scenario.world.now_ms() / 1000 + TIME_LEFT
    scenario.accept(request("a", SAME, expires=deadline, **more))
    return scenario.go("a")


def same_file(scenario: Scenario) -> Lease:
    lease = first(scenario)
    ask(scenario, "b")
    return lease


def same_event(scenario: Scenario) -> Lease:
    lease = first(scenario, event_id="e1")
    ask(scenario, "b", OTHER, event_id="e1")
    return lease


def no_file(scenario: Scenario) -> Lease:
    lease = first(scenario)
    ask(scenario, "b", None)
    return lease


def too_soon(scenario: Scenario) -> Lease:
    scenario.decide_by(when_too_soon="drop")
    lease = first(scenario)
    ask(scenario, "b", OTHER)
    return lease


def superseded(scenario: Scenario) -> Lease:
    scenario.arrives_and_starts("runs")
    ask(scenario, "b", file("x.csv", version="v0"))
    deadline = scenario.world.now_ms() / 1000 + TIME_LEFT
    ask(scenario, "a", expires=deadline)
    scenario.ends("runs")
    return scenario.go("a")


CAUSES: Mapping[str, Callable[[Scenario], Lease]] = {
    "file": same_file,
    "event": same_event,
    "window": no_file,
    "too_soon": too_soon,
    "superseded": superseded,
}


def rejected(scenario: Scenario, lease: Lease) -> None:
    assert scenario.ledger.reject(lease, REFUSED) == "rejected"


def gave_up(scenario: Scenario, lease: Lease) -> None:
    assert scenario.ledger.retry(lease, BUSY, scenario.policy.retry_deadline + 1) == "gave_up"


def lost_its_workers(scenario: Scenario, lease: Lease) -> None:
    for _ in range(scenario.world.settings.max_lost + 1):
        # The deadline of the sender does not end what this is about.
        scenario.world.client.hdel(scenario.world.keys.request(lease.request_id), "expires")
        scenario.world.advance(180)
        scenario.claim(lease.request_id)
    assert scenario.names(lease.request_id)[-1] == "gave_up"


def expired(scenario: Scenario, lease: Lease) -> None:
    scenario.world.advance(180)
    assert scenario.claim(lease.request_id).state == "expired"


def not_started(scenario: Scenario, lease: Lease) -> None:
    unknown(scenario, lease)
    assert scenario.ledger.resolve("a", None, "ada", "seen in the log", scenario.policy)


def unknown(scenario: Scenario, lease: Lease) -> None:
    assert scenario.ledger.record_intent(lease, ()) is not None
    assert scenario.ledger.mark_ambiguous(lease, DOUBT, 60, scenario.policy)
    scenario.world.advance(60)
    assert scenario.ledger.record_start_unknown(scenario.look("a").lease, (), 2)


def listed(scenario: Scenario, request_id: str) -> list[str]:
    """The duplicates of which one is taken up, oldest first."""
    return [name.decode() for name in scenario.world.client.zrange(f"{scenario.world.keys.tag}u:{request_id}", 0, -1)]


ENDS: Mapping[str, Callable[[Scenario, Lease], None]] = {
    "rejected": rejected,
    "gave_up": gave_up,
    "lost_its_workers": lost_its_workers,
    "expired": expired,
    "not_started": not_started,
}


@pytest.mark.parametrize("cause", list(CAUSES))
@pytest.mark.parametrize("end", list(ENDS))
def test_a_duplicate_of_a_request_that_comes_to_nothing_is_taken_up_and_starts(
    scenario: Scenario, cause: str, end: str
):
    lease = CAUSES[cause](scenario)
    ended = scenario.last("b")
    assert (ended["why"], ended["held_by"], ended["final"]) == (cause, "a", False)
    ENDS[end](scenario, lease)

    assert scenario.names("b")[-2:] == ["duplicate", "accepted"]
    assert scenario.last("b")["instead_of"] == "a"
    assert scenario.due_in("b") == 0
    assert "held_by" not in scenario.world.record("b")
    scenario.start("b")
    scenario.ends("b")
    assert scenario.names("b")[-3:] == ["starting", "started", "completed"]
    assert [name for name in scenario.names("a") if name == "started"] == []


@pytest.mark.parametrize("cause", list(CAUSES))
def test_a_duplicate_of_a_request_that_starts_stays_one(scenario: Scenario, cause: str):
    lease = CAUSES[cause](scenario)
    assert scenario.ledger.record_intent(lease, ()) is not None
    scenario.commit(lease, "1")
    before = scenario.names("b")
    scenario.ends("a", "import_failed")

    assert scenario.names("b") == before
    assert scenario.due_in("b") is None
    assert scenario.claim("b") == AlreadyEnded(state="duplicate", held_by="a")


def test_a_duplicate_of_a_request_that_has_started_is_final(scenario: Scenario):
    scenario.accept(request("a", SAME))
    scenario.start("a")
    ask(scenario, "b")

    assert "final" not in scenario.last("b")
    assert "call" not in scenario.world.record("b")


def test_a_duplicate_of_an_unknown_start_waits_for_the_word_of_an_operator(scenario: Scenario):
    unknown(scenario, first(scenario))
    ask(scenario, "b")
    assert scenario.last("b")["final"] is False

    assert scenario.ledger.resolve("a", None, "ada", "seen in the log", scenario.policy)

    assert scenario.names("b")[-1] == "accepted"


def test_an_unknown_start_that_an_operator_confirms_leaves_its_duplicates_as_they_are(scenario: Scenario):
    lease = same_file(scenario)
    unknown(scenario, lease)
    assert scenario.ledger.resolve("a", "77", "ada", "seen in the log", scenario.policy)
    scenario.ends("a")

    assert scenario.names("b")[-1] == "duplicate"


def test_the_newest_is_taken_up_first_and_the_next_only_when_that_comes_to_nothing_too(scenario: Scenario):
    lease = first(scenario)
    for name in "dbc":
        ask(scenario, name)
    rejected(scenario, lease)
    assert [scenario.names(name)[-1] for name in "dbc"] == ["duplicate", "duplicate", "accepted"]
    assert (listed(scenario, "a"), listed(scenario, "c")) == ([], ["d", "b"])
    rejected(scenario, scenario.go("c"))
    assert [scenario.names(name)[-1] for name in "dbc"] == ["duplicate", "accepted", "rejected"]
    scenario.start("b")
    scenario.ends("b")

    assert scenario.names("d")[-1] == "duplicate"
    assert scenario.world.due() == {}


def test_each_duplicate_has_an_end_of_its_own_when_all_are_refused(scenario: Scenario):
    lease = same_file(scenario)
    ask(scenario, "c")
    rejected(scenario, lease)
    rejected(scenario, scenario.go("c"))
    rejected(scenario, scenario.go("b"))

    assert [scenario.names(name)[-1] for name in "abc"] == ["rejected"] * 3
    assert scenario.last("b")["code"] == "pattern_mismatch"
    assert scenario.world.due() == {}


def test_the_ten_newest_are_remembered(scenario: Scenario):
    lease = first(scenario)
    names = [f"b{number:02}" for number in range(12)]
    for name in names:
        ask(scenario, name)
    rejected(scenario, lease)
    for name in reversed(names[2:]):
        rejected(scenario, scenario.go(name))

    assert [scenario.names(name)[-1] for name in names[:2]] == ["duplicate"] * 2
    assert scenario.world.due() == {}


def test_what_passes_from_one_to_another_is_the_ten_newest_too(scenario: Scenario):
    scenario.arrives_and_starts("runs")
    old, new = file("x.csv", version="v0"), file("x.csv", version="v1")
    ask(scenario, "old", old)
    for number in range(10):
        ask(scenario, f"b{number}", old)
    ask(scenario, "new", new)

    assert listed(scenario, "new") == [f"b{number}" for number in range(10)]
    assert listed(scenario, "old") == []


def test_a_taken_up_request_that_is_too_late_expires_and_the_next_has_its_turn(scenario: Scenario):
    lease = same_file(scenario)
    ask(scenario, "c", expires=scenario.world.now_ms() / 1000 + 10)
    scenario.world.advance(20)
    rejected(scenario, lease)

    assert scenario.claim("c") == AlreadyEnded(state="expired")
    assert scenario.last("b")["instead_of"] == "c"
    scenario.go("b")


UNREAD = {"rejected": (REFUSED, 0.0), "gave_up": (BUSY, 1e6), "expired": (BUSY, 1.0)}


@pytest.mark.parametrize("end", list(UNREAD))
def test_the_next_has_its_turn_also_when_the_definition_of_the_taken_up_one_is_not_read(scenario: Scenario, end: str):
    lease = same_file(scenario)
    ask(scenario, "c", expires=scenario.world.now_ms() / 1000 + 10)
    rejected(scenario, lease)
    scenario.world.advance(20 if end == "expired" else 0)
    fault, pause = UNREAD[end]

    assert scenario.ledger.unresolved(scenario.requests["c"], fault, pause, scenario.policy) == end
    assert scenario.last("b")["instead_of"] == "c"


def test_a_duplicate_whose_record_is_gone_is_passed_over(scenario: Scenario):
    lease = same_file(scenario)
    ask(scenario, "c")
    scenario.world.lose("c")
    rejected(scenario, lease)

    assert scenario.last("b")["instead_of"] == "a"


def test_what_was_started_meanwhile_for_somebody_else_makes_it_a_duplicate_of_that(scenario: Scenario):
    rejected(scenario, same_file(scenario))
    scenario.accept(request("c", SAME))
    scenario.start("c")

    assert scenario.claim("b") == AlreadyEnded(state="duplicate", held_by="c")
    assert "final" not in scenario.last("b")
    scenario.ends("c")
    assert scenario.world.due() == {}


def test_it_keeps_its_place_in_the_order_of_arrival(scenario: Scenario):
    lease = same_file(scenario)
    ask(scenario, "c", OTHER)
    assert scenario.names("c")[-1] == "deferred"
    rejected(scenario, lease)

    assert isinstance(scenario.claim("b"), NotYet)
    assert isinstance(scenario.claim("c"), NotYet)
    assert isinstance(scenario.claim("b"), StartNow)


def test_the_duplicates_of_a_follow_up_go_with_it_when_a_newer_one_supersedes_it(scenario: Scenario):
    scenario.arrives_and_starts("runs")
    old, new = file("x.csv", version="v0"), file("x.csv", version="v1")
    ask(scenario, "old", old)
    ask(scenario, "old again", old)
    ask(scenario, "new", new)
    scenario.ends("runs")
    rejected(scenario, scenario.go("new"))
    rejected(scenario, scenario.go("old again"))

    assert scenario.last("old")["instead_of"] == "old again"
    scenario.go("old")


def test_it_is_checked_against_the_definition_that_it_was_asked_for(scenario: Scenario):
    found = Definition(customer_key=KEY, file_spec="x.csv")
    lease = first(scenario)
    scenario.accept(request("b", SAME))
    scenario.ledger.claim(scenario.requests["b"], "w", scenario.policy, found)
    rejected(scenario, lease)
    before = scenario.world.record("b")
    assert scenario.ledger.hold(scenario.requests["b"], "w") == (False, None)
    assert scenario.world.record("b") == before

    decision = scenario.claim("b")

    assert isinstance(decision, StartNow)
    assert decision.first == FirstRead(file_spec="x.csv")


def test_the_time_for_its_tries_begins_anew(scenario: Scenario):
    scenario.accept(request("b", SAME))
    assert scenario.ledger.retry(scenario.go("b"), NotApplied("near_midnight", "wait"), 60, let_go=True) == "retrying"
    scenario.accept(request("a", SAME, force=True, reason="now"))
    scenario.go("a")
    scenario.world.advance(60)
    assert scenario.claim("b").state == "duplicate"
    scenario.world.advance(scenario.policy.retry_deadline)
    rejected(scenario, scenario.go("a"))

    assert scenario.ledger.retry(scenario.go("b"), BUSY, 60) == "retrying"


def test_the_source_event_of_a_duplicate_may_be_announced_again(scenario: Scenario):
    """Else the two would be duplicates of one another when a third comes to nothing."""
    scenario.accept(request("b", SAME, event_id="e1"))
    assert scenario.ledger.retry(scenario.go("b"), NotApplied("near_midnight", "wait"), 60, let_go=True) == "retrying"
    scenario.accept(request("a", SAME, force=True, reason="now"))
    scenario.go("a")
    scenario.world.advance(60)
    assert scenario.claim("b").state == "duplicate"
    ask(scenario, "c", OTHER, event_id="e1")

    assert scenario.names("c")[-1] == "deferred"


def test_an_end_that_may_have_started_something_takes_nothing_up(scenario: Scenario):
    lease = same_file(scenario)
    assert scenario.ledger.record_intent(lease, ()) is not None
    assert scenario.ledger.mark_ambiguous(lease, DOUBT, 60, scenario.policy)
    scenario.world.advance(60)
    assert scenario.ledger.retry(scenario.look("a").lease, NotApplied("nothing_started", "again"), 0) == "retrying"

    assert scenario.ledger.reject(scenario.go("a"), REFUSED) == "start_unknown"
    assert scenario.names("b")[-1] == "duplicate"


def test_an_end_whose_reply_was_lost_takes_up_one(scenario: Scenario):
    lease = same_file(scenario)
    ask(scenario, "c")
    rejected(scenario, lease)
    rejected(scenario, lease)

    assert [scenario.names(name)[-1] for name in "bc"] == ["duplicate", "accepted"]
    assert scenario.names("c").count("accepted") == 2


def test_a_task_that_comes_late_makes_the_taken_up_one_a_duplicate_again(scenario: Scenario):
    lease = same_file(scenario)
    gave_up(scenario, lease)
    scenario.commit(lease, "1")

    assert scenario.claim("b") == AlreadyEnded(state="duplicate", held_by="a")


def test_what_became_a_duplicate_after_a_budget_had_held_it_stays_as_it_is(scenario: Scenario):
    """Its record keeps what failed last, for it may be taken up again."""
    scenario.arrives("a")
    scenario.ledger.retry(scenario.go("a"), SPENT, 60, let_go=True)
    scenario.world.advance(60)
    scenario.arrives("b")
    scenario.sends("b")
    scenario.decide_by(when_too_soon="drop")
    scenario.claim("a")
    assert scenario.world.state("a") == "duplicate"
    scenario.world.advance(1)
    before = scenario.world.record("a")
    Asker(scenario).take("rest", need=0)

    assert scenario.world.record("a") == before
