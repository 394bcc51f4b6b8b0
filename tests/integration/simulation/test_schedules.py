"""Schedules of faults on virtual time keep every promise, and a promise that a wrong script breaks is found."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sfmc_harness.simulation.drawing import draw
from sfmc_harness.simulation.plan import from_json, to_json
from sfmc_harness.simulation.running import as_text, open_store, run_seeds, shortened
from sfmc_harness.simulation.schedule import Schedule
from sfmc_harness.simulation.store import Store
from tests.support.mutants.scripts import reading
from tests.support.mutants.wrong_scripts import Mutant

PLANS = Path(__file__).with_name("plans")
STEPS, FEW_STEPS = 60, 20
"""How long faults and happenings come; with what follows a schedule has some 175 steps, or 150."""

SCHEDULES = 100
PARTS, LONG_PARTS = 20, 5
"""2,000 schedules in all; each part is a test, so that the processes of a test run share them."""

LONG = [pytest.param(part, STEPS, marks=[pytest.mark.nightly] * (part >= LONG_PARTS)) for part in range(PARTS)]
SHORT = [pytest.param(part, FEW_STEPS) for part in range(LONG_PARTS, PARTS)]
RAISED = PLANS / "a_request_that_looks_itself_after_a_limit_was_raised.json"
WENT_BACK = PLANS / "what_waits_when_the_clock_of_redis_goes_back.json"
ORDERED_BY_TIMES = PLANS / "a_file_that_came_after_the_clock_went_back.json"
PLACE_IS_GIVEN_AWAY = Mutant("places", "  if r.waits_place == group then leave_line(id, r) end\n", "")
NOTHING_IS_LOOKED_AT = Mutant("upkeep", "  look_after_step()\n", "")
ORDER_OF_TIMES = Mutant("lib", "return int(at) + int(ms) + int(number) / 1024", "return int(at)")
SENT_IS_FORGOTTEN = Mutant("starting", "local values = {sent = '1',", "local values = {sent = '0',")


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with open_store() as opened:
        yield opened


@pytest.mark.parametrize(("part", "steps"), [*LONG, *SHORT])
def test_no_schedule_breaks_a_promise(store: Store, part: int, steps: int, record_property):
    tally = run_seeds(store, range(part * SCHEDULES, (part + 1) * SCHEDULES), steps)

    assert not tally.failed, f"seed {tally.failed[0][0].seed}: {as_text(tally.failed[0][1])}"
    record_property("cases", tally.schedules)


@pytest.mark.parametrize("file", sorted(PLANS.glob("*.json")), ids=lambda file: file.stem)
def test_a_schedule_that_broke_a_promise_once_breaks_none_now(store: Store, file: Path):
    verdict = Schedule(from_json(file.read_text("utf-8")), store).run()

    assert verdict.kind is None, as_text(verdict)


@pytest.mark.parametrize(
    ("mutant", "plan", "kind"),
    [
        (PLACE_IS_GIVEN_AWAY, RAISED, "too many at once"),
        (NOTHING_IS_LOOKED_AT, WENT_BACK, "waits too long"),
        (ORDER_OF_TIMES, ORDERED_BY_TIMES, "unjust duplicate"),
    ],
    ids=["one import more than a limit", "what a clock holds up", "an older file for a newer one"],
)
def test_what_a_wrong_script_lets_happen_is_a_broken_promise(mutant: Mutant, plan: Path, kind: str):
    with open_store(reading(mutant)) as store:
        verdict = Schedule(from_json(plan.read_text("utf-8")), store).run()

    assert verdict.kind == kind


def test_a_seed_gives_the_same_schedule_every_time(store: Store):
    first, second = (Schedule(draw(7, STEPS), store).run() for _ in range(2))

    assert first == second


def test_a_broken_promise_is_found_shortened_and_replayed_from_text():
    with open_store(reading(SENT_IS_FORGOTTEN)) as store:
        tally = run_seeds(store, range(200), STEPS)
        (failed,) = tally.failed
        plan, verdict = shortened(store, *failed, tries=30)

        assert verdict.kind in {"double start", "too many at once"}
        assert len(plan.faults) + len(plan.happenings) <= len(failed[0].faults) + len(failed[0].happenings)
        assert Schedule(from_json(to_json(plan)), store).run() == verdict


def test_the_command_says_its_rate_and_how_requests_ended():
    done = run_command("--seeds", "6", "--processes", "2")

    assert done.returncode == 0, done.stdout
    assert "6 schedules" in done.stdout
    assert "schedules a second" in done.stdout


def run_command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "sfmc_harness.simulation", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)
