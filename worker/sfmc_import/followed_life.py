"""Follows the life of a request on the stream, and notices when its end has left the stream unseen."""

import time
from collections.abc import Callable

from redis.exceptions import RedisError

from sfmc_import.events.stream import Event, EventStream, Life, order
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.states import UNFINISHED

LOOK_SECONDS = 1.0


class FollowedLife:
    """The life of a request as far as it was read, beginning after `position` of the stream.

    A follower may stand still while more events come than the stream keeps; what the ledger says is asked then.
    """

    def __init__(
        self,
        request_id: str,
        position: str,
        reader: LedgerReader,
        stream: EventStream,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._life, self._position = Life(request_id), position
        self._reader, self._stream, self._clock = reader, stream, clock
        self._looked_at = clock()

    @property
    def is_over(self) -> bool:
        """Whether the last event that counts was read."""
        return self._life.is_over

    def add(self, position: str, event: Event) -> bool:
        """Go one event on; True when it is one of the request."""
        self._position = position
        return self._life.add(event)

    def is_gone(self) -> bool:
        """Tell whether nothing of it will come any more; asks the ledger once a second, False while it cannot."""
        if self._clock() - self._looked_at < LOOK_SECONDS:
            return False
        self._looked_at = self._clock()
        try:
            return self._has_ended() and not self._comes()
        except (LedgerUnavailableError, RedisError):
            return False

    def _has_ended(self) -> bool:
        record = self._reader.request(self._life.counts)
        if record is None:
            return True
        is_on_its_way = record["state"] in UNFINISHED
        return not is_on_its_way or (record["state"] == "started" and not self._life.counts_own)

    def _comes(self) -> bool:
        """Tell whether the stream still has what counts after this position, or what may follow on it."""
        if not self._life.counts_own and self._stream.some_after(self._position, 1)[1]:
            return True
        places = self._reader.places(self._life.counts)
        return bool(self._stream.at([place for place in places if order(place) > order(self._position)]))
