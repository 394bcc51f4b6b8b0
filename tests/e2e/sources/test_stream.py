"""The source `stream`: a real Redis stream, real processes, the sandbox."""

import json
from collections.abc import Iterator

import pytest

from tests.support.processes import RunningSystem, running_system
from tests.support.rights import permit
from tests.support.sources import example_of, running_source
from tests.support.waiting import eventually

KEY = "drop:arrivals"
QUICK = example_of("stream", **{'kind = "stream"': 'kind = "stream"\nclaim_after = "1s"'})


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with running_system(least_rights=True) as made:
        permit(made.client, "producer", f"~{KEY}")
        made.worker()
        made.beat()
        for number in range(1, 4):
            made.sandbox.control.define(f"orders-{number}", FileSpec=f"orders_{number}.csv")
            made.sandbox.drop(f"orders_{number}.csv", "Key,Value\n1,one\n")
        made.sandbox.control.define("orders", FileSpec="orders_9.csv")
        made.sandbox.drop("orders_9.csv", "Key,Value\n1,one\n")
        made.client.xgroup_create(KEY, "sfmc-import", id="0", mkstream=True)
        yield made


def announce(system: RunningSystem, name: str, **more: object) -> None:
    event = {"file": {"location": "/in", "name": name, "size": 20, "version": "v1"}, **more}
    system.client.xadd(KEY, {"event": json.dumps(event)})


def ended(system: RunningSystem) -> dict[str, str]:
    """The file of each completed import, by definition."""
    events = [event for event in system.events() if event["type"] == "sfmc.import.completed"]
    return {event["subject"]: event["data"]["file"]["name"] for event in events}


def lag(system: RunningSystem) -> int:
    [group] = system.client.xinfo_groups(KEY)
    return group["pending"] + group["lag"]


def test_an_entry_becomes_one_completed_import_and_the_route_of_the_source_names_its_definition(system) -> None:
    announce(system, "orders_9.csv")
    announce(system, "orders_9.csv")
    with running_source(system, "arrivals", example_of("stream")):
        eventually(lambda: "orders" in ended(system), 30, "its import has completed")
        eventually(lambda: lag(system) == 0, 30, "both entries are acknowledged")
    assert ended(system)["orders"] == "orders_9.csv"
    assert len(system.sandbox.control.performs("orders")) == 1


def sources(system) -> list[dict]:
    found = map(json.loads, system.run("folders", "list", "--json").stdout.splitlines())
    return [each for each in found if each["location"] == "source:arrivals"]


def test_an_entry_that_cannot_be_read_is_set_aside_with_its_bytes_and_harms_no_other(system) -> None:
    system.client.xadd(KEY, {"event": "no JSON"})
    announce(system, "orders_1.csv", customer_key="orders-1")
    with running_source(system, "arrivals", example_of("stream")):
        eventually(lambda: len(system.sandbox.control.performs("orders-1")) == 1, 30, "the other one is started")
        eventually(lambda: lag(system) == 0, 30, "both are acknowledged")
        # Another test's process may have said that it stopped.
        [source] = eventually(
            lambda: [each for each in sources(system) if each["state"] == "watched"],
            30,
            "the source says how it stands",
        )
    assert source["folder"] == "source arrivals (stream)"
    assert source["looked_at"] is not None
    assert [each["state"] for each in sources(system)] == ["stopped"]
    letters = map(json.loads, system.run("dead-letters", "list", "--json").stdout.splitlines())
    [letter] = [each for each in letters if each["size"] == len(b"no JSON")]
    assert system.run("dead-letters", "show", letter["id"], "--raw").stdout == "no JSON"
    found = eventually(lambda: [e for e in system.events() if e["data"].get("dead_letter") == letter["id"]], 30, "said")
    assert [event["type"] for event in found] == ["sfmc.import.message_rejected"]


@pytest.mark.nightly
def test_a_dead_letter_that_is_replayed_and_still_cannot_be_read_is_a_dead_letter_again(system) -> None:
    def letters() -> set[str]:
        found = map(json.loads, system.run("dead-letters", "list", "--json").stdout.splitlines())
        return {each["id"] for each in found if each["size"] == len(b"still no JSON")}

    system.client.xadd(KEY, {"event": "still no JSON"})
    with running_source(system, "arrivals", example_of("stream")):
        for _ in range(3):
            [letter] = eventually(letters, 30, "it is a dead letter")
            assert system.run("dead-letters", "replay", letter).returncode == 0


def test_entries_of_a_source_that_was_killed_are_claimed_by_another(system) -> None:
    announce(system, "orders_2.csv", customer_key="orders-2")
    system.client.xreadgroup("sfmc-import", "dead", {KEY: ">"}, count=10)
    with running_source(system, "arrivals", QUICK):
        eventually(lambda: len(system.sandbox.control.performs("orders-2")) == 1, 30, "it is started")
        eventually(lambda: lag(system) == 0, 30, "it is acknowledged")


def test_an_entry_that_ended_every_process_that_read_it_is_set_aside_unread(system) -> None:
    announce(system, "orders_3.csv", customer_key="orders-3")
    [[_, [(entry, _)]]] = system.client.xreadgroup("sfmc-import", "dead", {KEY: ">"}, count=1)
    system.client.xclaim(KEY, "sfmc-import", "dead", 0, [entry], retrycount=10, idle=2000)
    with running_source(system, "arrivals", QUICK):
        eventually(lambda: "delivered 11 times" in system.run("dead-letters").stdout, 30, "it is set aside")
    assert system.sandbox.control.performs("orders-3") == []


def test_a_source_that_is_not_in_the_policy_file_is_one_line(system) -> None:
    with running_source(system, "other", example_of("stream")) as child:
        assert child.wait(30) == 2
    assert "source other: the policy file has only arrivals" in system.log_of(child).read_text("utf-8")
