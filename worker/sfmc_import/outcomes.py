"""What became of a request in one call: for the log, and for the result of its task."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from sfmc_import.faults import Fault
from sfmc_import.identity import Identified
from sfmc_import.states import AlreadyEnded, Decision, NotYet


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a request stands now: the name of the log event, the state, and the fields of the log event."""

    event: str
    state: str
    facts: dict[str, Any] = field(default_factory=dict)


Work = Callable[[], Outcome]
LEASE_LOST = Outcome("lease_lost", "fenced")


def of_fault(event: str, state: str, fault: Fault, **facts: Any) -> Outcome:
    """Make the outcome that a fault leads to."""
    return Outcome(event, state, {"code": fault.code, "text": fault.text, **facts})


def explain(decision: Decision) -> Outcome:
    """Say why nothing is to be done."""
    assert isinstance(decision, (NotYet, AlreadyEnded))
    facts = {name: fact for name in ("held_by", "opens_in") if (fact := getattr(decision, name)) is not None}
    return Outcome("request_" + decision.state, decision.state, facts)


def as_asked(found: Identified, outcome: Outcome) -> Outcome:
    """Let the log name the definition as Marketing Cloud spells it, and beside it how it was asked for."""
    if found.customer_key == found.request.customer_key:
        return outcome
    named = {"customer_key": found.customer_key, "asked_key": found.request.named}
    return replace(outcome, facts={**named, **outcome.facts})
