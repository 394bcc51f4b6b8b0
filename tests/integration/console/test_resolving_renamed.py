"""The run of an unknown start is one of its definition, whatever CustomerKey that has by now."""

import pytest

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
    assert isinstance(ledger.record_intent(claimed.lease, ()), float)
    ledger.mark_ambiguous(claimed.lease, NotApplied("read_timeout", "no answer"), 0.0, Policy())
    looked = ledger.claim(asked, "two", Policy())
    assert ledger.record_start_unknown(looked.lease, (), 6.0)  # type: ignore[union-attr]
    return name


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
