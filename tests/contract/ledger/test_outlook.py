"""What `outlook` says about a file is what the ledger then decides, in every situation of a definition."""

from collections.abc import Callable
from dataclasses import replace
from datetime import time

import pytest

from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.outlook import Outlook, predict
from sfmc_import.request import FileInfo
from sfmc_import.states import AlreadyEnded, NotYet, StartNow
from tests.contract.ledger.scenario import HOUR, KEY, MID, Scenario, file, request

DAY = 24 * HOUR
FILE = replace(file("new.csv"), content_hash="0123456789abcdef")


class MovedReader(LedgerReader):
    """Reads on the clock of the scenario, as the scripts do."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario.world.client, scenario.ledger.keys)
        self._world = scenario.world

    def now(self) -> float:
        return self._world.now_ms() / 1000


def outlook(scenario: Scenario, wanted: FileInfo, event_id: str | None = None) -> Outlook:
    groups = [group for group, _ in scenario.policy.limits]
    standing = MovedReader(scenario).standing(MID, KEY, wanted, "new", event_id, scenario.policy.after, groups)
    return predict(wanted, standing, scenario.policy)


def decided(scenario: Scenario, wanted: FileInfo, event_id: str | None = None) -> str:
    scenario.accept(request("new", wanted, event_id=event_id))
    decision = scenario.claim("new")
    if isinstance(decision, StartNow):
        return "start"
    assert isinstance(decision, (NotYet, AlreadyEnded))
    return {"deferred": "wait", "duplicate": "duplicate"}[decision.state]


def free(_: Scenario) -> None: ...


def running(scenario: Scenario) -> None:
    scenario.arrives_and_starts("a")


def in_window(scenario: Scenario) -> None:
    scenario.arrives_and_starts("a", window=1)
    scenario.ends("a")


def ended(scenario: Scenario) -> None:
    scenario.arrives_and_starts("a")
    scenario.ends("a")


def window_over(scenario: Scenario) -> None:
    in_window(scenario)
    scenario.world.advance(HOUR + 1)


def handled(scenario: Scenario) -> None:
    scenario.accept(request("a", FILE))
    scenario.start("a")
    scenario.ends("a")


def handled_with_other_content(scenario: Scenario) -> None:
    scenario.accept(request("a", replace(FILE, content_hash="f" * 16)))
    scenario.start("a")
    scenario.ends("a")


def handled_unread(scenario: Scenario) -> None:
    scenario.accept(request("a", replace(FILE, content_hash=None)))
    scenario.start("a")
    scenario.ends("a")


def window_that_the_policy_made_longer(scenario: Scenario) -> None:
    window_over(scenario)
    scenario.decide_by(frequency=3.0)


def window_that_the_policy_made_shorter(scenario: Scenario) -> None:
    in_window(scenario)
    scenario.world.advance(HOUR / 2)
    scenario.decide_by(frequency=0.4)


def others_wait(scenario: Scenario) -> None:
    in_window(scenario)
    scenario.arrives("b")
    scenario.claim("b")
    scenario.world.advance(HOUR + 1)


def drops(scenario: Scenario) -> None:
    in_window(scenario)
    scenario.decide_by(when_too_soon="drop")


def drops_while_running(scenario: Scenario) -> None:
    running(scenario)
    scenario.decide_by(when_too_soon="drop")


def keeps_while_another_waits(scenario: Scenario) -> None:
    scenario.decide_by(when_too_soon="drop", after=("Contacts",))
    scenario.arrives("b")
    scenario.claim("b")


def paused(scenario: Scenario) -> None:
    scenario.ledger.pause("all", "ann", "look first", None)


def paused_in_the_window(scenario: Scenario) -> None:
    drops(scenario)
    scenario.ledger.pause(f"key:{MID}:{KEY}", "ann", "look first", scenario.world.now_ms() / 1000 + 10 * HOUR)


def pause_over(scenario: Scenario) -> None:
    scenario.ledger.pause(f"mid:{MID}", "ann", "look first", scenario.world.now_ms() / 1000 + HOUR)
    scenario.world.advance(HOUR)


def another_comes_first(scenario: Scenario) -> None:
    scenario.decide_by(after=("contacts",))


def another_came_first(scenario: Scenario) -> None:
    scenario.world.advance(DAY - scenario.world.now_ms() / 1000 % DAY + HOUR)
    ended(scenario)
    scenario.decide_by(after=(KEY.replace("Daily", "DAILY") + "  ",), after_since=time(0), time_zone="UTC")


def limited(scenario: Scenario, *running: str) -> None:
    """One import of the group may run at once; these come for other definitions, and the first one runs."""
    scenario.decide_by(group="nightly", group_limit=1, max_running=9)
    for name in running:
        scenario.arrives(name, key=f"key-{name}")
        scenario.claim(name)
        scenario.world.advance(1)


def group_full(scenario: Scenario) -> None:
    limited(scenario, "a")


def account_full(scenario: Scenario) -> None:
    group_full(scenario)
    scenario.decide_by(group=None, max_running=1)


def place_free_again(scenario: Scenario) -> None:
    limited(scenario)
    scenario.arrives_and_starts("a", key="key-a")
    scenario.ends("a")


def place_kept_for_another(scenario: Scenario) -> None:
    limited(scenario)
    scenario.arrives_and_starts("a", key="key-a")
    for _ in range(2):
        limited(scenario, "b")
    scenario.ends("a")


def place_kept_too_long(scenario: Scenario) -> None:
    place_kept_for_another(scenario)
    scenario.world.advance(61)


def place_of_a_lost_record(scenario: Scenario) -> None:
    group_full(scenario)
    scenario.world.lose("a")
    scenario.world.client.zrem(scenario.world.keys.due, "a")


def group_full_in_the_window(scenario: Scenario) -> None:
    in_window(scenario)
    group_full(scenario)


def group_full_and_paused(scenario: Scenario) -> None:
    group_full(scenario)
    paused(scenario)


SITUATIONS: list[tuple[Callable[[Scenario], None], str, str]] = [
    (free, "start", "free"),
    (running, "wait", "single_flight"),
    (in_window, "wait", "window"),
    (ended, "start", "free"),
    (window_over, "start", "free"),
    (window_that_the_policy_made_longer, "wait", "window"),
    (window_that_the_policy_made_shorter, "start", "free"),
    (handled, "duplicate", "file"),
    (handled_unread, "duplicate", "file"),
    (handled_with_other_content, "start", "free"),
    (others_wait, "wait", "single_flight"),
    (another_comes_first, "wait", "after"),
    (another_came_first, "start", "free"),
    (drops, "duplicate", "too_soon"),
    (drops_while_running, "duplicate", "too_soon"),
    (keeps_while_another_waits, "wait", "single_flight"),
    (paused, "wait", "paused"),
    (paused_in_the_window, "wait", "window"),
    (pause_over, "start", "free"),
    (group_full, "wait", "rate_limited"),
    (account_full, "wait", "rate_limited"),
    (place_free_again, "start", "free"),
    (place_kept_for_another, "wait", "rate_limited"),
    (place_kept_too_long, "start", "free"),
    (place_of_a_lost_record, "start", "free"),
    (group_full_in_the_window, "wait", "window"),
    (group_full_and_paused, "wait", "paused"),
]


@pytest.mark.parametrize(("situation", "what", "reason"), SITUATIONS, ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_said_is_what_is_decided(
    scenario: Scenario, situation: Callable[[Scenario], None], what: str, reason: str
) -> None:
    situation(scenario)
    said = outlook(scenario, FILE)

    assert (said.what, said.reason) == (what, reason)
    assert decided(scenario, FILE) == what


@pytest.mark.parametrize("situation", [free, running, in_window, ended])
def test_a_file_known_by_name_alone_is_a_duplicate_only_while_its_definition_is_blocked(
    scenario: Scenario, situation: Callable[[Scenario], None]
) -> None:
    bare = file("a.csv", version=None, size=None)
    scenario.accept(request("a0", bare))
    scenario.start("a0")
    scenario.ends("a0")
    situation(scenario)
    said = outlook(scenario, bare)

    assert decided(scenario, bare) == said.what


def test_an_event_that_was_handled_is_a_duplicate(scenario: Scenario) -> None:
    bare = file("a.csv", version=None, size=None)
    scenario.accept(request("a", bare, event_id="e1"))
    scenario.start("a")
    scenario.ends("a")

    assert outlook(scenario, bare, "e1") == Outlook(what="duplicate", reason="event", by="a")
    assert outlook(scenario, bare, "e2").what == decided(scenario, bare, "e2") == "start"


def test_the_request_that_the_file_has_is_named(scenario: Scenario) -> None:
    scenario.accept(request("new", FILE))

    assert outlook(scenario, FILE) == Outlook(what="duplicate", reason="same_request", by="new")


def test_who_is_in_the_way_and_for_how_long_is_said(scenario: Scenario) -> None:
    in_window(scenario)

    said = outlook(scenario, FILE)
    assert (said.by, said.seconds) == ("a", pytest.approx(HOUR, abs=2))
