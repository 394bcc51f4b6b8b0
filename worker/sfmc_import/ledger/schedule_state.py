"""Until when the schedules were looked at, in Redis and on its clock: all beats share both."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from redis import Redis

from sfmc_import.ledger.arguments import milliseconds
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.ledger_settings import LedgerSettings
from sfmc_import.ledger.own_ids import own_id
from sfmc_import.ledger.watching_keys import SCHEDULE


class ScheduleState:
    """Implements sfmc_import.ports.ScheduleState; safe for threads."""

    def __init__(self, client: Redis, settings: LedgerSettings) -> None:
        self._client, self._ttl_ms = client, milliseconds(settings.schedule_ttl)
        self._keys = Keys(settings.prefix)

    def read(self, sources: Sequence[str]) -> tuple[datetime, Mapping[str, datetime]]:
        """See sfmc_import.ports.ScheduleState.read."""
        with redis_errors():
            pipe = self._client.pipeline(transaction=False)
            pipe.time()
            for source in sources:
                pipe.get(self._keys.name_of(SCHEDULE, source))
            (seconds, microseconds), *found = pipe.execute()
        seen = {source: _time(int(text)) for source, text in zip(sources, found, strict=True) if text is not None}
        return _time(int(seconds)) + timedelta(microseconds=int(microseconds)), seen

    def note(self, source: str, seen: datetime) -> None:
        """See sfmc_import.ports.ScheduleState.note."""
        with redis_errors():
            self._client.set(self._keys.name_of(SCHEDULE, source), int(seen.timestamp()), px=self._ttl_ms)

    def recorded_at(self, request_id: str) -> datetime | None:
        """See sfmc_import.ports.ScheduleState.recorded_at."""
        with redis_errors():
            [milliseconds_since_1970] = self._client.hmget(self._keys.request(request_id), "at")
        return None if milliseconds_since_1970 is None else _time(int(milliseconds_since_1970) / 1000)

    def own_id(self, usual: str) -> str:
        """See sfmc_import.ports.ScheduleState.own_id."""
        return own_id(self._client, self._keys, usual)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
