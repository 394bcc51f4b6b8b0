"""Shortens a plan that fails: takes away whatever is not needed for the same violation."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from sfmc_harness.simulation.plan import Plan

PLAIN: dict[str, Any] = {
    "baseline": True,
    "workers": 1,
    "slots": 1,
    "odd_runs": 0.0,
    "hidden_rows": 0.0,
    "odd_ids": False,
    "operator": False,
    "lag": 0.0,
    "run": 1.0,
    "begins": 43_200.0,
    "redis_ahead": 0.0,
    "workers_ahead": 0.0,
}
"""What each setting is when it does not matter."""


def shrink(plan: Plan, fails: Callable[[Plan], bool], tries: int) -> Plan:
    """Give the shortest plan found that still fails, asking `fails` that often at most."""
    left = tries
    changed = True
    while changed and left > 0:
        changed = False
        for smaller in _smaller(plan):
            left -= 1
            if fails(smaller):
                plan, changed = smaller, True
                break
            if left <= 0:
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with less in them, the boldest first."""
    for name in ("faults", "happenings"):
        entries: tuple[Any, ...] = getattr(plan, name)
        size = len(entries)
        while size:
            for first in range(0, len(entries), size):
                yield _with(plan, name, entries[:first] + entries[first + size :])
            size //= 2
    yield from _earlier(plan)
    for name, value in PLAIN.items():
        if getattr(plan, name) != value:
            yield _with(plan, name, value)
    for name in plan.policy:
        yield _with(plan, "policy", {other: value for other, value in plan.policy.items() if other != name})
    used = {happening.key for happening in plan.happenings}
    needed = tuple(definition for definition in plan.definitions if definition.key in used)
    if needed and len(needed) < len(plan.definitions):
        yield _with(plan, "definitions", needed)


def _earlier(plan: Plan) -> Iterator[Plan]:
    for at, happening in enumerate(plan.happenings):
        if happening.step:
            moved = replace(happening, step=0)
            yield _with(plan, "happenings", (*plan.happenings[:at], moved, *plan.happenings[at + 1 :]))
    for at, fault in enumerate(plan.faults):
        if fault.call and fault.step > 1:
            yield _with(plan, "faults", (*plan.faults[:at], replace(fault, step=1), *plan.faults[at + 1 :]))


def _with(plan: Plan, name: str, value: object) -> Plan:
    return replace(plan, **{name: value})  # type: ignore[arg-type]
