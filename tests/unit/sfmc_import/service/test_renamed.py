"""A request whose definition is given another CustomerKey while it waits is started under that, in its window."""

from dataclasses import replace

from sfmc_import.policy import Policy
from sfmc_import.runs import Definition
from tests.support.checks import by_request, check_finished, name_of
from tests.support.system import MID, System
from tests.unit.sfmc_import.service.conftest import KEY, request

DEFINITION = Definition(customer_key=KEY, object_id="object-1", max_import_frequency=2)
NEW = replace(DEFINITION, customer_key="daily-2027")
HOUR = 3600.0


def names(system: System, request_id: str) -> list[str]:
    return [name_of(event) for event in by_request(system.world.events())[request_id]]


def rename(system: System) -> None:
    system.cloud.remove(KEY)
    system.cloud.add(NEW)


def test_a_follow_up_is_started_under_the_new_key_when_its_window_is_over(system: System):
    system.cloud.add(DEFINITION)
    system.submit(request("a"))
    system.work()
    system.submit(request("b"))
    system.work()
    rename(system)
    system.live()

    assert names(system, "b")[-1] == "completed"
    assert [perform.customer_key for perform in system.cloud.performs] == [KEY, NEW.customer_key]
    check_finished(system.world, ["a", "b"])


def test_a_request_by_the_new_key_waits_for_the_window_of_the_old_one(system: System):
    system.cloud.add(DEFINITION)
    system.submit(request("a"))
    system.live()
    rename(system)
    system.submit(replace(request("b"), customer_key=NEW.customer_key))
    system.work()

    assert names(system, "b") == ["accepted", "deferred"]


def test_what_is_no_definition_any_more_is_rejected(system: System):
    system.cloud.add(DEFINITION)
    system.submit(request("a"))
    system.work()
    system.submit(request("b"))
    system.work()
    system.cloud.remove(KEY)
    system.live()

    assert names(system, "b")[-1] == "rejected"


def test_a_request_by_the_old_key_that_comes_after_the_change_is_rejected(system: System):
    system.cloud.add(DEFINITION)
    rename(system)
    system.submit(request("a"))
    system.live()

    assert names(system, "a")[-1] == "rejected"


def test_what_is_renamed_while_it_waits_keeps_the_order_of_its_new_key(system: System):
    """The policy of the new key asks for a run of `contacts` first; that of the old one asked for nothing."""
    ordered = Policy(after=("contacts",), frequency=0.0)
    policies = {NEW.customer_key: ordered}
    system.deps = replace(system.deps, policies=lambda _mid, key: policies.get(key, Policy(frequency=0.0)))
    system.cloud.add(DEFINITION)
    system.cloud.add(Definition(customer_key="contacts", object_id="object-2"))
    system.world.ledger.pause("all", "me", "why", None)
    system.submit(request("a"))
    system.work()
    rename(system)
    system.world.advance(60)
    system.world.ledger.lift_pause("all", "me", None)
    for _ in range(4):
        system.sweep()
        system.work()
        system.world.advance(60)
    assert system.cloud.performs == []
    assert system.world.record("a")["wait"] == "after"

    system.submit(replace(request("c"), customer_key="contacts"))
    system.live()
    assert [perform.customer_key for perform in system.cloud.performs] == ["contacts", NEW.customer_key]
    assert system.world.record("a")["state"] == "completed"


def test_what_is_renamed_into_a_full_group_while_it_waits_is_started_after_the_run_of_that_group(system: System):
    grouped = Policy(group="nightly", group_limit=1, frequency=0.0)
    policies = {NEW.customer_key: grouped, "contacts": grouped}
    system.deps = replace(system.deps, policies=lambda _mid, key: policies.get(key, Policy(frequency=0.0)))
    system.cloud.add(DEFINITION)
    system.cloud.add(Definition(customer_key="contacts", object_id="object-2"))
    system.world.ledger.pause(f"key:{MID}:{KEY}", "me", "why", None)
    system.submit(request("a"))
    system.work()
    rename(system)
    system.world.advance(60)
    system.submit(replace(request("c"), customer_key="contacts"))
    system.work()
    system.world.ledger.lift_pause(f"key:{MID}:{KEY}", "me", None)
    system.sweep()
    system.work()
    assert [perform.customer_key for perform in system.cloud.performs] == ["contacts"]
    assert "running_limit" in system.world.record("a")["error"]

    system.live()
    assert [perform.customer_key for perform in system.cloud.performs] == ["contacts", NEW.customer_key]
    assert [system.world.record(name)["state"] for name in "ac"] == ["completed", "completed"]
