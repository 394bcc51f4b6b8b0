"""What the ledger answers to a request that is seen for the first time, or again."""

import dataclasses

import pytest

from sfmc_import.faults import Rejected
from sfmc_import.request import FileInfo
from sfmc_import.states import AlreadyEnded, NotYet, StartNow
from tests.contract.ledger.scenario import HOUR, KEY, MID, Scenario, file, request


def test_a_new_request_is_recorded_and_due_after_the_grace_of_its_message(scenario: Scenario):
    assert scenario.ledger.accept(request("a", file())) is True
    assert scenario.names("a") == ["accepted"]
    assert scenario.due_in("a") == 5


def test_a_request_id_is_recorded_once(scenario: Scenario):
    scenario.arrives("a")

    assert scenario.ledger.accept(request("a", file("other.csv"))) is False
    assert scenario.names("a") == ["accepted"]
    assert scenario.ledger.load("a") == scenario.requests["a"]


def test_a_message_whose_request_is_not_recorded_is_recorded_first(scenario: Scenario):
    given = request("a", file())

    decision = scenario.ledger.claim(given, "w1", scenario.policy)

    assert isinstance(decision, StartNow)
    assert scenario.names("a") == ["accepted", "starting"]
    assert scenario.ledger.load("a") == given


def test_every_field_of_a_request_comes_back_as_it_was(scenario: Scenario):
    given = request(
        "a",
        file("größe 'quoted'\\.csv", size=2**53 + 1),
        event_id="e:1",
        source="s3 ☂",
        force=True,
        reason="by hand\nbecause",
    )
    scenario.accept(given)

    assert scenario.ledger.load("a") == given
    assert scenario.ledger.load("b") is None


def test_a_grant_names_its_definition_fence_attempt_and_lease(scenario: Scenario):
    scenario.arrives("a")

    lease = scenario.go("a")

    assert (lease.request_id, lease.mid, lease.customer_key) == ("a", MID, KEY)
    assert (lease.fence, lease.attempt, lease.seconds) == (scenario.world.now_ms(), 1, 180.0)
    assert scenario.due_in("a") == 180


def replaced(scenario: Scenario, before: str | None, after: str | None) -> object:
    """Start a file, then decide about one of the same name, size and time, with these hashes of their content."""
    first = FileInfo(location="/in", name="a.csv", size=4, modified_ns=7, content_hash=before)
    scenario.accept(request("a", first))
    scenario.start("a")
    scenario.ends("a")
    scenario.accept(request("b", dataclasses.replace(first, content_hash=after)))
    return scenario.claim("b")


def test_a_file_that_was_replaced_by_one_of_the_same_size_and_time_starts_by_its_content(scenario: Scenario):
    assert isinstance(replaced(scenario, "one", "other"), StartNow)


@pytest.mark.parametrize("hashes", [("one", "one"), ("one", None), (None, "one"), (None, None)])
def test_a_file_of_the_same_size_and_time_is_a_duplicate_unless_its_content_says_otherwise(
    scenario: Scenario, hashes: tuple[str | None, str | None]
):
    replaced(scenario, *hashes)

    assert (scenario.names("b")[-1], scenario.last("b")["why"]) == ("duplicate", "file")


def test_a_second_worker_waits_while_the_lease_holds(scenario: Scenario):
    scenario.arrives("a")
    scenario.go("a")

    assert scenario.claim("a") == NotYet(state="starting", held_by="a")


def test_the_same_fingerprint_is_a_duplicate_after_its_import_ended(scenario: Scenario):
    scenario.accept(request("a", file()))
    scenario.start("a")
    scenario.ends("a")
    scenario.accept(request("b", file()))

    assert scenario.claim("b") == AlreadyEnded(state="duplicate", held_by="a")
    assert scenario.names("b") == ["accepted", "duplicate"]
    assert scenario.last("b")["why"] == "file"
    assert scenario.due_in("b") is None


def test_the_same_source_event_is_a_duplicate_even_with_another_file(scenario: Scenario):
    scenario.arrives_and_starts("a", event_id="e1")
    scenario.ends("a")
    scenario.arrives("b", event_id="e1")

    assert scenario.claim("b") == AlreadyEnded(state="duplicate", held_by="a")
    assert scenario.last("b")["why"] == "event"


def test_the_same_source_event_id_at_another_definition_is_its_own(scenario: Scenario):
    scenario.accept(request("a", key="k", event_id="b:c"))
    scenario.accept(request("b", key="k:b", event_id="c"))
    scenario.start("a")

    assert isinstance(scenario.claim("b"), StartNow)


def test_a_request_without_a_file_in_the_window_is_a_duplicate_that_names_the_holder(scenario: Scenario):
    scenario.arrives_and_starts("a", window=2)
    scenario.ends("a")
    scenario.world.advance(HOUR)
    scenario.accept(request("b"))

    assert scenario.claim("b") == AlreadyEnded(state="duplicate", held_by="a", opens_in=3600.0)
    data = scenario.last("b")
    assert (data["why"], data["held_by"], data["window_opens"]) == ("window", "a", "2027-01-15T10:00:00.000Z")


def test_a_request_without_a_file_during_a_run_is_a_duplicate_also_without_a_window(scenario: Scenario):
    scenario.arrives_and_starts("a")
    scenario.accept(request("b"))

    assert scenario.claim("b") == AlreadyEnded(state="duplicate", held_by="a")


def test_the_window_slides_and_opens_to_the_millisecond(scenario: Scenario):
    scenario.arrives_and_starts("a", window=1)
    scenario.ends("a")
    scenario.accept(request("b"))
    scenario.accept(request("c"))
    scenario.world.advance(HOUR - 0.001)
    assert isinstance(scenario.claim("b"), AlreadyEnded)
    scenario.world.advance(0.001)

    assert isinstance(scenario.claim("c"), StartNow)


def test_a_file_known_by_name_alone_is_a_duplicate_only_while_the_window_is_closed(scenario: Scenario):
    scenario.accept(request("a", file(version=None)))
    scenario.start("a", window=1)
    scenario.ends("a")
    scenario.accept(request("b", file(version=None)))
    assert scenario.claim("b").state == "duplicate"
    scenario.world.advance(HOUR)
    scenario.accept(request("c", file(version=None)))

    assert isinstance(scenario.claim("c"), StartNow)


def test_a_file_known_by_name_alone_is_another_arrival_with_each_source_event(scenario: Scenario):
    scenario.accept(request("a", file(version=None, size=None), event_id="e1"))
    scenario.start("a", window=6)

    scenario.accept(request("b", file(version=None, size=None), event_id="e2"))
    assert scenario.claim("b") == NotYet(state="deferred", held_by="a", opens_in=6 * HOUR)
    scenario.accept(request("c", file(version=None, size=None), event_id="e2"))
    assert scenario.claim("c") == AlreadyEnded(state="duplicate", held_by="b", opens_in=6 * HOUR)

    scenario.ends("a")
    scenario.world.advance(6 * HOUR)
    assert isinstance(scenario.claim("b"), StartNow)


def test_a_file_known_by_name_alone_is_no_other_arrival_without_a_source_event_of_its_own(scenario: Scenario):
    scenario.accept(request("a", file(version=None, size=None), event_id="e1"))
    scenario.start("a", window=6)
    scenario.accept(request("b", file(version=None, size=None)))

    assert scenario.claim("b") == AlreadyEnded(state="duplicate", held_by="a", opens_in=6 * HOUR)


def test_definitions_do_not_stand_in_each_others_way(scenario: Scenario):
    scenario.arrives_and_starts("a", window=24)
    scenario.arrives("b", key="Other")

    assert isinstance(scenario.claim("b"), StartNow)


def test_a_file_too_soon_is_dropped_where_the_policy_says_so_and_may_be_announced_again(scenario: Scenario):
    scenario.decide_by(when_too_soon="drop")
    scenario.arrives_and_starts("a", window=1)
    scenario.ends("a")
    scenario.accept(request("b", file("b.csv")))
    assert scenario.claim("b").state == "duplicate"
    assert scenario.last("b")["why"] == "too_soon"
    scenario.world.advance(HOUR)
    scenario.accept(request("c", file("b.csv")))

    assert isinstance(scenario.claim("c"), StartNow)


def test_a_forced_request_starts_inside_the_window_but_not_during_a_run(scenario: Scenario):
    scenario.arrives_and_starts("a", window=5)
    scenario.accept(request("b", force=True))
    assert scenario.claim("b").state == "deferred"
    scenario.ends("a")

    assert scenario.due_in("b") == 0
    assert isinstance(scenario.claim("b"), StartNow)


def test_a_forced_request_may_import_the_same_file_again(scenario: Scenario):
    scenario.accept(request("a", file()))
    scenario.start("a", window=5)
    scenario.ends("a")
    scenario.accept(request("b", file(), force=True))

    assert isinstance(scenario.claim("b"), StartNow)


@pytest.mark.parametrize("state", ["duplicate", "rejected", "completed"])
def test_a_finished_request_stays_finished_when_its_message_comes_again(scenario: Scenario, state: str):
    scenario.arrives_and_starts("first")
    if state == "duplicate":
        scenario.accept(request("a"))
        scenario.claim("a")
    elif state == "rejected":
        scenario.ends("first")
        scenario.arrives("a")
        scenario.ledger.reject(scenario.go("a"), Rejected("43010", "no"))
    else:
        scenario.ends("first")
        scenario.arrives_and_starts("a")
        scenario.ends("a")
    before = scenario.names("a")

    decision = scenario.claim("a")

    assert isinstance(decision, AlreadyEnded)
    assert decision.state == state
    assert scenario.names("a") == before
    assert scenario.due_in("a") is None


def test_two_files_with_one_name_at_a_target_are_no_duplicates(scenario: Scenario):
    first = FileInfo(location="/in", name="orders.csv", size=4, version="v", arrived_as="o_1.csv")
    scenario.accept(request("a", first))
    scenario.start("a")
    scenario.ends("a")
    scenario.accept(request("b", dataclasses.replace(first, arrived_as="o_2.csv")))
    found = scenario.claim("b")

    assert isinstance(found, StartNow)
    assert found.file_name == "orders.csv"


def test_a_file_is_a_duplicate_of_itself_under_another_name_at_a_target(scenario: Scenario):
    first = FileInfo(location="/in", name="o_1.csv", size=4, version="v")
    scenario.accept(request("a", first))
    scenario.start("a")
    scenario.ends("a")
    scenario.accept(request("b", dataclasses.replace(first, name="orders.csv", arrived_as="o_1.csv")))
    scenario.claim("b")

    assert (scenario.names("b")[-1], scenario.last("b")["why"]) == ("duplicate", "file")
