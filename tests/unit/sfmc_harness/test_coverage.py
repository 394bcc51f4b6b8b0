"""The limits of coverage: pure modules need all of it, the rest a floor."""

from typing import Any

from sfmc_harness.coverage import FLOOR, PURE, problems


def report(total: float, **files: float) -> dict[str, Any]:
    covered = dict.fromkeys(PURE, 100.0) | files
    shown = {path: {"summary": {"percent_covered": percent}} for path, percent in covered.items()}
    return {"files": shown, "totals": {"percent_covered": total}}


def test_full_pure_modules_and_a_kept_floor_are_no_problem() -> None:
    assert list(problems(report(FLOOR))) == []


def test_a_pure_module_with_an_untested_branch_is_named() -> None:
    [problem] = problems(report(FLOOR, **{PURE[0]: 99.9}))

    assert problem.startswith(PURE[0])


def test_a_pure_module_that_was_not_measured_is_named() -> None:
    incomplete = report(FLOOR)
    del incomplete["files"][PURE[1]]

    assert [problem.partition(":")[0] for problem in problems(incomplete)] == [PURE[1]]


def test_a_total_below_the_floor_is_a_problem() -> None:
    [problem] = problems(report(FLOOR - 1))

    assert problem.startswith("all code")
