"""Draws a plan from a seed."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal

from sfmc_harness.simulation.plan import LEASE, DefinitionPlan, Fault, Happening, Plan
from sfmc_import.policy import ACCOUNT

REDIS_FAULTS = ("redis_down", "reply_lost", "repeated", "no_script")
CLOUD_FAULTS = (
    "refused",
    "cut_before_applying",
    "applied_then_cut",
    "applied_then_cut",
    "applied_later",
    "trickle",
    "no_task_id",
    "denied",
    "denied_after_applying",
    "denied_and_late",
    "http_403",
    "http_403_after_applying",
    "http_429_after_applying",
    "http_400_after_applying",
    "http_503_after_applying",
    "busy",
    "limited",
    "token",
    "rejected",
)
ANYWHERE = ("kill", "kill", "kill", "freeze", "freeze", "delay", "power_loss")
FREEZES = (1.0, LEASE * 0.5, LEASE, LEASE + 0.01, LEASE * 1.5, LEASE * 3, 3600.0)
SHORT = (0.0, 0.05, 0.5, 2.0)
JUMPS = (1.0, 60.0, LEASE, 600.0, 3600.0, 7200.0)
KINDS = {
    "submit": 10,
    "event": 3,
    "message": 3,
    "force": 1.5,
    "time": 3,
    "lose_messages": 2,
    "double_messages": 2,
    "outage": 1,
    "redis_outage": 1,
    "elsewhere": 0.2,
    "change": 0.4,
    "steal": 0.4,
    "pause": 0.4,
    "cancel": 0.4,
}
CALLS = (
    *("Perform", "started") * 6,
    *("record_intent", "mark_ambiguous") * 3,
    *("claim", "ended", "retry", "runs_of", "mget", "definition", "reconcile_later") * 2,
    *("accept", "due", "followed", "polling", "progressed", "renew_intent", "withdraw_intent"),
    *("hold", "unresolved", "read_again"),
    *("record_start_unknown", "reject", "resolve", "resume", "hgetall", "runs"),
)
"""The calls that faults look for, the ones that matter most several times."""

POISON = 0.05
"""How often a request kills each worker that comes to a certain call for it; as often again there is no other fault."""

CALLS_OF_POISON = ("definition", "runs_of", "Perform", "record_intent", "started")
DEFINITIONS = (
    DefinitionPlan(key="daily", file_spec="daily.csv"),
    DefinitionPlan(key="hourly", file_spec="hourly.csv", hours=1),
    DefinitionPlan(key="whole", file_spec="whole.csv", update_type="Overwrite"),
    DefinitionPlan(key="dated", file_spec="dated_%%YEAR%%%%MONTH%%%%DAY%%.csv", hours=1),
)
MAX_REQUESTS = 7
LIMITED = 3
"""One in so many plans with two definitions lets one import run at once."""

CHANGED_LIMITS = 0.15
"""The share of plans with more definitions, some of a group, and limits of imports that are changed meanwhile."""

GROUP = "nightly"
LONG_RUN = 900.0
MORE_DEFINITIONS = ("north", "south", "east", "west")
SPELLINGS: tuple[Literal["", "upper", "object"], ...] = ("", "", "", "", "", "upper", "object")


NAMES: tuple[Literal["", "upper", "blank", "object", "former"], ...] = ("", "upper", "blank", "object", "former")
"""How operators name a definition."""


def draw(seed: int, steps: int) -> Plan:
    """Give the plan of a seed."""
    dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
    definitions = tuple(dice.sample(DEFINITIONS, k=dice.choice([1, 1, 2])))
    policy, baseline = _policy(dice), dice.random() < 0.7
    # Without a draw of its own: the plans of all seeds stay what they were.
    limits = {ACCOUNT: 1} if len(definitions) > 1 and seed % LIMITED == 0 else {}
    plan = Plan(
        seed=seed,
        steps=steps,
        definitions=definitions,
        policy=policy,
        limits=limits,
        baseline=baseline,
        # Without a draw of its own: the plans of all seeds stay what they were. A ledger alone counts on ids that grow.
        odd_ids=baseline and seed % 3 == 0,
        workers=dice.choice([1, 2, 2, 3]),
        odd_runs=dice.choice([0.0, 0.0, 0.4]),
        hidden_rows=dice.choice([0.0, 0.0, 0.0, 0.0, 0.5]),
        slots=dice.choice([1, 1, 2, 3]),
        operator=dice.random() < 0.4,
        lag=dice.choice([0.0, 20.0, 59.0]),
        run=dice.choice([1.0, 60.0, 900.0]),
        begins=dice.choice([43_200.0, 43_200.0, 30.0, 300.0, 3600.0]),
        happenings=(*_happenings(dice, definitions, steps), *_beside(seed, definitions, steps)),
        faults=tuple(_faults(dice, steps)),
    )
    return _in_order(_with_wrong_redis(_with_clocks(_limited(plan))))


CLOCKED = 0.15
"""The share of plans in which clocks are wrong, or that of Redis is set."""

AHEAD = (120.0, 400.0, 1200.0, 4 * 3600.0, 7 * 3600.0)
STEPS = (3.0, 60.0, 600.0, 3600.0, 7200.0, 4 * 3600.0)


def _with_clocks(plan: Plan) -> Plan:
    """With dice of their own: clocks that are wrong from the beginning, and a clock of Redis that is set."""
    dice = random.Random(f"{plan.seed}/clocks")  # noqa: S311 - repeatable on purpose
    if dice.random() >= CLOCKED:
        return plan
    redis, workers = (dice.choice([0, 0, -1, 1]) * dice.choice(AHEAD) for _ in range(2))
    happenings = (*plan.happenings, *_clock_steps(dice, plan.steps))
    return replace(plan, redis_ahead=redis, workers_ahead=workers, happenings=happenings)


WRONG_REDIS = 0.15
"""The share of plans in which the clock of Redis is wrong all the time, while starts end in doubt."""

WRONG_BY = (20.0, 400.0, 1200.0, 4 * 3600.0, *(7 * 3600.0, 9 * 3600.0) * 2)
DOUBTS = ("applied_then_cut", "applied_then_cut", "applied_later", "no_task_id", "http_503_after_applying")


def _with_wrong_redis(plan: Plan) -> Plan:
    """With dice of their own: a clock of Redis that is not set right, and starts of one definition in doubt.

    Whose run is whose is decided by dates then, for the ids alone do not say it.
    """
    dice = random.Random(f"{plan.seed}/wrong")  # noqa: S311 - repeatable on purpose
    if plan.redis_ahead or plan.workers_ahead or dice.random() >= WRONG_REDIS:
        return plan
    ahead, definition = dice.choice([-1, 1, 1]) * dice.choice(WRONG_BY), min(plan.definitions, key=_hours)
    requests, faults = [], []
    for number in range(1, dice.choice([1, 2, 2]) + 1):
        name, step = f"w{number}", dice.randrange(plan.steps)
        requests.append(_plain(name, step, definition, 100 + number))
        if dice.random() < 0.7:
            kind = dice.choice(DOUBTS)
            faults.append(Fault(step=1, on_redis=kind, on_cloud=kind, call="Perform", request=name, seconds=0.5))
    return replace(
        plan,
        redis_ahead=ahead,
        workers_ahead=dice.choice([0.0, 0.0, ahead]),
        policy={**plan.policy, "when_too_soon": "defer", "coalesce": "each", "frequency": None} | _repeated(dice),
        happenings=(*plan.happenings, *requests),
        faults=(*plan.faults, *faults),
    )


ORDERED = 0.4
"""The share of plans with several definitions in which the starts of one wait for a run of another."""


def _in_order(plan: Plan) -> Plan:
    """With dice of their own. Not where keys change, or the clock of Redis is set: then less is promised."""
    dice = random.Random(f"{plan.seed}/order")  # noqa: S311 - repeatable on purpose
    kinds = {each.kind for each in plan.happenings}
    if len(plan.definitions) < 2 or kinds & {"rename", "trade", "redis_clock"} or dice.random() >= ORDERED:
        return plan
    first, second = dice.sample(plan.definitions, k=2)
    definitions = tuple(replace(each, after=first.key) if each is second else each for each in plan.definitions)
    return replace(plan, definitions=definitions)


def _hours(definition: DefinitionPlan) -> int:
    """Without a window more starts of it follow each other."""
    return definition.hours


def _repeated(dice: random.Random) -> dict[str, object]:
    return dice.choice([{}, {"when_ambiguous": "repeat"}, {"when_ambiguous": "repeat"}])


def _plain(request: str, step: int, definition: DefinitionPlan, version: int) -> Happening:
    key, name = definition.key, definition.file_spec
    return Happening(step=step, kind="submit", request=request, key=key, name=name, version=version)


def _clock_steps(dice: random.Random, steps: int) -> Iterator[Happening]:
    """A clock that is set is often set back soon after."""
    for _ in range(dice.choice([0, 1, 1, 2])):
        step, seconds = dice.randrange(steps), dice.choice([-1, 1]) * dice.choice(STEPS)
        yield Happening(step=step, kind="redis_clock", seconds=seconds)
        if dice.random() < 0.4:
            yield Happening(step=step + dice.randrange(20), kind="redis_clock", seconds=-seconds)


def _limited(plan: Plan) -> Plan:
    """With dice of their own: more definitions than may be imported at once, and how many may changes."""
    dice = random.Random(f"{plan.seed}/limits")  # noqa: S311 - repeatable on purpose
    if dice.random() >= CHANGED_LIMITS:
        return plan
    more = [DefinitionPlan(key=key, file_spec=f"{key}.csv") for key in MORE_DEFINITIONS[: dice.choice([2, 4, 4])]]
    others, steps = dice.choice([0.0, 0.0, 0.3]), plan.steps * 2
    return replace(
        plan,
        steps=steps,
        definitions=tuple(
            replace(each, group="" if dice.random() < others else GROUP) for each in (*plan.definitions, *more)
        ),
        limits={ACCOUNT: dice.choice([0, 0, 1, 2]), GROUP: dice.choice([1, 1, 2])},
        policy={**plan.policy, "follow_deadline": LONG_RUN * 1.5},
        run=dice.choice([60.0, LONG_RUN, LONG_RUN]),
        happenings=(*plan.happenings, *_more_requests(dice, more, steps), *_changes(dice, steps)),
    )


def _more_requests(dice: random.Random, definitions: Iterable[DefinitionPlan], steps: int) -> Iterator[Happening]:
    number = 0
    for definition in definitions:
        for _ in range(dice.choice([1, 1, 2])):
            number += 1
            yield Happening(
                step=dice.randrange(steps // 3),
                kind=dice.choice(["submit", "submit", "submit", "force"]),
                request=f"m{number}",
                key=definition.key,
                name=definition.file_spec,
                version=number,
            )


def _changes(dice: random.Random, steps: int) -> Iterator[Happening]:
    """Those that wait look by themselves after ten minutes, or when a message comes twice."""
    for _ in range(dice.choice([1, 2, 3])):
        key, most = dice.choice([ACCOUNT, GROUP, GROUP]), dice.choice([0, 1, 2, 3, 3, 4])
        yield Happening(step=dice.randrange(steps // 4, steps), kind="limit", key=key, version=most)
    for _ in range(dice.choice([0, 0, 1, 3])):
        yield Happening(step=dice.randrange(steps), kind="double_messages")
    if dice.random() < 0.3:
        yield Happening(step=dice.randrange(steps), kind="cancel", request=f"m{dice.choice([1, 2, 3])}")


SUSPICIOUS_SHARE = 0.2
"""The greatest share of rows that may fail, in plans that expect one: a run with errors misses it."""


def _policy(dice: random.Random) -> dict[str, object]:
    choices: dict[str, list[object]] = {
        "when_too_soon": ["defer", "defer", "defer", "drop"],
        "coalesce": ["same_name", "same_name", "each", "latest"],
        "on_error": ["free", "keep"],
        "when_ambiguous": [None, "unknown", "repeat"],
        "frequency": [None, None, 0.5, 1.0],
        "retry_deadline": [600.0, 6 * 3600.0],
        "reconcile_deadline": [240.0],
        "follow_deadline": [600.0, 1800.0],
    }
    drawn = {name: dice.choice(values) for name, values in choices.items()}
    if drawn["coalesce"] == "latest":
        # Chosen without a draw of its own: the plans of all seeds stay what they were.
        drawn["max_failed_share"] = SUSPICIOUS_SHARE
    return drawn | dice.choice([{}, {}, {"when_mismatch": "wait", "retry_deadline": 600.0}])


def _happenings(dice: random.Random, definitions: tuple[DefinitionPlan, ...], steps: int) -> Iterator[Happening]:
    requests = 0
    for _ in range(dice.randint(2, 12)):
        kind = dice.choices(list(KINDS), weights=list(KINDS.values()))[0] if requests else "submit"
        definition, step = dice.choice(definitions), dice.randrange(steps * 2 // 3) if requests else 0
        happening = Happening(step=step, kind=kind, key=definition.key)
        if kind in {"submit", "event", "message", "force"}:
            if requests < MAX_REQUESTS:
                requests += 1
                name = "" if kind != "submit" and dice.random() < 0.3 else definition.file_spec
                version = dice.choice([1, 2] if kind == "event" else [requests, requests, requests, 1, 1, 0])
                spelling = dice.choice(SPELLINGS)
                request = f"r{requests}"
                times = _times(dice) if kind == "message" else {}
                yield replace(happening, request=request, name=name, version=version, spelling=spelling, **times)
        elif kind == "pause":
            yield replace(happening, seconds=dice.choice(JUMPS))
        elif kind == "cancel":
            yield replace(happening, request=f"r{dice.choice([1, 1, 2, 3])}")
        elif kind in {"time", "outage", "redis_outage"}:
            seconds = dice.choice(JUMPS if kind != "redis_outage" else (1.0, 5.0, 90.0))
            yield Happening(step=step, kind=kind, seconds=seconds)
        else:
            yield happening


RENAMED, TRADED = 0.2, 0.5
"""The share of plans in which a definition is given other CustomerKeys; and of these changes, those where another
definition gets its key."""


def _beside(seed: int, definitions: tuple[DefinitionPlan, ...], steps: int) -> Iterator[Happening]:
    """With dice of their own: the rest of the plans of all seeds stays what it was."""
    yield from _renames(seed, definitions, steps)
    yield from _pauses(seed, definitions, steps)
    yield from _forced(seed, steps)


def _renames(seed: int, definitions: tuple[DefinitionPlan, ...], steps: int) -> Iterator[Happening]:
    dice = random.Random(f"{seed}/keys")  # noqa: S311 - repeatable on purpose
    if dice.random() < RENAMED:
        for _ in range(dice.choice([1, 1, 2])):
            key = dice.choice(definitions).key
            kind = "trade" if len(definitions) > 1 and dice.random() < TRADED else "rename"
            yield Happening(step=dice.randrange(steps), kind=kind, key=key)
            if dice.random() < 0.3:
                yield Happening(step=dice.randrange(steps), kind="pause", key=key, seconds=dice.choice(JUMPS))


FORCED = 0.15
"""The share of plans in which an operator lets requests that wait start now."""


def _forced(seed: int, steps: int) -> Iterator[Happening]:
    dice = random.Random(f"{seed}/forced")  # noqa: S311 - repeatable on purpose
    if dice.random() < FORCED:
        for _ in range(dice.choice([1, 2, 2])):
            request = f"r{dice.choice([1, 2, 2, 3, 3, 4])}"
            yield Happening(step=dice.randrange(steps * 2), kind="force_waiting", request=request)


PAUSED = 0.2
"""The share of plans in which operators pause a definition and resume it, by the names that it has."""


def _pauses(seed: int, definitions: tuple[DefinitionPlan, ...], steps: int) -> Iterator[Happening]:
    """The pause of a definition that is paused lifts that."""
    dice = random.Random(f"{seed}/pauses")  # noqa: S311 - repeatable on purpose
    if dice.random() < PAUSED:
        key = dice.choice(definitions).key
        for _ in range(dice.choice([2, 2, 3, 4])):
            step, seconds = dice.randrange(steps), dice.choice(JUMPS)
            yield Happening(step=step, kind="pause", key=key, seconds=seconds, spelling=dice.choice(NAMES))


def _times(dice: random.Random) -> dict[str, Any]:
    return {
        "eta": dice.choice([None, None, None, -5.0, 60.0, 4000.0, 100_000.0]),
        "expires": dice.choice([None, None, None, 0.0, 30.0, 300.0, 4000.0]),
    }


def _faults(dice: random.Random, steps: int) -> Iterator[Fault]:
    if dice.random() < POISON:
        yield _poison(dice)
        return
    rate = dice.choice([0.0, 0.02, 0.04, 0.08])
    for step in range(1, steps + 1):
        if dice.random() < rate:
            yield _fault(dice, step=step)
    for _ in range(dice.choice([0, 1, 2, 3, 4, 6])):
        step, call = dice.randint(1, steps // 2), dice.choice(CALLS)
        yield _fault(dice, step=step, call=call, times=dice.choice([1, 1, 1, 2, 4]))
    if dice.random() < POISON:
        yield _poison(dice)


def _poison(dice: random.Random) -> Fault:
    call, request = dice.choice(CALLS_OF_POISON), f"r{dice.choice([1, 1, 2, 3])}"
    return Fault(step=1, on_redis="kill", on_cloud="kill", call=call, request=request, times=20)


def _fault(dice: random.Random, **place: Any) -> Fault:
    if dice.random() < 0.5:
        kind = dice.choice(ANYWHERE)
        seconds = dice.choice(FREEZES) if kind == "freeze" else dice.choice(SHORT)
        return Fault(on_redis=kind, on_cloud=kind, seconds=seconds, **place)
    seconds = dice.choice(SHORT) if dice.random() < 0.8 else 60.0
    return Fault(on_redis=dice.choice(REDIS_FAULTS), on_cloud=dice.choice(CLOUD_FAULTS), seconds=seconds, **place)
