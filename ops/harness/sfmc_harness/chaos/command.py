"""The command line of the chaos program: options, the count of broken promises, and how it is shown."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from sfmc_harness.chaos.final_state import REFUSAL
from sfmc_harness.chaos.plan import FAULTS, Plan
from sfmc_harness.chaos.processes import ChaosError
from sfmc_harness.chaos.run import ChaosResult, run
from sfmc_harness.chaos.verdict import KINDS, SEEN_FROM_OUTSIDE, Checker, Violation
from sfmc_harness.chaos.wrong_worker import WRONG_RULES

SHOWN_VIOLATIONS = 20
MAX_WORKER_MB = 350.0
"""What one worker may hold at most: far more than it needs, and less than one gzip bomb."""


def checkers_of(plan: Plan, after: ChaosResult) -> list[Checker]:
    """A checker for each deployment."""
    states = after.final_states.values()
    return [Checker(state, plan.windows, plan.file_specs, after.midnight) for state in states]


def violations_in(plan: Plan, after: ChaosResult, checkers: list[Checker]) -> list[Violation]:
    """What was broken. The naive worker keeps no ledger: only what can be seen from outside counts."""
    found = [violation for checker in checkers for violation in checker.violations()]
    if after.peak_mb > MAX_WORKER_MB:
        found.append(Violation("too much memory", f"a worker held {after.peak_mb:.0f} MB"))
    return [violation for violation in found if plan.program != "naive" or violation.kind in SEEN_FROM_OUTSIDE]


def summary(
    plan: Plan, after: ChaosResult, checkers: list[Checker], violations: list[Violation]
) -> dict[str, Any]:  # fmt: skip
    """The outcome as JSON can hold it."""
    states, found = list(after.final_states.values()), Counter(violation.kind for violation in violations)
    waits = sorted(wait for checker in checkers for wait in checker.waits())
    unknown = _added(checker.unknowns() for checker in checkers)
    return {
        "seed": plan.seed,
        "requests": {
            "sent": sum(len(state.sent) for state in states),
            "different": sum(len({sent.request_id for sent in state.sent}) for state in states),
            "recorded": sum(len(checker.by_request) for checker in checkers),
            "of the second deployment": sum(len(state.sent) for state in states[1:]),
            "sent after midnight": sum(sent.at >= after.midnight.at for state in states for sent in state.sent),
        },
        "messages_refused": sum(event.name == REFUSAL for state in states for event in state.events),
        "performs": sum(len(state.performs) for state in states),
        "ended": _added(checker.outcomes() for checker in checkers),
        "start_unknown": {**unknown, "% of the requests that were started": _share(unknown, checkers)},
        "violations": {kind: found[kind] for kind in KINDS},
        "examples": [f"{violation.kind}: {violation.text}" for violation in violations[:SHOWN_VIOLATIONS]],
        "injected_faults": dict(sorted(after.injected.items())),
        "sandbox_faults": dict(sorted(after.sandbox_faults.items())),
        "ended_by_themselves": dict(after.unexpected_ends),
        "first_decision_seconds": {"median": _at(waits, 0.5), "p99": _at(waits, 0.99), "longest": _at(waits, 1.0)},
        "peak_mb": round(after.peak_mb),
        "seconds": round(after.seconds, 1),
        "drained_in_seconds": round(after.drained_in, 1),
    }


def _added(counts: Iterator[Counter[str]]) -> dict[str, int]:
    return dict(sorted(sum(counts, Counter()).items()))


def _share(unknown: dict[str, int], checkers: list[Checker]) -> float:
    begun = sum(checker.begun() for checker in checkers)
    return round(100 * sum(unknown.values()) / max(begun, 1), 1)


def _at(ordered: list[float], share: float) -> float:
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 3) if ordered else 0.0


def lines(outcome: dict[str, Any]) -> Iterator[str]:
    """The outcome as a table, one line at a time; the seed comes last."""
    refused = {"messages refused": outcome["messages_refused"]}
    rows: dict[str, dict[str, Any]] = {
        "requests": {**outcome["requests"], **refused, "Performs applied": outcome["performs"]},
        "ended as": outcome["ended"],
        "start_unknown because of": outcome["start_unknown"],
        "injected faults": outcome["injected_faults"],
        "calls with a fault in the sandbox": outcome["sandbox_faults"],
        "ended by themselves": outcome["ended_by_themselves"],
        "first decision after, s": outcome["first_decision_seconds"],
        "seconds": {"all": outcome["seconds"], "draining": outcome["drained_in_seconds"]},
        "memory": {"MB of one worker at most": outcome["peak_mb"]},
        "broken promises": outcome["violations"],
    }
    for title, numbers in rows.items():
        yield title
        yield from (f"    {name:<34}{number:>10}" for name, number in numbers.items())
    yield from outcome["examples"]
    yield f"seed {outcome['seed']}"


REQUESTS_PER_SECOND = 8.0
SHORT_REQUESTS = 80
REQUESTS = 300


EXAMPLES = """\b
Examples:
  python3 ops/dev.py chaos                     300 requests, about a minute
  python3 ops/dev.py chaos --requests 10000    the long run
  python3 ops/dev.py chaos --short --seed 7    as the tests run it
  python3 ops/dev.py chaos --control naive     shows that doubles are found
  python3 ops/dev.py chaos --only midnight     one kind of fault
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--requests", type=click.IntRange(1), help=f"How many requests are sent [{REQUESTS}; short: {SHORT_REQUESTS}]."
)
@click.option(
    "--seconds", type=click.FloatRange(1), help="How long the producers take; they send about 8 requests a second."
)
@click.option(
    "--seed",
    type=int,
    help="Same seed, same requests and faults at about the same moments [a new one].",
)
@click.option("--workers", type=click.IntRange(2, 32), default=3, show_default=True)
@click.option("--producers", type=click.IntRange(1, 32), default=4, show_default=True)
@click.option("--fault-rate", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="0: no faults.")
@click.option("--only", type=click.Choice(FAULTS), multiple=True, help="Only these faults; several times [all].")
@click.option("--transport", type=click.Choice(["reliable", "stock"]), default="reliable", show_default=True)
@click.option(
    "--control",
    type=click.Choice(["naive", *WRONG_RULES]),
    help="Run what must fail instead of the product: a naive worker, or a product with one wrong rule.",
)
@click.option("--short", is_flag=True, help="Few requests, for the tests.")
@click.option("--logs", type=click.Path(file_okay=False, path_type=Path), help="An empty folder for logs and data.")
@click.option("--json", "as_json", is_flag=True, help="The outcome as JSON.")
def chaos(
    requests: int | None, seconds: float | None, seed: int | None, *, short: bool, as_json: bool,
    control: str | None, logs: Path | None, only: tuple[str, ...], **rest: float | str,
) -> None:  # fmt: skip
    """Inject faults into the whole system, let it finish, and count. Exit code 1: a promise was broken."""
    usual = SHORT_REQUESTS if short else REQUESTS
    count = requests or (int(seconds * REQUESTS_PER_SECOND) if seconds else usual)
    plan = Plan(
        seed=random.SystemRandom().randrange(10**6) if seed is None else seed,
        requests=count,
        seconds=seconds or count / REQUESTS_PER_SECOND,
        program=control or "product",
        only=frozenset(only),
        **rest,  # type: ignore[arg-type]
    )
    try:
        after = run(plan, lambda line: None if as_json else click.echo(line, err=True), prepared(logs))
    except ChaosError as error:
        raise click.ClickException(str(error)) from error
    checkers = checkers_of(plan, after)
    violations = violations_in(plan, after, checkers)
    outcome = summary(plan, after, checkers, violations)
    click.echo(json.dumps(outcome) if as_json else "\n".join(lines(outcome)))
    raise SystemExit(1 if violations else 0)


def prepared(logs: Path | None) -> Path | None:
    """Make the folder for logs; raises click.UsageError when something is in it."""
    if logs is None:
        return None
    logs.mkdir(parents=True, exist_ok=True)
    if any(logs.iterdir()):
        raise click.UsageError(f"--logs: {logs} is not empty; give a new folder")
    return logs.absolute()
