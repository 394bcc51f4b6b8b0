"""What a use case tells its caller, for the log and for whoever waits for the result."""

from dataclasses import dataclass, field
from typing import Any

from worker.domain.faults import Fault


@dataclass(frozen=True, slots=True)
class Report:
    """Where a request stands now: a static event name for the log, the state, and facts worth a field."""

    event: str
    state: str
    facts: dict[str, Any] = field(default_factory=dict)


def of_fault(event: str, state: str, fault: Fault, **facts: Any) -> Report:
    """Tell of a fault by its code and text."""
    return Report(event, state, {"code": fault.code, "text": fault.text, **facts})


FENCED = Report("lease_lost", "fenced")


def of_retry(event: str, state: str | None, fault: Fault, pause: float) -> Report:
    """Tell of a postponed start, or that it was given up; `state` is what the ledger answered."""
    if state is None:
        return FENCED
    if state == "gave_up":
        return of_fault("request_gave_up", state, fault)
    return of_fault(event, state, fault, retry_in=round(pause, 1))
