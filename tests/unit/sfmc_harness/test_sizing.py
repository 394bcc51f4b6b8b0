"""The model of sizes: what grows with what, which limit is the first, and that a day agrees with it."""

from dataclasses import replace

import pytest

from sfmc_harness.sizing.__main__ import main
from sfmc_harness.sizing.day import DAY, rate_at, simulate
from sfmc_harness.sizing.model import (
    GATHER_SECONDS,
    POLL_STEP,
    POLLED_TOGETHER,
    QUESTIONS,
    Load,
    calls_of_start,
    polls_of_run,
    size,
)
from sfmc_import import gathering
from sfmc_import.ledger import ledger_settings
from sfmc_import.permits import CALLS_OF_A_START
from sfmc_import.settings import Settings

SMALL = Load(definitions=100, arrivals_per_hour=36)


def test_a_start_that_comes_alone_has_three_calls_and_many_have_little_more_than_one() -> None:
    assert calls_of_start(0.01, SMALL) == 3
    assert 1 < calls_of_start(200, SMALL) < 1.1


@pytest.mark.parametrize(("seconds", "polls"), [(1, 1), (60, 4), (600, 13)])
def test_polls_have_pauses_that_double_up_to_a_minute(seconds: float, polls: int) -> None:
    assert polls_of_run(replace(SMALL, run_seconds=seconds)) == polls


def test_the_first_limit_is_that_of_the_calls_and_without_it_that_of_redis() -> None:
    assert size(SMALL).first_limit == "calls of the account"
    assert size(replace(SMALL, limit=0)).first_limit == "Redis"


def test_memory_grows_with_the_days_that_are_kept_and_with_the_bound_of_the_stream() -> None:
    before = size(SMALL).redis_bytes

    assert size(replace(SMALL, keep_days=60)).redis_bytes - before == 36 * 24 * 30 * 600
    assert size(replace(SMALL, stream=2_000_000)).redis_bytes - before == 632_000_000


def test_a_day_has_the_mean_and_the_peak_of_its_load() -> None:
    rates = [rate_at(second, SMALL) for second in range(0, DAY, 60)]

    assert sum(rates) / len(rates) == pytest.approx(36 / 3600, rel=0.01)
    assert max(rates) == pytest.approx(3 * 36 / 3600, rel=0.01)


def test_every_request_of_a_day_starts_or_waits_and_over_the_limit_they_wait() -> None:
    within = simulate(replace(SMALL, arrivals_per_hour=600), processes=1)
    over = simulate(replace(SMALL, arrivals_per_hour=1500, limit=60), processes=1)

    assert within.requests == pytest.approx(600 * 24, rel=0.05)
    assert (within.unstarted, within.longest < 5) == (0, True)
    assert over.longest > 60
    assert over.calls_per_minute <= 61


@pytest.mark.parametrize("arrivals", ["1000", "20000"])
def test_the_command_says_that_a_day_agrees_with_the_model(arrivals: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--arrivals-per-hour", arrivals, "--simulate-day"]) == 0
    assert "so it was" in capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong",
    [
        ["--peak", "9"],
        ["--call-seconds", "0"],
        ["--threads", "-1"],
        ["--stream", "x"],
        ["--limit", "5"],
        ["--limit", "-1"],
    ],
)
def test_a_number_that_no_load_has_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(wrong)
    assert f"{wrong[0]}:" in capsys.readouterr().err


def test_the_command_names_the_part_that_is_full_first(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert "processes: calls of the account" in capsys.readouterr().out


def test_the_model_counts_with_the_values_of_the_product() -> None:
    default = {name: field.default for name, field in Settings.model_fields.items()}
    first_poll, load = default["follow_min_interval"], Load(definitions=1, arrivals_per_hour=1)

    assert default["gather_ms"] == 1000 * GATHER_SECONDS
    assert first_poll * ledger_settings.POLL_STEP == POLL_STEP
    assert gathering.MOST == POLLED_TOGETHER
    assert 1 + QUESTIONS == CALLS_OF_A_START
    assert (load.threads, load.stream, load.limit) == (
        default["concurrency"],
        default["stream_maxlen"],
        default["calls_per_minute"],
    )
    assert load.keep_days * 24 * 3600 == default["request_ttl"] == default["seen_ttl"]
