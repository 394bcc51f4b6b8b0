"""Calls: what is made again, how long and with which pauses; work that takes long goes on without its thread."""

import contextvars
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest
import structlog.testing

from sfmc_import.calls import SlowCalls, TooManySlowCallsError, retry_call
from sfmc_import.faults import Ambiguous, NotApplied, Rejected
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.retrying import IN_CALL, LEDGER, QUERY, Backoff
from sfmc_import.runs import Accepted
from tests.support.waiting import eventually

PASSING = NotApplied("refused", "connection refused")
DONE = Accepted(task_id="1")
SOON = 0.02


class Attempts:
    """Gives the prepared answers one after the other, the last for ever."""

    def __init__(self, *answers):
        self.answers = answers
        self.count = 0

    def __call__(self):
        self.count += 1
        return self.answers[min(self.count, len(self.answers)) - 1]


@pytest.fixture
def waits():
    return []


def retrying(waits, policy=IN_CALL, event=None, **changes):
    return retry_call(replace(policy, **{"deadline": 1000.0, "attempts": 6} | changes), event, sleep=waits.append)


@pytest.mark.parametrize(
    "answer",
    [
        DONE,
        Ambiguous("read_timeout", "…"),
        Rejected("43010", "…"),
        NotApplied("17", "…", account_wide=True),
        None,
    ],
)
def test_what_is_final_or_account_wide_goes_back_at_once(waits, answer):
    attempts = Attempts(answer)

    assert retrying(waits)(attempts) is answer
    assert (attempts.count, waits) == (1, [])


def test_an_error_that_no_one_expects_ends_the_calls_the_second_time_too(waits):
    attempts = Attempts(PASSING)

    def fails():
        if attempts.count:
            raise KeyError("unexpected")
        return attempts()

    with pytest.raises(KeyError):
        retrying(waits)(fails)
    assert len(waits) == 1


def test_the_time_of_the_first_call_counts_too(waits):
    begun = time.monotonic()

    def slow():
        while time.monotonic() - begun < 2 * SOON:
            pass
        return PASSING

    assert retrying(waits, deadline=SOON, backoff=Backoff(floor=0.0, cap=0.0))(slow) is PASSING
    assert waits == []


def test_what_was_not_applied_is_tried_again_until_it_works(waits):
    assert retrying(waits)(Attempts(PASSING, PASSING, DONE)) is DONE
    assert len(waits) == 2


def test_a_failure_that_stops_being_safe_ends_the_tries(waits):
    ambiguous = Ambiguous("reset", "…")

    assert retrying(waits)(Attempts(PASSING, ambiguous, DONE)) is ambiguous


def test_the_last_answer_comes_back_when_the_attempts_are_used_up(waits):
    last = NotApplied("dns", "…")
    attempts = Attempts(PASSING, PASSING, last)

    assert retrying(waits, attempts=3)(attempts) is last
    assert (attempts.count, len(waits)) == (3, 2)


def test_no_wait_is_begun_that_would_end_after_the_deadline(waits):
    attempts = Attempts(NotApplied("http_503", "…", retry_after=4.0))

    retrying(waits, backoff=Backoff(floor=0, cap=0.001), deadline=10.0, attempts=99)(attempts)

    assert waits == [4.0, 4.0]


def test_a_time_that_the_service_names_beyond_the_deadline_ends_the_tries_at_once(waits):
    attempts = Attempts(NotApplied("refused", "…", retry_after=3600.0))

    retrying(waits, deadline=10.0)(attempts)

    assert (attempts.count, waits) == (1, [])


def test_waits_have_full_jitter_below_a_bound_that_doubles(waits):
    for _ in range(200):
        retrying(waits, attempts=5, backoff=Backoff(floor=0, first=1.0, cap=4.0))(Attempts(PASSING))
    rounds = list(zip(*[iter(waits)] * 4, strict=True))
    bounds = [max(column) for column in zip(*rounds, strict=True)]

    assert all(bound <= most for bound, most in zip(bounds, [1, 2, 4, 4], strict=True))
    assert bounds[2] > 2
    assert min(waits) < 0.2


def test_one_function_serves_many_calls_each_with_its_own_count(waits):
    call = retrying(waits, attempts=3)

    assert [call(Attempts(PASSING, PASSING, DONE)) for _ in range(3)] == [DONE] * 3


def test_each_pause_is_logged_with_attempt_pause_code_and_class(waits):
    with structlog.testing.capture_logs() as lines:
        retrying(waits, event="start_attempt_failed")(Attempts(PASSING, DONE))

    assert lines == [
        {
            "event": "start_attempt_failed",
            "log_level": "warning",
            "attempt": 1,
            "wait": round(waits[0], 3),
            "error": "NotApplied",
            "code": "refused",
        }
    ]


def test_an_ambiguous_query_is_made_again(waits):
    assert retrying(waits, QUERY)(Attempts(Ambiguous("reset", "…"), DONE)) is DONE


class Unavailable(Attempts):
    """Raises as many errors as it was given, then answers."""

    def __call__(self):
        answer = super().__call__()
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_step_of_the_ledger_is_repeated_until_redis_answers(waits):
    down = LedgerUnavailableError("down")

    assert retrying(waits, LEDGER)(Unavailable(down, down, True)) is True
    assert len(waits) == 2


def test_a_ledger_that_stays_unavailable_raises_its_last_error_before_the_deadline(waits):
    last = LedgerUnavailableError("still down")

    with pytest.raises(LedgerUnavailableError, match="still down"):
        retrying(waits, LEDGER, attempts=float("inf"), deadline=60.0)(Unavailable(LedgerUnavailableError("down"), last))
    assert 50 < sum(waits) <= 60


def test_an_unexpected_error_passes_at_once(waits):
    step = Unavailable(ValueError("bug"))

    with pytest.raises(ValueError, match="bug"):
        retrying(waits, LEDGER)(step)
    assert (step.count, waits) == (1, [])


class Ends:
    """Gets the ends of work that went on by itself."""

    def __init__(self) -> None:
        self.seen: list[Future] = []

    def __call__(self, ended: Future) -> None:
        self.seen.append(ended)


@pytest.fixture
def gate():
    opened = threading.Event()
    yield opened
    opened.set()


def always() -> bool:
    return True


def never(_: object) -> None:
    raise AssertionError("it ended in time")


def test_quick_work_gives_its_value_and_its_error():
    calls = SlowCalls(20, 1, 1)

    assert calls.run(lambda: 7, always, never) == 7
    for error in (ValueError, TimeoutError):
        with pytest.raises(error):
            calls.run(lambda error=error: (_ for _ in ()).throw(error()), always, never)


def test_work_sees_the_context_of_its_caller():
    name = contextvars.ContextVar("name", default="")
    name.set("orders")

    assert SlowCalls(20, 1, 1).run(name.get, always, never) == "orders"


def test_slow_work_gives_the_thread_back_and_its_end_later(gate):
    calls, ends = SlowCalls(SOON, 1, 1), Ends()

    assert calls.run(lambda: gate.wait(60), always, ends) is None
    assert ends.seen == []
    gate.set()
    eventually(lambda: ends.seen, within=60, description="the work has ended")
    assert ends.seen[0].result() is True


def test_what_is_remembered_nowhere_else_is_waited_for(gate):
    calls = SlowCalls(SOON, 1, 1)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(calls.run, lambda: gate.wait(60), lambda: False, never)
        gate.set()

        assert waiting.result(60) is True


def test_beyond_the_limit_half_of_the_threads_wait_and_then_nothing_more_is_begun(gate):
    calls, ends = SlowCalls(SOON, 1, 4), Ends()
    with ThreadPoolExecutor(4) as threads:
        assert calls.run(lambda: gate.wait(60), always, ends) is None
        held = [threads.submit(calls.run, lambda: gate.wait(60), always, never) for _ in range(2)]
        eventually(lambda: not has_room(calls), within=60, description="two threads wait")

        gate.set()
        assert [one.result(60) for one in held] == [True, True]
    eventually(lambda: ends.seen, within=60, description="the first has ended")
    assert has_room(calls)


def has_room(calls: SlowCalls) -> bool:
    try:
        calls.check_room()
    except TooManySlowCallsError:
        return False
    return True


def test_closing_waits_for_what_goes_on(gate):
    calls, ends = SlowCalls(SOON, 1, 1), Ends()
    calls.run(lambda: gate.wait(60), always, ends)
    threading.Timer(SOON, gate.set).start()

    calls.close()

    assert ends.seen[0].result() is True
