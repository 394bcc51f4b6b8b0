"""Gives the sender of a message, who waits for its result, the outcome of the start: at once, or when it is known."""

from typing import Any

from celery.backends.base import DisabledBackend
from celery.states import READY_STATES, SUCCESS

from sfmc_import.ports import Ledger

BATCH = 100


def caller_of(context: Any) -> str | None:
    """Give the id of a task whose sender waits for the outcome.

    Whoever chained something to the task gets what is known at once: Celery goes on when the task returns.
    """
    chained = any(getattr(context, name, None) for name in ("callbacks", "chain", "chord"))
    # The attribute would also be False for a message that does not say it.
    waits = vars(context).get("ignore_result") is False and not chained
    return str(context.id) if waits and context.id else None


def store_results(backend: Any, ledger: Ledger) -> int:
    """Store the results of requests that have started or ended meanwhile, and count them."""
    found = () if isinstance(backend, DisabledBackend) else ledger.results(BATCH)
    for result in found:
        # The task itself has stored it where the outcome was known at once.
        if backend.get_state(result.caller) not in READY_STATES:
            given = {"task_id": result.task_id, "held_by": result.held_by}
            facts = {name: value for name, value in given.items() if value is not None}
            backend.store_result(
                result.caller, {"request_id": result.request_id, "state": result.state, **facts}, SUCCESS
            )
        ledger.result_stored(result)
    return len(found)
