"""A figure knows its goal and its floor, and a count that differs from the expected one is no measurement."""

import json
import sys
from collections.abc import Iterator

import pytest

from sfmc_harness.bench.__main__ import main
from sfmc_harness.bench.figures import Figure, MeasurementError, expect
from sfmc_harness.bench.limits import LIMITS, explained

MET = Figure("cost", 2.0, 2.6, floor=5.0)
MISSED = Figure("cost", 3.0, 2.6, floor=5.0)
WORSE = Figure("cost", 6.0, 2.6, floor=5.0)


@pytest.mark.parametrize(("figure", "word"), [(MET, "met"), (MISSED, "missed"), (WORSE, "WORSE")])
def test_a_line_begins_with_what_became_of_its_goal(figure: Figure, word: str) -> None:
    assert str(figure).split()[0] == word


def test_a_rate_must_be_at_least_its_goal_and_its_floor() -> None:
    rates = [Figure("rate", value, 0.9, floor=0.5, at_least=True) for value in (1.0, 0.7, 0.4)]

    assert [(rate.is_met, rate.holds) for rate in rates] == [(True, True), (False, True), (False, False)]


def test_a_goal_that_is_missed_is_explained_by_the_longest_beginning_of_its_line() -> None:
    at_size = explained(Figure("CPU of Redis for a start at 1000000 definitions ÷ at 1000", 1.7, 1.15))

    assert at_size.limit == LIMITS["CPU of Redis for a start at 1000000"]
    assert at_size.limit in str(at_size)
    assert at_size.as_json["limit"] == at_size.limit
    assert explained(MISSED) == MISSED


def test_a_line_says_what_it_was_when_its_goal_was_set() -> None:
    duplicates = explained(Figure("duplicates ÷ no-op, messages a second", 0.4, 0.87, floor=0.3, at_least=True))

    assert duplicates.as_json["before"] == "0.60"
    assert "before 0.60" in str(duplicates)
    assert "before" not in explained(MET).as_json


def test_a_goal_that_is_met_needs_no_explanation() -> None:
    met = explained(Figure("CPU of Redis for a start ÷ no-op", 2.0, 3.0))

    assert "limit" not in met.as_json
    assert met.limit not in str(met)


def test_a_figure_without_a_floor_must_reach_its_goal() -> None:
    assert not Figure("seconds", 1.0, 0.5).holds


def test_a_start_that_sent_no_perform_is_no_measurement_of_starts() -> None:
    with pytest.raises(MeasurementError, match="Expected 400 Performs, 0 retrying; counted 131 Performs, 269 retrying"):
        expect("start", {"Performs": 400, "retrying": 0}, {"Performs": 131, "retrying": 269})


@pytest.mark.parametrize(
    ("figure", "arguments", "code"),
    [(MET, [], 0), (MISSED, [], 0), (MISSED, ["--strict"], 1), (WORSE, [], 1), (MET, ["--strict"], 0)],
)
def test_the_exit_code_is_1_below_the_floor_and_with_strict_for_a_missed_goal(
    figure: Figure, arguments: list[str], code: int
) -> None:
    assert main(["idle", *arguments], lambda _, **__: iter([figure])) == code


def test_a_failed_measurement_is_a_line_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    def measure(_: str) -> Iterator[Figure]:
        raise MeasurementError("start: 131 Performs")
        yield MET

    assert main(["idle"], measure) == 1
    assert capsys.readouterr().err == "bench idle failed: start: 131 Performs\n"


def test_the_table_for_machines_has_line_value_goal_and_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["idle", "--json"], lambda _, **__: iter([MISSED]))

    [line] = json.loads(capsys.readouterr().out)
    assert line == {"line": "cost", "value": 3.0, "goal": 2.6, "met": False, "floor": 5.0, "holds": True, "detail": ""}


def test_what_a_bench_says_on_its_way_is_not_in_the_list_for_machines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def says(_: str) -> Iterator[Figure]:
        sys.stdout.write("half way")
        yield MET

    main(["starts", "--json"], says)
    written = capsys.readouterr()

    assert [each["line"] for each in json.loads(written.out)] == ["cost"]
    assert "half way" in written.err


def test_an_unknown_bench_is_a_usage_error() -> None:
    assert main(["nothing"]) == 2
