"""The clocks of the simulation: each has its own time, what leapt is counted, and a sweep ends what a step held up."""

from sfmc_harness.simulation.clocks import MARK_MS, Clock
from sfmc_harness.simulation.drawing import CLOCKED, WRONG_REDIS, draw

HOUR = 3_600_000
AT = 1_800_000_000_000


def test_each_clock_has_its_own_time():
    clock = Clock(AT, redis_ahead=-HOUR, workers_ahead=2 * HOUR)

    assert (clock.redis, clock.wall(), clock.boottime()) == (AT - HOUR, (AT + 2 * HOUR) / 1000, AT / 1000)
    assert clock.at_redis(AT) == AT + HOUR


def test_leaps_are_counted_where_they_were():
    clock = Clock(AT)
    for number, seconds in enumerate((HOUR, -2 * HOUR, HOUR)):
        clock.now = AT + number
        clock.set_redis(seconds)

    assert clock.redis == AT + 2
    assert (clock.leapt(AT, AT + 2), clock.leapt(AT + 1, AT + 2), clock.times_leapt(AT, AT + 1)) == (2 * HOUR, HOUR, 1)
    assert clock.latest_redis(AT, AT + 2) == AT + 1 + HOUR
    assert clock.went_back()


def test_what_a_step_back_held_up_is_over_with_the_sweep_that_notices_it():
    clock = Clock(AT)
    clock.swept()
    clock.set_redis(-HOUR)
    assert clock.horizon == AT
    assert clock.is_unseen

    clock.swept()

    assert clock.horizon == AT - HOUR
    assert not clock.is_unseen


def test_without_a_sweep_in_the_hour_before_a_step_back_is_not_noticed():
    clock = Clock(AT)
    clock.swept()
    clock.now += MARK_MS
    clock.set_redis(-2 * HOUR)

    clock.swept()

    assert clock.horizon == AT + MARK_MS


def test_some_plans_have_clocks_of_their_own():
    plans = [draw(seed, 60) for seed in range(400)]
    wrong = [plan for plan in plans if plan.redis_ahead or plan.workers_ahead]
    stepped = [plan for plan in plans if any(each.kind == "redis_clock" for each in plan.happenings)]

    assert 400 * WRONG_REDIS * 0.5 < len(wrong) < 400 * (CLOCKED + WRONG_REDIS) * 1.3
    assert 0 < len(stepped) < 400 * CLOCKED * 1.3
    assert any(plan.workers_ahead and not plan.redis_ahead for plan in wrong)
