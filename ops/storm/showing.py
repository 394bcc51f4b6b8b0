"""How the outcome of a storm looks, as a table for people and as JSON for machines; decides nothing."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from ops.storm.judging import Flaw, Judge
from ops.storm.plan import Plan
from ops.storm.running import Aftermath

SHOWN_FLAWS = 20
KINDS = ("double", "two at once", "inside the window", "lost", "unjust unknown", "untrue",
         "impossible event", "state without event", "left over")  # fmt: skip


def summary(plan: Plan, after: Aftermath, judge: Judge, flaws: list[Flaw]) -> dict[str, Any]:
    """The outcome as JSON can hold it."""
    remains, found, waits = after.remains, Counter(flaw.kind for flaw in flaws), judge.waits()
    return {
        "seed": plan.seed,
        "requests": {
            "sent": len(remains.sent),
            "different": len({sent.request_id for sent in remains.sent}),
            "recorded": len(judge.by_request),
        },
        "performs": len(remains.performs),
        "ended": dict(sorted(judge.outcomes().items())),
        "flaws": {kind: found[kind] for kind in KINDS},
        "examples": [f"{flaw.kind}: {flaw.text}" for flaw in flaws[:SHOWN_FLAWS]],
        "deeds": dict(sorted(after.deeds.items())),
        "sandbox_faults": after.faults,
        "ended_by_themselves": dict(after.fallen),
        "first_decision_seconds": {"median": _at(waits, 0.5), "p99": _at(waits, 0.99), "longest": _at(waits, 1.0)},
        "seconds": round(after.seconds, 1),
        "settled_in_seconds": round(after.settled_in, 1),
    }


def _at(ordered: list[float], share: float) -> float:
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 3) if ordered else 0.0


def lines(outcome: dict[str, Any]) -> Iterator[str]:
    """The outcome as a table, one line at a time; the seed comes last."""
    rows: dict[str, dict[str, Any]] = {
        "requests": {**outcome["requests"], "Performs applied": outcome["performs"]},
        "ended as": outcome["ended"],
        "done to the processes": {**outcome["deeds"], "calls struck in the sandbox": outcome["sandbox_faults"]},
        "ended by themselves": outcome["ended_by_themselves"],
        "first decision after, s": outcome["first_decision_seconds"],
        "seconds": {"all": outcome["seconds"], "settling": outcome["settled_in_seconds"]},
        "promises not kept": outcome["flaws"],
    }
    for title, numbers in rows.items():
        yield title
        yield from (f"    {name:<34}{number:>10}" for name, number in numbers.items())
    yield from outcome["examples"]
    yield f"seed {outcome['seed']}"
