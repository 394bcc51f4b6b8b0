"""Sets records aside that no source can read, as dead letters beside those of the queue."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

import structlog
from redis import Redis
from redis.exceptions import RedisError

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.ledger.confirming import confirm
from sfmc_import.ledger.ledger_settings import Durability
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.request import BadRequestError
from sfmc_producers.sources.intake import SentBack
from sfmc_transport import Keys
from sfmc_transport.dead_letters import add, read_sent_back

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 10
NOT_KEPT = "what cannot be read cannot be kept as a dead letter"
NOT_CONFIRMED = "dead letters are not confirmed"


class Keeps(Protocol):
    """Takes records that cannot be read, over the API."""

    def set_aside(self, source: str, record_id: str, body: bytes, text: str) -> None:
        """Keep one; raises ServiceUnavailableError and BadRequestError."""
        ...


class ApiDeadLetters:
    """Dead letters of sources that have no Redis: they are kept there, and nothing is sent back here."""

    def __init__(self, api: Keeps) -> None:
        self._api = api
        self._outages: dict[str, str] = {}

    def add(self, source: str, record_id: str, body: bytes, text: str) -> bool:
        """Keep the bytes once for each id; False when the server does not take them now.

        What it refuses for good is let go, with a line in the log: it would come again for ever.
        """
        try:
            self._api.set_aside(source, record_id, body, text)
        except ServiceUnavailableError as error:
            self._outages[source] = f"{NOT_KEPT}: {error}"
            return False
        except BadRequestError as error:
            log.error("record_not_kept", source=source, record=record_id, why=text, reason=str(error))
        self._outages.pop(source, None)
        return True

    def confirm(self, source: str, record_ids: Sequence[str]) -> bool:  # noqa: ARG002 - as SourceDeadLetters
        """Tell that they are kept: the server has answered when they were confirmed."""
        return True

    def outage(self, source: str) -> str:
        """See `SetAside`."""
        return self._outages.get(source, "")

    def marks(self, source: str, record_ids: Sequence[str]) -> list[str]:  # noqa: ARG002 - as SourceDeadLetters
        """Give nothing: no key is known here."""
        return []

    def replayed(self, source: str) -> list[SentBack]:  # noqa: ARG002 - as SourceDeadLetters
        """Give nothing: what is sent back waits in Redis, for a source that has it."""
        return []

    def done(self, source: str, letter: SentBack) -> None:
        """Do nothing: nothing is sent back."""


REMEMBERED_SECONDS = 7 * 86400
"""How long a record that comes again makes no second dead letter: longer than queues keep a message in their hands."""


class SourceDeadLetters:
    """Dead letters of sources; `redis` is the broker's, where the dead letters of the queue are.

    With `durability` its disk or its replicas must confirm what is kept, before a source lets go of the original.
    `beside_ledger` says that it has the ledger as well.
    """

    def __init__(
        self, redis: Redis, keys: Keys, durability: Durability | None = None, *, beside_ledger: bool = False
    ) -> None:
        self._redis, self._keys, self._durability = redis, keys, durability or Durability()
        self._beside_ledger = beside_ledger
        self._is_confirmed = True
        self._not_kept: dict[str, str] = {}
        self._not_confirmed: dict[str, str] = {}

    def add(self, source: str, record_id: str, body: bytes, text: str) -> bool:
        """Keep the bytes once for each id; False when Redis does not take them now."""
        try:
            queue, once = self._queue(source), self._once(source, record_id)
            add(self._redis, self._keys, body, queue=queue, detail=text, once=(once, REMEMBERED_SECONDS))
        except RedisError as error:
            self._not_kept[source] = f"{NOT_KEPT}: {error}"
            return False
        self._not_kept.pop(source, None)
        return True

    def outage(self, source: str) -> str:
        """See `SetAside`."""
        return self._not_kept.get(source) or self._not_confirmed.get(source, "")

    def confirm(self, source: str, record_ids: Sequence[str]) -> bool:
        """Tell whether disk or replicas have what was kept under these ids; the log says once where not."""
        marks = [self._once(source, each) for each in record_ids]
        try:
            confirm(self._redis, self._durability, self._key("mark"), marks)
        except LedgerUnavailableError as error:
            if self._is_confirmed:
                log.error("dead_letters_not_confirmed", source=source, reason=str(error), action="waiting")
            self._is_confirmed = False
            self._not_confirmed[source] = f"{NOT_CONFIRMED}: {error}"
            return False
        self._is_confirmed = True
        self._not_confirmed.pop(source, None)
        return True

    def marks(self, source: str, record_ids: Sequence[str]) -> list[str]:
        """See `SetAside`."""
        return [self._once(source, each) for each in record_ids] if self._beside_ledger else []

    def replayed(self, source: str) -> list[SentBack]:
        """Give what `sfmc-import dead-letters replay` sent back to this source; nothing while Redis is away."""
        try:
            found: list[bytes] = self._redis.lrange(self._queue(source), 0, MOST_AT_ONCE - 1)  # type: ignore[assignment]
        except RedisError:
            return []
        return [SentBack(*read_sent_back(each), each) for each in found]

    def done(self, source: str, letter: SentBack) -> None:
        """Forget one that was sent back; while Redis is away it comes once more, under the same id."""
        with suppress(RedisError):
            self._redis.lrem(self._queue(source), 1, letter.entry)  # type: ignore[arg-type]

    def _once(self, source: str, record_id: str) -> str:
        return self._key(f"set-aside:{source}:{record_id}")

    def _queue(self, source: str) -> str:
        return self._key(f"source:{source}")

    def _key(self, name: str) -> str:
        return f"{self._keys.kombu_prefix}{self._keys.prefix}{name}"
