"""Notes in the ledger since when beat cannot reach the broker, for those who ask why nothing starts."""

from contextlib import suppress
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.ledger_settings import LedgerSettings
from sfmc_import.ledger.watching_keys import BROKER_AWAY


class BrokerState:
    """What beat has seen of a broker that is another Redis; the ledger may be away too, which is no fault here."""

    def __init__(self, client: Redis, settings: LedgerSettings) -> None:
        self._client: Any = client
        self._name, self._ttl = Keys(settings.prefix).last_seen, round(settings.unfinished_ttl)

    def note(self, *, is_away: bool) -> None:
        """Note that it does not answer, the first time in a row, or that it does."""
        with suppress(RedisError, OSError):
            if not is_away:
                self._client.hdel(self._name, BROKER_AWAY)
            elif self._client.hget(self._name, BROKER_AWAY) is None:
                seconds, micros = self._client.time()
                self._client.hset(self._name, BROKER_AWAY, seconds * 1000 + micros // 1000)
                self._client.expire(self._name, self._ttl)
