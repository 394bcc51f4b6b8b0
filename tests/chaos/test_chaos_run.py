"""The chaos program in its short form: the product keeps its promises, and a naive worker is caught breaking them."""

import json
import subprocess
import sys

import pytest

from sfmc_harness.chaos.plan import FAULTS

pytestmark = pytest.mark.timeout(600)
SEEDS = (1, pytest.param(2, marks=pytest.mark.nightly), pytest.param(3, marks=pytest.mark.nightly))


def chaos_run(*options: str) -> tuple[int, dict[str, object]]:
    command = [sys.executable, "-m", "sfmc_harness.chaos", "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode in {0, 1}, done.stderr[-3000:]
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("seed", SEEDS)
def test_under_faults_nothing_is_started_twice_and_nothing_is_lost(seed: int) -> None:
    code, outcome = chaos_run("--short", "--seed", str(seed))

    assert outcome["examples"] == []
    assert code == 0
    assert outcome["performs"]
    assert outcome["injected_faults"]


@pytest.mark.nightly
def test_the_same_faults_make_the_usual_worker_start_imports_twice() -> None:
    code, outcome = chaos_run(
        "--requests", "240", "--seconds", "8", "--fault-rate", "0.8", "--seed", "1", "--control", "naive"
    )

    assert code == 1
    assert outcome["violations"]["double"]  # type: ignore[index]


NAIVE, LOST = "naive", "lost"
CONTROLS = (
    ("sends-again", ("hang",), "double"),
    ("sends-again", ("trickle",), "double"),
    ("sends-again", ("bomb",), "double"),
    ("unlimited", ("bomb",), "too much memory"),
    (NAIVE, ("token-refused",), "unjust end"),
    ("account-wide-ends", ("account-wide",), "unjust end"),
    ("failed-look-is-last", ("slow-polls", "calls"), "unjust unknown"),
    ("unchecked", ("midnight", "times"), "another file"),
    ("one-priority", ("priorities",), LOST),
    ("early", ("times",), "too early"),
    ("early", ("times",), "too late"),
    (NAIVE, ("times",), LOST),
    (NAIVE, ("arguments",), LOST),
    (NAIVE, ("refusals",), "refused in silence"),
    ("one-queue", ("two-deployments",), "other account"),
    (NAIVE, ("full-redis",), LOST),
    (NAIVE, ("workers",), "double"),
)


@pytest.mark.nightly
@pytest.mark.parametrize(("control", "faults", "kind"), CONTROLS)
def test_each_fault_breaks_a_promise_where_one_rule_is_wrong(control: str, faults: tuple[str, ...], kind: str) -> None:
    only = [word for fault in faults for word in ("--only", fault)]
    size = ("--requests", "160", "--seconds", "10", "--fault-rate", "0.9", "--seed", "1")

    code, outcome = chaos_run(*size, "--control", control, *only)

    assert code == 1
    assert outcome["violations"][kind]  # type: ignore[index]


def test_each_fault_of_the_plan_has_a_control() -> None:
    shown = {fault for _, faults, _ in CONTROLS for fault in faults}

    assert shown >= set(FAULTS) - {"beats", "valkey", "clients", "connections"}
