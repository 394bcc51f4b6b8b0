"""Says whether a sweep would find anything: beat sends none that would not."""

from collections.abc import Callable
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.notification_keys import REPLIES
from sfmc_transport import Keys as TransportKeys

LONGEST_PAUSE = 10.0
"""Seconds after which a sweep is sent whatever the look says: it also writes down how many calls were made."""


class SweepLook:
    """Tells whether a sweep is needed: something is due, or there is something to report to senders.

    One round trip. Where Redis cannot be asked, a sweep is needed: whoever sends it says what is wrong. `clock` gives
    seconds that only grow.
    """

    def __init__(
        self, ledger: Redis, keys: Keys, broker: Redis, transport_keys: TransportKeys, clock: Callable[[], float]
    ) -> None:
        self._ledger = ledger
        self._keys = keys
        self._broker = broker
        self._unreported = transport_keys.unreported
        self._clock = clock
        self._sent_at = -LONGEST_PAUSE

    def is_needed(self) -> bool:
        """Tell whether to send a sweep now; that one counts as sent."""
        now = self._clock()
        needed = now - self._sent_at >= LONGEST_PAUSE or self._finds_work()
        if needed:
            self._sent_at = now
        return needed

    def _finds_work(self) -> bool:
        try:
            return self._is_due() or bool(self._broker.llen(self._unreported))
        except RedisError:
            return True

    def _is_due(self) -> bool:
        pipe: Any = self._ledger.pipeline(transaction=False)
        pipe.time()
        pipe.hlen(self._keys.results)
        for key in (self._keys.due, self._keys.follows, self._keys.name_of(REPLIES)):
            pipe.zrange(key, 0, 0, withscores=True)
        (seconds, micros), results, *firsts = pipe.execute()
        now = seconds * 1000 + micros / 1000
        return bool(results) or any(found and found[0][1] <= now for found in firsts)
