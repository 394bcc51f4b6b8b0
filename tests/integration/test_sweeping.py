"""Beat sends a sweep when there is something for it to do, and once in a while in any case."""

import pytest
import redis as redis_py
from redis.backoff import NoBackoff
from redis.retry import Retry

from sfmc_import.ledger import RedisLedger
from sfmc_import.request import StartRequest
from sfmc_import.sweeping import LONGEST_PAUSE, SweepLook
from sfmc_transport import Keys as TransportKeys
from sfmc_transport import dead_letters
from tests.integration.test_rejections import KEYS, dead_letter


class Clock:
    """Seconds that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def look_over(raw: redis_py.Redis, ledger: RedisLedger, clock: Clock, keys: TransportKeys = KEYS) -> SweepLook:
    """A look of a beat that has sent its first sweep."""
    made = SweepLook(raw, ledger.keys, raw, keys, clock)
    assert made.is_needed()
    return made


def request(request_id: str, **more: object) -> StartRequest:
    return StartRequest(request_id=request_id, customer_key="orders", mid="510001234", **more)  # type: ignore[arg-type]


def test_while_nothing_is_due_a_sweep_is_sent_only_once_in_a_while(raw: redis_py.Redis, ledger: RedisLedger) -> None:
    clock = Clock()
    look = look_over(raw, ledger, clock)
    ledger.accept(request("later", not_before=4_000_000_000.0))
    needed = []
    for _ in range(25):
        clock.now += 1
        needed.append(look.is_needed())

    assert [number for number, is_needed in enumerate(needed, 1) if is_needed] == [LONGEST_PAUSE, 2 * LONGEST_PAUSE]


@pytest.mark.parametrize("kind", ["due", "follows", "replies"])
def test_a_sweep_is_sent_when_something_is_due(raw: redis_py.Redis, ledger: RedisLedger, kind: str) -> None:
    look = look_over(raw, ledger, Clock())
    seconds, _ = raw.time()
    name = f"{ledger.keys.tag}{kind}"
    raw.zadd(name, {"later": (seconds + 600) * 1000})
    raw.expire(name, 60)
    assert not look.is_needed()
    raw.zadd(name, {"now": seconds * 1000})

    assert look.is_needed()


def test_a_sweep_is_sent_for_a_result_that_somebody_waits_for(raw: redis_py.Redis, ledger: RedisLedger) -> None:
    look = look_over(raw, ledger, Clock())
    raw.hset(ledger.keys.results, "request", "task")
    raw.expire(ledger.keys.results, 60)

    assert look.is_needed()


def test_a_sweep_is_sent_for_a_dead_letter_without_event(raw: redis_py.Redis, ledger: RedisLedger) -> None:
    look = look_over(raw, ledger, Clock())
    letter = dead_letter(raw, b"one")
    assert look.is_needed()
    dead_letters.reported(raw, KEYS, letter)

    assert not look.is_needed()


def test_a_sweep_is_sent_while_redis_cannot_be_asked(raw: redis_py.Redis, ledger: RedisLedger) -> None:
    with redis_py.Redis(port=1, retry=Retry(NoBackoff(), 0)) as gone:
        for one, other in ((gone, raw), (raw, gone)):
            look = SweepLook(one, ledger.keys, other, KEYS, Clock())
            assert [look.is_needed() for _ in range(3)] == [True] * 3
