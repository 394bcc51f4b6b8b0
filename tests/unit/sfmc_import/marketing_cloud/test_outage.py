"""While the token endpoint fails, or a login is refused, the login waits as a whole and one caller tries at a time."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.marketing_cloud import MarketingCloudConfig, PlainSecret
from sfmc_import.marketing_cloud.http import Failed, Reply
from sfmc_import.marketing_cloud.login import Token, TokenSource
from sfmc_import.marketing_cloud.outage import Outage
from sfmc_import.retrying import LOGIN
from tests.support.waiting import eventually

CONFIG = MarketingCloudConfig(
    soap_url="https://t.soap.example/",
    auth_url="https://t.auth.example/",
    client_id="the-client",
    client_secret=PlainSecret("the-secret"),
)
GRANTED = Reply(200, {}, b'{"access_token": "t", "expires_in": 1000}')
AWAY = [
    Failed("refused", "no"),
    Failed("read_timeout", "slow"),
    *(Reply(code, {}, b"") for code in (500, 502, 503, 504)),
]
DOWN = NotApplied("token_unavailable", "no token", account_wide=True)
UNITS = [str(number) for number in range(20)]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Endpoint:
    """Counts what it is asked, and answers `answer`."""

    def __init__(self, answer: Reply | Failed = GRANTED) -> None:
        self.asked = 0
        self.answer = answer

    def __call__(self, *_: object) -> Reply | Failed:
        self.asked += 1
        return self.answer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize("answer", AWAY)
def test_what_one_business_unit_met_at_the_token_endpoint_no_other_one_tries_before_the_pause_is_over(clock, answer):
    endpoint = Endpoint(answer)
    tokens = TokenSource(CONFIG, endpoint, clock)
    faults = [tokens.get(mid, 60) for mid in UNITS]

    assert endpoint.asked == 1
    assert {(type(fault), fault.account_wide, fault.retry_after) for fault in faults} == {(NotApplied, True, 1.0)}


def test_a_throttled_token_endpoint_is_left_alone_by_all_business_units_of_the_login(clock):
    endpoint = Endpoint(Reply(429, {"retry-after": "600"}, b""))
    tokens = TokenSource(CONFIG, endpoint, clock)
    tokens.get("1", 60)
    endpoint.answer, clock.now = GRANTED, 599.0

    fault = tokens.get("2", 60)

    assert (fault.code, fault.retry_after, endpoint.asked) == ("http_429", 1.0, 1)
    clock.now = 600.0
    assert isinstance(tokens.get("2", 60), Token)


def test_while_the_token_endpoint_stays_away_the_pauses_grow_to_a_minute(clock):
    endpoint = Endpoint(Reply(502, {}, b""))
    tokens = TokenSource(CONFIG, endpoint, clock)
    tried = []
    while clock.now < 300:
        before = endpoint.asked
        for mid in UNITS:
            tokens.get(mid, 60)
        tried += [clock.now] * (endpoint.asked - before)
        clock.now += 0.5

    assert tried == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]


def test_business_units_with_a_valid_token_do_not_notice_the_outage(clock):
    endpoint = Endpoint()
    tokens = TokenSource(CONFIG, endpoint, clock)
    held = tokens.get("1", 60)
    endpoint.answer = Reply(502, {}, b"")
    tokens.get("2", 60)
    clock.now = 900.0

    assert tokens.get("1", 60) is held


def test_a_refused_login_of_one_business_unit_is_no_outage_of_the_token_endpoint(clock):
    endpoint = Endpoint(Reply(401, {}, b""))
    tokens = TokenSource(CONFIG, endpoint, clock)
    assert tokens.get("1", 60).code == "login_failed"
    endpoint.answer = GRANTED

    assert isinstance(tokens.get("2", 60), Token)


def test_when_the_pause_is_over_one_of_many_callers_tries_and_ends_the_outage_for_all(clock):
    outage, gate, tries = Outage(clock, {DOWN.code}), threading.Event(), []
    outage.attempt(lambda: DOWN)
    clock.now = 1.0

    def probe() -> str:
        tries.append("probe")
        assert gate.wait(60)
        return "token"

    with ThreadPoolExecutor(1) as threads:
        probing = threads.submit(outage.attempt, probe)
        eventually(lambda: tries, within=60, description="one caller tries")
        others = [outage.attempt(probe) for _ in range(50)]
        gate.set()
        assert probing.result() == "token"

    assert others == [replace(DOWN, retry_after=LOGIN.backoff.floor)] * 50
    assert outage.attempt(lambda: "another") == "another"


def test_an_older_call_that_succeeds_does_not_end_a_pause_that_was_asked_for(clock):
    outage = Outage(clock, {DOWN.code})

    def slow() -> str:
        outage.attempt(lambda: replace(DOWN, retry_after=600.0))
        return "token"

    assert outage.attempt(slow) == "token"
    assert outage.attempt(lambda: "called") == replace(DOWN, retry_after=600.0)


def test_calls_that_fail_together_count_once_and_the_longest_pause_that_one_of_them_names_counts(clock):
    outage = Outage(clock, {DOWN.code})

    def slow() -> NotApplied:
        outage.attempt(lambda: DOWN)
        return replace(DOWN, retry_after=30.0)

    outage.attempt(slow)
    clock.now = 30.0
    outage.attempt(lambda: DOWN)

    assert outage.attempt(lambda: "called") == replace(DOWN, retry_after=2.0)


def test_a_probe_that_raises_leaves_the_next_one_to_try(clock):
    outage = Outage(clock, {DOWN.code})
    outage.attempt(lambda: DOWN)
    clock.now = 1.0
    with pytest.raises(ZeroDivisionError):
        outage.attempt(lambda: 1 // 0)

    assert outage.attempt(lambda: "token") == "token"


@given(st.lists(st.tuples(st.floats(0, 100), st.sampled_from([DOWN, Rejected("43010", "no"), "token"])), max_size=30))
def test_no_call_is_made_within_a_pause_and_no_pause_is_longer_than_the_cap(steps):
    clock = Clock()
    outage = Outage(clock, {DOWN.code})
    until = 0.0
    for passed, answer in steps:
        clock.now += passed
        called = []
        got = outage.attempt(lambda answer=answer, called=called: called.append(1) or answer)
        assert bool(called) is (clock.now >= until)
        if called and answer is DOWN:
            assert 0 < got.retry_after <= LOGIN.backoff.cap
            until = clock.now + got.retry_after
