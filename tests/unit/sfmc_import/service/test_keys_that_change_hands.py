"""A CustomerKey that is given to another definition starts neither of them in its window."""

from dataclasses import replace

import pytest

from sfmc_import.faults import Ambiguous, NotApplied, Rejected
from sfmc_import.policy import Policy
from sfmc_import.runs import Definition
from sfmc_import.states import StartNow
from tests.support.checks import name_of
from tests.support.system import MID, System
from tests.unit.sfmc_import.service.conftest import KEY, request

FIRST = Definition(customer_key=KEY, object_id="object-1", max_import_frequency=6)
SECOND = Definition(customer_key="next", object_id="object-2", max_import_frequency=6)
DOWN = NotApplied("9", "in maintenance")
HOUR = 3600.0


def events(system: System, request_id: str) -> list[dict]:
    return [event for event in system.world.events() if event["data"].get("request_id") == request_id]


def names(system: System, request_id: str) -> list[str]:
    return [name_of(event) for event in events(system, request_id)]


def last(system: System, request_id: str) -> dict:
    return events(system, request_id)[-1]["data"]


def change_hands(system: System) -> None:
    """The usual way to put a new version in place of an old one: KEY -> old, next -> KEY."""
    system.cloud.remove(SECOND.customer_key)
    system.cloud.add(replace(FIRST, customer_key="old"))
    system.cloud.add(replace(SECOND, customer_key=KEY))


def started(system: System) -> list[str]:
    return [perform.customer_key for perform in system.cloud.performs]


class Kept:
    """Definitions of a process that has read some within SFMC_DEFINITION_TTL."""

    def __init__(self, port, *kept: Definition) -> None:
        self.get = port.get
        self._kept = {one.customer_key: one for one in kept}

    def forget(self, _mid: str, key: str) -> None:
        """What is kept is set by the test."""

    def known(self, _mid: str, key: str) -> Definition | None:
        return self._kept.pop(key, None)


@pytest.fixture(autouse=True)
def define(system: System) -> None:
    system.cloud.add(FIRST)
    system.cloud.add(SECOND)


def start_second(system: System) -> None:
    system.submit(replace(request("second"), customer_key=SECOND.customer_key))
    system.work()
    assert names(system, "second")[-1] == "started"
    system.world.advance(60)


def has_read(system: System, *kept: Definition, ago: float = 60.0) -> None:
    """The process has read these so many seconds ago."""
    read = [replace(one, asked_at=system.boottime()) for one in kept]
    system.world.advance(ago)
    system.deps = replace(system.deps, definitions=Kept(system.deps.definitions, *read))


def pause(system: System, request_id: str, **more) -> None:
    """A request waits since before the change: its definition was read for it."""
    system.world.ledger.pause("all", "me", "why", None)
    system.submit(request(request_id, **more))
    system.work()
    system.world.ledger.lift_pause("all", "me", None)


@pytest.mark.parametrize("more", [{"file": None}, {}])
def test_what_waits_is_started_under_the_key_that_its_definition_has_now(system: System, more: dict):
    start_second(system)
    pause(system, "a", **more)
    system.world.advance(60)
    change_hands(system)
    system.live()

    assert started(system) == ["next", "old"]
    assert last(system, "a")["customer_key"] == "old"
    assert names(system, "a")[-1] == "completed"


@pytest.mark.parametrize("more", [{"file": None}, {}])
def test_a_request_after_the_change_asks_for_the_window_of_the_definition_that_has_the_key(system: System, more: dict):
    start_second(system)
    has_read(system, FIRST)
    change_hands(system)
    outcome = system.start(request("a", **more))
    assert (outcome.state, outcome.facts["code"]) == ("retrying", "other_definition")
    system.world.advance(60)
    system.sweep()
    system.work()

    assert started(system) == ["next"]
    assert names(system, "a")[-1] == ("deferred" if "file" not in more else "duplicate")
    system.live()
    assert started(system) == (["next", KEY] if "file" not in more else ["next"])


def test_the_definition_that_was_let_go_is_free(system: System):
    has_read(system, FIRST)
    change_hands(system)
    system.start(request("a"))

    assert system.start(replace(request("b"), customer_key="old")).state == "started"
    system.world.advance(60)
    system.live()
    assert started(system) == ["old", KEY]


def test_a_request_that_waits_for_the_window_of_the_wrong_definition_is_decided_anew(system: System):
    start_second(system)
    system.live()
    system.world.advance(6 * HOUR)
    system.submit(request("first"))
    system.work()
    system.world.advance(60)
    has_read(system, FIRST, ago=9.0)
    change_hands(system)
    assert system.start(request("a")).state == "deferred"
    assert names(system, "a")[-2:] == ["deferred", "retrying"]
    system.sweep()
    system.work()

    assert started(system) == ["next", KEY, KEY]
    assert names(system, "a")[-1] == "started"


def test_a_definition_that_was_made_anew_under_its_key_keeps_the_window(system: System):
    system.submit(request("first", file=None))
    system.work()
    system.world.advance(60)
    pause(system, "a")
    system.cloud.add(replace(FIRST, object_id="object-3"))
    system.submit(request("b", file=None))
    system.work()

    assert names(system, "b")[-1] == "duplicate"
    assert started(system) == [KEY]


@pytest.mark.parametrize("file", [{"file": None}, {}])
def test_a_request_whose_definition_is_gone_is_decided_by_the_one_that_has_its_key(system: System, file: dict):
    system.policy = Policy(when_mismatch="start")
    start_second(system)
    pause(system, "a", **file)
    system.world.advance(60)
    system.cloud.remove(SECOND.customer_key)
    system.cloud.add(replace(SECOND, customer_key=KEY))
    system.work()
    system.sweep()
    system.work()
    system.world.advance(60)
    system.sweep()
    system.work()

    assert started(system) == ["next"]
    assert names(system, "a")[-1] == ("deferred" if not file else "duplicate")


def test_a_file_whose_definition_is_gone_is_rejected(system: System):
    pause(system, "a")
    system.world.advance(60)
    system.cloud.remove(SECOND.customer_key)
    system.cloud.add(replace(SECOND, customer_key=KEY))
    system.live()

    assert (names(system, "a")[-1], last(system, "a")["code"]) == ("rejected", "pattern_mismatch")


def test_while_its_definition_cannot_be_found_by_object_id_a_request_waits(system: System):
    pause(system, "a")
    system.world.advance(60)
    change_hands(system)
    by_object, system.cloud.definition_of_object = system.cloud.definition_of_object, lambda *_: DOWN
    system.sweep()
    system.work()
    assert (names(system, "a")[-1], last(system, "a")["code"]) == ("retrying", "9")
    system.cloud.definition_of_object = by_object
    system.live()

    assert started(system) == ["old"]


def test_a_key_that_changes_hands_between_check_and_send_starts_nothing(system: System):
    start_second(system)
    runs_of = system.cloud.runs_of

    def slow(*asked, **more):
        system.cloud.runs_of = runs_of
        change_hands(system)
        system.world.advance(15)
        return runs_of(*asked, **more)

    system.cloud.runs_of = slow
    outcome = system.start(request("a"))
    assert (outcome.state, outcome.facts["code"]) == ("retrying", "key_changed")
    system.live()

    assert started(system) == ["next", "old"]


def test_a_key_that_changed_since_its_last_reading_is_found_by_object_id_after_perform(system: System):
    perform = system.cloud.start

    def rename(*asked, **more):
        system.cloud.start = perform
        system.cloud.remove(KEY)
        system.cloud.add(replace(FIRST, customer_key="new"))
        return Rejected("43010", "no such definition")

    system.cloud.start = rename
    assert system.start(request("a", file=None)).state == "started"
    assert started(system) == ["new"]
    assert last(system, "a")["asked_key"] == KEY


def test_a_key_that_perform_does_not_know_is_asked_for_once(system: System):
    asked = []

    def refuse(_mid, key, **_):
        asked.append(key)
        system.cloud.remove(asked[-1])
        system.cloud.add(replace(FIRST, customer_key=f"new-{len(asked)}"))
        return Rejected("43010", "no such definition")

    system.cloud.start = refuse
    assert system.start(request("a")).state == "rejected"
    assert asked == [KEY, "new-1"]


def test_after_an_attempt_without_proof_the_other_definition_is_not_started(system: System):
    has_read(system, FIRST)
    definition = system.cloud.definition
    system.deps.definitions.get(MID, KEY)
    system.world.advance(5)

    def refuse(*_, **__):
        del system.cloud.start
        change_hands(system)
        system.cloud.definition = lambda *_: DOWN
        system.world.advance(15)
        return NotApplied("http_429", "not so fast", account_wide=True)

    system.cloud.start = refuse
    assert system.start(request("a", file=None)).state == "retrying"
    system.cloud.definition = definition
    system.live()

    assert started(system) == []
    assert names(system, "a")[-1] == "rejected"


def test_a_reply_after_its_request_was_lost_keeps_the_window_of_a_renamed_definition(system: System):
    system.submit(request("first"))
    system.live()
    system.world.advance(7 * 3600)
    system.cloud.remove(KEY)
    system.cloud.add(replace(FIRST, customer_key="new"))
    asking = replace(request("a", file=None), customer_key="new")
    perform = system.cloud.start

    def lose(*asked, **more):
        for key in system.world.client.scan_iter("*:r:a"):
            system.world.client.delete(key)
        return perform(*asked, **more)

    system.cloud.start = lose
    assert system.start(asking).state == "started"
    system.cloud.start = perform
    system.live()
    assert system.start(replace(asking, request_id="b")).state == "duplicate"


def test_the_decision_names_the_definition_whose_window_was_asked(system: System):
    claimed = []

    class Seen:
        def __init__(self, port) -> None:
            self._port = port

        def __getattr__(self, name):
            return getattr(self._port, name)

        def claim(self, *args):
            claimed.append(self._port.claim(*args))
            return claimed[-1]

    has_read(system, FIRST)
    system.start(request("a"), replace(system.deps, ledger=Seen(system.world.ledger)))
    assert isinstance(claimed[0], StartNow)
    assert (claimed[0].object_id, claimed[0].first) == ("object-1", None)


# --- A start in doubt whose definition gets another CustomerKey.


@pytest.mark.parametrize("code", ["http_429", "http_503"])
@pytest.mark.parametrize("shown_under", [KEY, "new"])
def test_a_run_is_found_under_whatever_key_it_is_shown(system: System, code: str, shown_under: str):
    fault = NotApplied(code, "no", account_wide=True) if code == "http_429" else Ambiguous(code, "no", denied=True)
    system.cloud.fail("start", fault, applied=True)
    runs_of = system.cloud.runs_of
    system.cloud.runs_of = lambda mid, key, **more: runs_of(mid, KEY, **more) if key == shown_under else []
    system.submit(request("a"))
    system.work()
    system.cloud.remove(KEY)
    system.cloud.add(replace(FIRST, customer_key="new"))
    system.live()

    assert started(system) == [KEY]
    assert names(system, "a")[-1] == "completed"


def test_while_the_runs_under_the_first_key_cannot_be_listed_nothing_is_sent(system: System):
    system.cloud.fail("start", NotApplied("http_429", "no", account_wide=True), applied=True)
    system.submit(request("a"))
    system.work()
    system.cloud.remove(KEY)
    system.cloud.add(replace(FIRST, customer_key="new"))
    runs_of = system.cloud.runs_of
    system.cloud.runs_of = lambda _mid, key, **_: DOWN if key == KEY else []
    system.world.advance(600)
    system.sweep()
    system.work()
    assert (names(system, "a")[-1], last(system, "a")["code"]) == ("retrying", "9")
    system.cloud.runs_of = runs_of
    system.live()

    assert started(system) == [KEY]


def in_doubt(system: System, *, applied: bool) -> None:
    system.policy = Policy(reconcile_deadline=300.0)
    system.cloud.fail("start", Ambiguous("reset", "connection reset"), applied=applied)
    system.start(request("a"))


def test_a_run_of_the_definition_that_has_the_key_now_is_not_taken_for_a_start_in_doubt(system: System):
    in_doubt(system, applied=False)
    change_hands(system)
    other = system.cloud.started_elsewhere(KEY)
    system.live()

    assert (names(system, "a")[-1], last(system, "a")["candidates"]) == ("start_unknown", [other])


def test_a_start_in_doubt_is_found_under_the_key_that_its_definition_has_now(system: System):
    in_doubt(system, applied=True)
    system.cloud.remove(KEY)
    system.cloud.add(replace(FIRST, customer_key="moved"))
    system.cloud.show_runs_under(KEY, "moved")
    system.live()

    assert names(system, "a")[-1] == "completed"
