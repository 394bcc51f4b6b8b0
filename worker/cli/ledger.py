"""Opens the ledger and the stream for commands that look; builds no use case."""

import os
from dataclasses import dataclass
from functools import cached_property

from redis import Redis

from worker.adapters.event_stream import ANSWER_SECONDS, EventStream
from worker.adapters.ledger.keys import Keys
from worker.adapters.ledger.reading import LedgerReader
from worker.adapters.redis_client import connect
from worker.settings import Settings, load


@dataclass(frozen=True)
class Looking:
    """What a looking command needs, opened from the settings of the environment; connects on first use."""

    settings: Settings

    @cached_property
    def client(self) -> Redis:
        """The client of ledger and stream."""
        return connect(self.settings.redis, answer_seconds=ANSWER_SECONDS)

    @cached_property
    def broker(self) -> Redis:
        """The client of Celery's queue."""
        return connect(self.settings.broker)

    @cached_property
    def keys(self) -> Keys:
        """The names of the keys."""
        return Keys(self.settings.prefix)

    @cached_property
    def reader(self) -> LedgerReader:
        """The ledger as plain mappings."""
        return LedgerReader(self.client, self.keys)

    @cached_property
    def stream(self) -> EventStream:
        """The stream of events."""
        return EventStream(self.client, self.keys.stream)

    def mid(self, given: str | None) -> str:
        """Give the business unit that is meant: the one given, else that of the settings."""
        return given or self.settings.account_id


def look() -> Looking:
    """Open for looking; raises SettingsError."""
    return Looking(load(os.environ))
