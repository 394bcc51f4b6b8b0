"""What the ledger would decide about a file, from what it has; the contract layer compares it with the ledger."""

from datetime import UTC, datetime, time

import pytest

from sfmc_import.outlook import Outlook, Standing, predict
from sfmc_import.policy import Policy
from sfmc_import.request import FileInfo
from sfmc_import.runs import Definition

FILE = FileInfo(location="/in", name="a.csv", size=5, modified_ns=1, content_hash="a" * 16)
NAMED = FileInfo(location="/in", name="a.csv")
SAME, OTHER, UNREAD = (
    {"request_id": "h", "file": {"content_hash": value}} for value in (FILE.content_hash, "b" * 16, None)
)
HOLDER, FIRST = {"request_id": "r"}, {"request_id": "f"}
NOON = datetime(2026, 3, 7, 12, tzinfo=UTC).timestamp()


def outlook(file: FileInfo = FILE, policy: Policy = Policy(), **standing) -> Outlook:  # noqa: B008 - it is frozen
    return predict(file, Standing(**standing), policy)


def test_a_free_definition_starts() -> None:
    assert outlook() == Outlook(what="start", reason="free")


@pytest.mark.parametrize(
    ("standing", "reason", "by"),
    [
        ({"own": {"request_id": "o"}, "event_handled": SAME}, "same_request", "o"),
        ({"event_handled": {"request_id": "e"}, "handled": SAME}, "event", "e"),
        ({"handled": SAME}, "file", "h"),
        ({"handled": UNREAD}, "file", "h"),
        ({"handled": {"request_id": "h"}}, "file", "h"),
    ],
)
def test_what_was_handled_is_a_duplicate(standing: dict, reason: str, by: str) -> None:
    assert outlook(**standing) == Outlook(what="duplicate", reason=reason, by=by)


def test_other_content_of_the_same_size_and_time_starts() -> None:
    assert outlook(handled=OTHER).what == "start"


def test_a_file_known_by_name_alone_is_a_duplicate_only_while_something_is_in_its_way() -> None:
    assert outlook(NAMED, handled=SAME).what == "start"
    assert outlook(NAMED, handled=SAME, holder=HOLDER).what == "duplicate"
    assert outlook(NAMED, handled=SAME, window_left=1.0).what == "duplicate"


def test_the_window_lasts_as_long_as_the_definition_asks_now() -> None:
    standing = Standing(window_left=9.0, window_by="w", window_age=3600.0)

    longer = predict(FILE, standing, Policy(), Definition(customer_key="k", max_import_frequency=2))
    assert longer == Outlook(what="wait", reason="window", by="w", seconds=3600.0)
    assert predict(FILE, standing, Policy(), Definition(customer_key="k")).what == "start"
    assert predict(FILE, standing, Policy()).seconds == 9.0
    assert predict(FILE, standing, Policy(frequency=3.0)).seconds == 7200.0


@pytest.mark.parametrize(
    ("standing", "reason", "by", "seconds"),
    [
        ({"holder": HOLDER, "first": FIRST}, "single_flight", "r", None),
        ({"holder": HOLDER, "window_left": 9.0}, "single_flight", "r", 9.0),
        ({"window_left": 9.0, "window_by": "w", "first": FIRST}, "window", "w", 9.0),
    ],
)
def test_what_is_in_the_way_is_waited_for_or_makes_a_duplicate_by_policy(standing, reason, by, seconds) -> None:
    assert outlook(**standing) == Outlook(what="wait", reason=reason, by=by, seconds=seconds)
    dropped = outlook(policy=Policy(when_too_soon="drop"), **standing)
    assert dropped == Outlook(what="duplicate", reason="too_soon", by=by, seconds=seconds)


@pytest.mark.parametrize("standing", [{"first": FIRST}, {"holder": HOLDER}])
def test_a_file_is_kept_where_another_one_waits_for_its_order_or_turn(standing) -> None:
    policy = Policy(when_too_soon="drop", after=("Contacts",))

    assert outlook(policy=policy, now=NOON, **standing).what == "wait"


@pytest.mark.parametrize(
    ("since", "completed", "reason"),
    [
        (None, {"a": NOON - 1, "b": NOON - 1}, "after"),
        (time(6), {"a": NOON - 3600, "b": NOON - 7200}, "free"),
        (time(6), {"a": NOON - 3600}, "after"),
        (time(6), {"a": NOON - 3600, "b": NOON - 6 * 3600 - 1}, "after"),
        (time(13, 30), {"a": NOON - 22 * 3600, "b": NOON - 1}, "free"),
    ],
)
def test_definitions_that_come_first_must_have_a_completed_run_that_counts(since, completed, reason) -> None:
    policy = Policy(after=("a", "b"), after_since=since)
    found = outlook(policy=policy, completed=completed, now=NOON)
    assert (found.reason, found.by) == (reason, None if reason == "free" else "a" if since is None else "b")


def test_a_pause_comes_before_the_order_and_says_when_it_ends() -> None:
    found = outlook(policy=Policy(after=("a",)), is_paused=True, pause_left=60.0)
    assert found == Outlook(what="wait", reason="paused", seconds=60.0)


NIGHTLY = Policy(group="nightly", group_limit=2, max_running=5)


@pytest.mark.parametrize(
    ("running", "full"),
    [
        ({}, None),
        ({"nightly": 1, "*": 4}, None),
        ({"nightly": 2, "*": 4}, "nightly"),
        ({"nightly": 3, "*": 5}, "*"),
        ({"nightly": 0, "*": 6}, "*"),
        ({"weekly": 9}, None),
    ],
)
def test_a_place_among_as_many_imports_as_may_run_is_waited_for(running, full) -> None:
    found = outlook(policy=NIGHTLY, running=running)

    assert (found.what, found.reason) == (("start", "free") if full is None else ("wait", "rate_limited"))
    assert found.by == full


def test_without_a_limit_no_place_is_waited_for_and_what_comes_first_is_said_first() -> None:
    full = {"nightly": 2}
    assert outlook(policy=Policy(group="nightly"), running=full).what == "start"
    assert outlook(policy=NIGHTLY, running=full, is_paused=True).reason == "paused"
    assert outlook(policy=NIGHTLY, running=full, holder=HOLDER).reason == "single_flight"
    assert outlook(policy=Policy(after=("a",), max_running=1), running={"*": 1}, now=NOON).reason == "after"


@pytest.mark.parametrize(
    ("now", "begin"),
    [
        ("2027-03-28T06:00", "2027-03-28T00:00"),  # the clocks went forward at 01:00 UTC
        ("2027-03-27T06:00", "2027-03-27T00:00"),
        ("2027-03-29T06:00", "2027-03-28T23:00"),
        ("2027-10-31T06:00", "2027-10-30T23:00"),  # and back at 01:00 UTC
        ("2027-11-01T06:00", "2027-11-01T00:00"),
    ],
)
def test_since_a_time_of_day_is_meant_by_the_clocks_of_that_moment(now: str, begin: str) -> None:
    at, last = (datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() for text in (now, begin))
    policy = Policy(after=("a",), after_since=time(1), time_zone="Europe/Berlin")

    assert outlook(policy=policy, completed={"a": last - 1}, now=at).reason == "after"
    assert outlook(policy=policy, completed={"a": last}, now=at).reason == "free"
