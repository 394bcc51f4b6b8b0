"""Runs the contract tests over a wrong ledger, in this process, until one of them detects."""

import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sfmc_import.ledger import LedgerSettings
from sfmc_import.ledger.scripts import read_part
from tests.contract.ledger import (
    test_answers_without_proof,
    test_cancelling,
    test_clocks_that_went_back,
    test_decisions,
    test_definitions_resolved,
    test_duplicates_taken_up,
    test_errors_in_a_row,
    test_follow_ups,
    test_frequency_now,
    test_held,
    test_later_losses,
    test_leases,
    test_lines,
    test_losses,
    test_order_after_a_clock_step,
    test_ordering,
    test_outlived,
    test_pause_names,
    test_pauses,
    test_places,
    test_polling,
    test_processes,
    test_quota,
    test_read_before,
    test_reading_definitions,
    test_redis_only,
    test_renamed,
    test_renamed_order,
    test_renamed_places,
    test_repeated_in_doubt,
    test_repeated_steps,
    test_replays,
    test_replies,
    test_resolving,
    test_running_limits,
    test_runs,
    test_sender_options,
    test_settling,
    test_shared_tokens,
    test_since_of_failures,
    test_spellings,
    test_starts,
    test_suspects,
    test_unknown_starts,
    test_waiting,
    test_waits_after_a_clock_step,
    test_waits_of_files,
)
from tests.contract.ledger.scenario import Scenario
from tests.support.ledger_world import RedisWorld
from tests.support.mutants.wrong_scripts import Mutant

SETTINGS = LedgerSettings(lease=180, results_delay=60, accept_grace=5, recheck=600, first_poll=5)
SMALL = LedgerSettings(lease=180, results_delay=60, accept_grace=5, recheck=600, first_poll=5, stream_maxlen=100)
BODIES = (
    test_leases,
    test_follow_ups,
    test_starts,
    test_decisions,
    test_runs,
    test_repeated_steps,
    test_later_losses,
    test_losses,
    test_clocks_that_went_back,
    test_waits_after_a_clock_step,
    test_waits_of_files,
    test_order_after_a_clock_step,
    test_redis_only,
    test_resolving,
    test_sender_options,
    test_replies,
    test_suspects,
    test_errors_in_a_row,
    test_processes,
    test_definitions_resolved,
    test_read_before,
    test_reading_definitions,
    test_answers_without_proof,
    test_repeated_in_doubt,
    test_polling,
    test_outlived,
    test_duplicates_taken_up,
    test_waiting,
    test_pause_names,
    test_pauses,
    test_cancelling,
    test_ordering,
    test_places,
    test_spellings,
    test_frequency_now,
    test_renamed,
    test_quota,
    test_renamed_order,
    test_renamed_places,
    test_running_limits,
    test_lines,
    test_shared_tokens,
    test_settling,
    test_replays,
    test_held,
    test_unknown_starts,
    test_since_of_failures,
)
GIVEN = {"scenario", "world"}

Body = Callable[[RedisWorld], Any]


def reading(mutant: Mutant) -> Callable[[str], str]:
    """Read the scripts with one wrong change; what is to be changed must stand there exactly once."""

    def read(name: str) -> str:
        text = read_part(name)
        if name != mutant.file:
            return text
        if text.count(mutant.find) != 1:
            raise LookupError(f"{mutant.file}.lua has {text.count(mutant.find)} times: {mutant.find}")
        return text.replace(mutant.find, mutant.replace)

    return read


def bodies() -> Iterator[tuple[str, Body]]:
    """The contract tests that need a world and nothing else, by name."""
    for module in BODIES:
        for name, test in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("test_"):
                yield from _cases(name, test)


def _cases(name: str, test: Callable[..., Any]) -> Iterator[tuple[str, Body]]:
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    for chosen in itertools.product(*map(_choices, marks)):
        given = {field: value for choice in chosen for field, value in choice.items()}
        if set(inspect.signature(test).parameters) <= GIVEN | set(given):
            yield name, _body(test, given)


def _choices(mark: Any) -> Iterator[dict[str, Any]]:
    """Give what a parametrize chooses from, by names: one name or several, plain values or those of pytest.param."""
    names = [each.strip() for each in mark.args[0].split(",")] if isinstance(mark.args[0], str) else mark.args[0]
    for value in mark.args[1]:
        plain = value.values if isinstance(value, type(pytest.param(0))) else None
        yield dict(zip(names, plain or (value if len(names) > 1 else (value,)), strict=True))


def _body(test: Callable[..., Any], given: dict[str, Any]) -> Body:
    wanted = GIVEN & set(inspect.signature(test).parameters)

    def run(world: RedisWorld) -> None:
        parts = {"world": world, "scenario": Scenario(world)}
        test(**given, **{part: parts[part] for part in wanted})
        assert world.endless_keys() == []

    return run


def stream_stays_bounded(url: str, read: Callable[[str], str]) -> bool:
    """The one property that needs other settings."""
    world = RedisWorld(url, SMALL, read)
    for number in range(500):
        world.ledger.accept(test_redis_only.request(f"r{number}"))
    bounded = bool(world.client.xlen(world.keys.stream) < 400)
    world.close()
    return bounded


def detects(body: Body, world: RedisWorld) -> bool:
    """Tell whether a test fails over this world."""
    world.restart()
    try:
        body(world)
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever a test raises, it has detected
        return True
    return False


def detected_by(mutant: Mutant, url: str) -> str | None:
    """Name the test that detects the wrong change; None when none does."""
    world = RedisWorld(url, SETTINGS, reading(mutant))
    try:
        detected = next((name for name, body in bodies() if detects(body, world)), None)
    finally:
        world.close()
    if detected:
        return detected
    return None if stream_stays_bounded(url, reading(mutant)) else "stream_stays_bounded"
