"""The run of an unknown start is one of its definition, whatever CustomerKey that has by now."""

import pytest

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.faults import NotApplied
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.operations.errors import ConflictError
from sfmc_import.operations.resolving import resolve
from sfmc_import.policy import Policy
from sfmc_import.runs import Definition, Run
from sfmc_import.states import StartNow
from tests.support.console import MID, World

OLD, NEW = "orders", "orders-2027"
OBJECT = "object-1"


def unknown(world: World) -> str:
    """A start that was cut off, and of which no run was found."""
    name = world.submit(OLD)
    ledger = open_ledger(world.access.settings)
    asked = ledger.load(name)
    assert asked is not None
    claimed = ledger.claim(asked, "one", Policy(), Definition(customer_key=OLD, object_id=OBJECT))
    assert isinstance(claimed, StartNow)
    _is_unknown(world, name, claimed)
    return name


def _is_unknown(world: World, name: str, claimed: StartNow) -> None:
    ledger = open_ledger(world.access.settings)
    asked = ledger.load(name)
    assert asked is not None
    assert isinstance(ledger.record_intent(claimed.lease, ()), float)
    ledger.mark_ambiguous(claimed.lease, NotApplied("read_timeout", "no answer"), 0.0, Policy())
    looked = ledger.claim(asked, "two", Policy())
    assert ledger.record_start_unknown(looked.lease, (), 6.0)  # type: ignore[union-attr]


def resolved(world: World, request_id: str, shown: Definition | NotApplied | None) -> str:
    def ask(_mid: str, task_id: str) -> dict[str, Run]:
        return {task_id: Run(task_id=task_id, customer_key=NEW, status="Completed")}

    def ask_definition(mid: str, key: str) -> Definition | NotApplied | None:
        assert (mid, key) == (MID, NEW)
        return shown

    return resolve(world.access, request_id, "42", "ann", None, ask=ask, ask_definition=ask_definition).state


def test_the_run_of_a_definition_that_was_renamed_since_is_taken(world: World) -> None:
    assert resolved(world, unknown(world), Definition(customer_key=NEW, object_id=OBJECT)) == "started"


@pytest.mark.parametrize(
    "shown",
    [
        None,
        NotApplied("9", "in maintenance"),
        Definition(customer_key=NEW),
        Definition(customer_key=NEW, object_id="object-2"),
    ],
)
def test_the_run_of_another_definition_is_refused(world: World, shown: Definition | NotApplied | None) -> None:
    with pytest.raises(ConflictError, match="is one of the definition orders-2027, not of orders"):
        resolved(world, unknown(world), shown)


def test_who_said_that_nothing_was_started_may_say_the_run_later(world: World) -> None:
    name = unknown(world)
    assert resolve(world.access, name, None, "ann", "nothing in the history").state == "not_started"

    assert resolved(world, name, Definition(customer_key=NEW, object_id=OBJECT)) == "started"


# --- A CustomerKey that is given to another definition.


def given_to_another(world: World, *, met: bool) -> str:
    """An unknown start of a definition whose key another one has by now, which the ledger has met so or not."""
    name = unknown(world)
    if met:
        ledger = open_ledger(world.access.settings)
        for key in ("other", OLD):
            asked = ledger.load(world.submit(key))
            assert asked is not None
            ledger.claim(asked, "three", Policy(), Definition(customer_key=key, object_id="object-2"))
    return name


def resolved_with(world: World, request_id: str, key: str, shown: Definition | NotApplied | None) -> str:
    run = Run(task_id="42", customer_key=key, status="Completed")
    return resolve(
        world.access,
        request_id,
        "42",
        "ann",
        None,
        ask=lambda _, task: {task: run},
        ask_definition=lambda *_: shown,
    ).state


@pytest.mark.parametrize("met", [True, False])
def test_the_run_of_the_definition_that_got_its_key_is_refused(world: World, met: bool) -> None:
    name = given_to_another(world, met=met)

    with pytest.raises(ConflictError, match="is one of the definition orders, not of orders"):
        resolved_with(world, name, OLD, Definition(customer_key=OLD, object_id="object-2"))


@pytest.mark.parametrize("met", [True, False])
def test_its_own_run_is_taken_under_its_new_key(world: World, met: bool) -> None:
    name = given_to_another(world, met=met)

    assert resolved_with(world, name, NEW, Definition(customer_key=NEW, object_id=OBJECT)) == "started"


@pytest.mark.parametrize("key", [OLD, "ORDERS "])
def test_a_run_under_the_key_of_a_definition_that_is_gone_is_taken(world: World, key: str) -> None:
    assert resolved_with(world, unknown(world), key, None) == "started"


def test_where_the_definition_cannot_be_read_its_key_is_not_enough(world: World) -> None:
    with pytest.raises(ServiceUnavailableError, match="whether run 42 is one of orders"):
        resolved_with(world, unknown(world), OLD, NotApplied("9", "in maintenance"))


def test_a_definition_that_was_read_before_the_request_came_says_nothing(world: World) -> None:
    name = world.submit(OLD)
    ledger = open_ledger(world.access.settings)
    asked = ledger.load(name)
    assert asked is not None
    claimed = ledger.claim(asked, "one", Policy(), Definition(customer_key=OLD, object_id="object-0"), 600)
    assert isinstance(claimed, StartNow)
    _is_unknown(world, name, claimed)

    assert resolved_with(world, name, OLD, Definition(customer_key=OLD, object_id=OBJECT)) == "started"
