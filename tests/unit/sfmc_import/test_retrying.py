"""What follows each fault under each policy, row by row, and the pauses in between."""

from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import.faults import Ambiguous, NotApplied, Rejected
from sfmc_import.retrying import (
    CONNECT,
    IN_CALL,
    LEDGER,
    LOGIN,
    MAX_RETRY_AFTER_SECONDS,
    NO_JITTER,
    POLICIES,
    QUERY,
    RECONCILE,
    REPEAT,
    SCHEDULED,
    WATCHER,
    Backoff,
    GiveUp,
    Reconcile,
    Reject,
    Retry,
    Times,
    after,
    is_account_wide,
)

TRANSIENT = NotApplied("13", "not processed")
THROTTLED = NotApplied("http_429", "limited", account_wide=True, retry_after=77.0)
LOGGED_OUT = NotApplied("login_failed", "no token", account_wide=True)
REFUSED_BY_HTTP = NotApplied("http_refused", "HTTP 403")
AMBIGUOUS = Ambiguous("reset", "connection reset")
DENIED = Ambiguous("77777", "what is this", denied=True)
UNAVAILABLE = Ambiguous("http_503", "busy", denied=True, account_wide=True, retry_after=300.0)
REJECTED = Rejected("43010", "not found")
BUSY = NotApplied("http_503", "busy", retry_after=4.0)
REQUEST = replace(SCHEDULED, results_delay=60.0)

MIDDLE = Times(chance=0.5)
LATE = Times(chance=0.5, spent=19.9)
ENDED = Times(chance=0.5, left_of_deadline=0.0)
LOOKED_UP = Times(chance=0.5, looked_up="77777")

ROWS = [
    # A Perform, within the task.
    (IN_CALL, TRANSIENT, 1, MIDDLE, Retry(0.125, "13")),
    (IN_CALL, TRANSIENT, 4, MIDDLE, Retry(1.0, "13")),
    (IN_CALL, TRANSIENT, 5, MIDDLE, GiveUp(2.0, "13", "not processed")),
    (IN_CALL, TRANSIENT, 1, LATE, GiveUp(0.125, "13", "not processed")),
    (IN_CALL, BUSY, 1, MIDDLE, Retry(4.0, "http_503")),
    (IN_CALL, THROTTLED, 1, MIDDLE, GiveUp(77.0, "http_429", "limited")),
    (IN_CALL, LOGGED_OUT, 1, MIDDLE, GiveUp(0.125, "login_failed", "no token")),
    (IN_CALL, AMBIGUOUS, 1, MIDDLE, Reconcile(0.0, "reset")),
    (IN_CALL, REJECTED, 1, MIDDLE, Reject("43010", "not found")),
    # A Retrieve, within the task.
    (QUERY, AMBIGUOUS, 1, MIDDLE, Retry(0.125, "reset")),
    (QUERY, AMBIGUOUS, 4, MIDDLE, GiveUp(1.0, "reset", "connection reset")),
    (QUERY, LOGGED_OUT, 1, MIDDLE, GiveUp(0.125, "login_failed", "no token")),
    (QUERY, REJECTED, 1, MIDDLE, Reject("43010", "not found")),
    # A step of the ledger.
    (LEDGER, TRANSIENT, 100, MIDDLE, Retry(1.0, "13")),
    (LEDGER, TRANSIENT, 100, Times(chance=0.5, spent=59.5), GiveUp(1.0, "13", "not processed")),
    # A request, by the ledger.
    (REQUEST, TRANSIENT, 1, MIDDLE, Retry(22.5, "13")),
    (REQUEST, TRANSIENT, 50, MIDDLE, Retry(457.5, "13")),
    (REQUEST, LOGGED_OUT, 1, MIDDLE, Retry(22.5, "login_failed")),
    (REQUEST, THROTTLED, 1, MIDDLE, Retry(77.0, "http_429")),
    (REQUEST, THROTTLED, 50, MIDDLE, Retry(457.5, "http_429")),
    (REQUEST, TRANSIENT, 1, Times(chance=0.5, left_of_deadline=22.5), Retry(22.5, "13")),
    (REQUEST, TRANSIENT, 1, Times(chance=0.5, left_of_deadline=22.4), GiveUp(22.5, "13", "not processed")),
    (REQUEST, AMBIGUOUS, 1, ENDED, Reconcile(60.0, "reset")),
    (REQUEST, REJECTED, 1, MIDDLE, Reject("43010", "not found")),
    # What hits the whole account ends no single request.
    (REQUEST, LOGGED_OUT, 9, ENDED, Retry(457.5, "login_failed")),
    (REQUEST, THROTTLED, 1, ENDED, Retry(77.0, "http_429")),
    # What a server between may have said: the row of a start has its time to appear.
    (REQUEST, REFUSED_BY_HTTP, 1, MIDDLE, Retry(60.0, "http_refused")),
    (REQUEST, REFUSED_BY_HTTP, 50, MIDDLE, Retry(457.5, "http_refused")),
    # What Marketing Cloud denies is looked up and tried again, and rejected when it is denied again.
    (REQUEST, DENIED, 1, MIDDLE, Reconcile(60.0, "77777")),
    (REQUEST, DENIED, 2, replace(LOOKED_UP, looked_up="8"), Reconcile(60.0, "77777")),
    (REQUEST, DENIED, 2, LOOKED_UP, Reject("77777", "what is this")),
    (REQUEST, AMBIGUOUS, 2, replace(LOOKED_UP, looked_up="reset"), Reconcile(60.0, "reset")),
    (REQUEST, UNAVAILABLE, 2, replace(LOOKED_UP, looked_up="http_503"), Reconcile(300.0, "http_503")),
    (QUERY, DENIED, 1, LOOKED_UP, Retry(0.125, "77777")),
    # A request whose start was sent and left no trace.
    (REPEAT, TRANSIENT, 1, ENDED, Retry(22.5, "13")),
    # The query that polls for the run of an ambiguous start.
    (RECONCILE, TRANSIENT, 1, MIDDLE, Reconcile(15.0, "13")),
    (RECONCILE, TRANSIENT, 1, ENDED, Reconcile(15.0, "13")),
    (RECONCILE, THROTTLED, 1, ENDED, Reconcile(77.0, "http_429")),
    (RECONCILE, REJECTED, 1, MIDDLE, Reconcile(15.0, "43010")),
    (RECONCILE, REJECTED, 1, ENDED, Reject("43010", "not found")),
    # A login that fails, for a whole process.
    (LOGIN, LOGGED_OUT, 1, MIDDLE, Retry(1.0, "login_failed")),
    (LOGIN, LOGGED_OUT, 4, Times(chance=NO_JITTER), Retry(8.0, "login_failed")),
    (LOGIN, LOGGED_OUT, 40, Times(chance=NO_JITTER), Retry(60.0, "login_failed")),
    (LOGIN, THROTTLED, 1, MIDDLE, Retry(77.0, "http_429")),
    # The watcher, which spreads nothing.
    (WATCHER, TRANSIENT, 1, Times(chance=NO_JITTER), Retry(1.0, "13")),
    (WATCHER, TRANSIENT, 2, Times(chance=NO_JITTER), Retry(2.0, "13")),
    (WATCHER, TRANSIENT, 9, Times(chance=NO_JITTER), Retry(4.0, "13")),
]


@pytest.mark.parametrize(("policy", "fault", "attempt", "times", "expected"), ROWS)
def test_fault_and_policy_decide_what_follows(policy, fault, attempt, times, expected):
    assert after(fault, attempt, times, policy) == expected


FAULTS = st.one_of(
    st.builds(
        NotApplied,
        st.just("9"),
        st.just("…"),
        st.booleans(),
        st.none() | st.floats(allow_nan=True, allow_infinity=True),
    ),
    st.just(AMBIGUOUS),
    st.just(DENIED),
    st.just(UNAVAILABLE),
    st.just(REJECTED),
)
TIMES = st.builds(Times, chance=st.floats(-1, 2), spent=st.floats(0, 1e6), left_of_deadline=st.floats(0, 1e6))


@given(fault=FAULTS, attempt=st.integers(1, 10**9), times=TIMES, policy=st.sampled_from(POLICIES))
def test_every_pause_is_finite_and_no_shorter_than_the_floor_of_its_policy(fault, attempt, times, policy):
    step = after(fault, attempt, times, policy)
    if isinstance(step, Retry) or (policy is RECONCILE and isinstance(step, Reconcile)):
        assert policy.backoff.floor <= step.after <= max(policy.backoff.cap, MAX_RETRY_AFTER_SECONDS)


@given(fault=FAULTS, attempt=st.integers(1, 10**9), times=TIMES, policy=st.sampled_from(POLICIES))
def test_no_pause_of_what_was_not_sent_ends_after_the_deadline(fault, attempt, times, policy):
    step = after(fault, attempt, times, policy)
    if isinstance(step, Retry) and not policy.sent:
        left = inf if is_account_wide(fault) else times.left_of_deadline
        assert step.after <= min(policy.deadline - times.spent, left)


@given(fault=FAULTS, attempt=st.integers(1, 10**9), times=TIMES, policy=st.sampled_from(POLICIES))
def test_only_what_was_not_sent_is_given_up(fault, attempt, times, policy):
    if isinstance(after(fault, attempt, times, policy), GiveUp):
        assert not policy.sent
        assert isinstance(fault, NotApplied) or policy.on_ambiguous == "retry"


@pytest.mark.parametrize("asked", [inf, -inf, nan, -5.0, 0.0, None])
def test_a_retry_after_that_is_no_time_leaves_the_pause_of_the_policy(asked):
    assert after(replace(THROTTLED, retry_after=asked), 1, MIDDLE, SCHEDULED) == Retry(22.5, "http_429")


def test_a_retry_after_of_a_year_is_capped_and_does_not_end_the_request():
    times = Times(chance=0.5, left_of_deadline=6 * 3600.0)

    assert after(replace(THROTTLED, retry_after=3.2e7), 1, times, SCHEDULED) == Retry(3600.0, "http_429")


@given(
    tries=st.integers(0, 10**6),
    chance=st.floats(0, 1),
    floor=st.floats(0.1, 100),
    more=st.floats(0, 1e4),
)
def test_a_pause_lies_between_floor_and_cap(tries, chance, floor, more):
    pause = Backoff(floor=floor, cap=floor + more).pause(tries, chance)

    assert floor * (1 - 1e-9) <= pause <= (floor + more) * (1 + 1e-9)


def test_pauses_grow_until_the_cap_and_are_spread_by_chance():
    backoff = Backoff(floor=10, cap=100)

    assert [backoff.pause(tries, 1.0) for tries in (0, 1, 2, 3, 4)] == [10, 20, 40, 80, 100]
    assert backoff.pause(9, 0.5) == 55
    assert backoff.pause(9, 0) == 10
    assert Backoff(floor=10, cap=1000, factor=3).pause(2, 1.0) == 90


def test_jitter_from_zero_has_a_first_bound_of_its_own():
    backoff = Backoff(floor=0, first=0.25, cap=8)

    assert [backoff.pause(tries, 1.0) for tries in (1, 2, 6, 7)] == [0.25, 0.5, 8, 8]
    assert backoff.pause(1, 0.0) == 0


def test_connecting_waits_from_half_a_second_up_to_five():
    assert [CONNECT.pause(tries, NO_JITTER) for tries in (1, 2, 3, 4, 5, 99)] == [0.5, 1, 2, 4, 5, 5]
