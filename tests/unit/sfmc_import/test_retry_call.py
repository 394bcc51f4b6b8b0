"""Patience: what is tried again, how long, how the waits grow, and what is told about them."""

import pytest
import structlog.testing

from sfmc_import.faults import Ambiguous, NotApplied, Rejected
from sfmc_import.retry_call import retry_call
from sfmc_import.runs import Accepted

PASSING = NotApplied("refused", "connection refused")
DONE = Accepted(task_id="1")


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


def patient(waits, deadline=1000.0, attempts=6, **options):
    return retry_call(deadline=deadline, attempts=attempts, sleep=waits.append, **options)


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

    assert patient(waits)(attempts) is answer
    assert (attempts.count, waits) == (1, [])


def test_what_was_not_applied_is_tried_again_until_it_works(waits):
    assert patient(waits)(Attempts(PASSING, PASSING, DONE)) is DONE
    assert len(waits) == 2


def test_a_failure_that_stops_being_safe_ends_the_tries(waits):
    doubt = Ambiguous("reset", "…")

    assert patient(waits)(Attempts(PASSING, doubt, DONE)) is doubt


def test_the_last_answer_comes_back_when_the_attempts_are_used_up(waits):
    last = NotApplied("dns", "…")
    attempts = Attempts(PASSING, PASSING, last)

    assert patient(waits, attempts=3)(attempts) is last
    assert (attempts.count, len(waits)) == (3, 2)


def test_no_wait_is_begun_that_would_end_after_the_deadline(waits):
    attempts = Attempts(NotApplied("http_503", "…", retry_after=4.0))

    patient(waits, deadline=10.0, attempts=99, first_wait=0.001, longest_wait=0.001)(attempts)

    assert waits == [4.0, 4.0]


def test_a_time_that_the_service_names_beyond_the_deadline_ends_the_tries_at_once(waits):
    attempts = Attempts(NotApplied("refused", "…", retry_after=3600.0))

    patient(waits, deadline=10.0)(attempts)

    assert (attempts.count, waits) == (1, [])


def test_waits_have_full_jitter_below_a_bound_that_doubles(waits):
    for _ in range(200):
        patient(waits, attempts=5, first_wait=1.0, longest_wait=4.0)(Attempts(PASSING))
    rounds = list(zip(*[iter(waits)] * 4, strict=True))
    bounds = [max(column) for column in zip(*rounds, strict=True)]

    assert all(bound <= most for bound, most in zip(bounds, [1, 2, 4, 4], strict=True))
    assert bounds[2] > 2
    assert min(waits) < 0.2


def test_one_patience_serves_many_calls_each_with_its_own_count(waits):
    call = patient(waits, attempts=3)

    assert [call(Attempts(PASSING, PASSING, DONE)) for _ in range(3)] == [DONE] * 3


def test_each_wait_is_told_with_attempt_wait_code_and_class(waits):
    with structlog.testing.capture_logs() as told:
        patient(waits)(Attempts(PASSING, DONE))

    assert told == [
        {
            "event": "start_attempt_failed",
            "log_level": "warning",
            "attempt": 1,
            "wait": round(waits[0], 3),
            "error": "NotApplied",
            "code": "refused",
        }
    ]
