"""The counts of the last 24 hours, made from events one after another."""

from typing import Any

from sfmc_import.operations import activity
from sfmc_import.operations.activity import HOURS, MS, Activity

NOON = 1_795_000_000_000 // MS * MS
MID = "510001234"


def entry(ms: int, word: str, request: str = "r1", key: str = "Orders", **more: Any) -> tuple[str, dict[str, Any]]:
    data = {"request_id": request, "mid": MID, **more}
    return f"{ms}-0", {"type": f"sfmc.import.{word}", "subject": key, "data": data}


def counted(*entries: tuple[str, dict[str, Any]]) -> Activity:
    made = Activity()
    made.add(entries)
    return made


def test_each_event_counts_in_its_hour_for_the_whole_and_for_its_definition() -> None:
    found = counted(
        entry(NOON - MS, "accepted"), entry(NOON - MS + 400, "started"), entry(NOON, "completed"),
        entry(NOON, "accepted", "r2"), entry(NOON + 1, "rejected", "r2", code="43010"),
    )  # fmt: skip
    day = found.day(NOON / 1000)

    assert [(hour.accepted, hour.started, hour.completed, hour.failed) for hour in day.hours[-2:]] == [
        (1, 1, 0, 0),
        (1, 0, 1, 1),
    ]
    assert (day.total("completed"), day.definitions) == (1, 1)
    assert found.definition(MID, "ORDERS", NOON / 1000).hours[-1].failed == 1


def test_the_time_to_the_start_is_the_limit_of_its_class_for_half_and_for_nearly_all() -> None:
    entries = [entry(NOON, "accepted", str(number)) for number in range(20)]
    entries += [entry(NOON + (90_000 if number > 17 else 150), "started", str(number)) for number in range(20)]
    hour = counted(*entries).day(NOON / 1000).hours[-1]

    assert (hour.quantile(0.5), hour.quantile(0.95)) == (0.2, 120)
    assert counted().day(NOON / 1000).hours[-1].quantile(0.5) is None


def test_hours_that_are_over_are_forgotten_and_a_definition_without_newer_ones_is_not_shown() -> None:
    found = counted(entry(NOON, "completed"), entry(NOON, "completed", "r2", "Old"))
    found.add([entry(NOON + HOURS * MS, "completed", "r3")])
    now = (NOON + HOURS * MS) / 1000

    assert found.day(now).total("completed") == 1
    assert [line.customer_key for line in found.definitions(now)] == ["Orders"]


def test_definitions_with_failures_come_first_then_the_newest() -> None:
    found = counted(
        entry(NOON - 2 * MS, "import_failed", "r1", "Broken"),
        entry(NOON - MS, "completed", "r2", "Earlier"),
        entry(NOON, "completed", "r3", "Later"),
    )

    assert [line.customer_key for line in found.definitions(NOON / 1000)] == ["Broken", "Later", "Earlier"]
    assert [line.customer_key for line in found.definitions(NOON / 1000, 1)] == ["Broken"]


def test_definitions_are_found_by_a_part_of_their_key_in_any_case_the_newest_first() -> None:
    keys = ("Daily_Orders", "Prices", "daily_contacts")
    found = counted(*(entry(NOON, "accepted", key, key) for key in keys))

    assert found.definitions_like("DAILY_") == [(MID, "daily_contacts"), (MID, "Daily_Orders")]
    assert found.definitions_like("DAILY_", 1) == [(MID, "daily_contacts")]


def test_what_is_kept_in_memory_is_bounded(monkeypatch) -> None:
    for name in ("MAX_DEFINITIONS", "MAX_WAITING"):
        monkeypatch.setattr(activity, name, 3)
    found = Activity()
    for number in range(10):
        found.add([entry(NOON, "accepted", f"r{number}", f"key{number}")])
    for number in range(10):
        found.add([entry(NOON + 1, "rejected", f"f{number}", "key9")])

    assert {line.customer_key for line in found.definitions(NOON / 1000)} == {"key9", "key8", "key7"}
    assert found.day(NOON / 1000).total("accepted") == 10


def test_the_newest_requests_of_a_definition_are_known_and_one_that_is_taken_up_anew_is_among_them() -> None:
    found = counted(*(entry(NOON, "accepted", f"r{number}") for number in range(30)))
    found.add([entry(NOON, "accepted", "r15")])
    newest = found.definition(MID, "Orders", NOON / 1000).newest

    assert newest == ("r15", *(f"r{number}" for number in range(29, 9, -1) if number != 15))


def test_an_event_that_is_no_event_of_a_request_changes_nothing() -> None:
    found = counted(entry(NOON, "deferred"), entry(NOON, "operator.paused"), entry(NOON, "never_heard_of"))

    assert found.day(NOON / 1000).definitions == 0
