"""Access to Redis for the commands that read, with its errors in plain lines."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from redis import Redis
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.events import ANSWER_SECONDS, EventStream
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.ledger.schema import Keys
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.redis_address import RedisAddress
from sfmc_import.redis_server import connect
from sfmc_import.settings import Settings, load


@dataclass(frozen=True)
class ReadAccess:
    """Ledger, event stream and queue, for commands that read; connects on first use."""

    settings: Settings

    @cached_property
    def client(self) -> Redis:
        """The client of ledger and stream."""
        return connect(self.settings.redis, answer_seconds=ANSWER_SECONDS)

    @cached_property
    def broker(self) -> Redis:
        """The client of Celery's queue."""
        return connect(self.settings.broker)

    @property
    def broker_variable(self) -> str:
        """The setting that has the address of the queue."""
        return "SFMC_BROKER_URL" if self.settings.broker_url else "SFMC_REDIS_URL"

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
        """Give the business unit: the one given, else that of the settings."""
        return given or self.settings.account_id


@contextmanager
def open_for_reading() -> Iterator[ReadAccess]:
    """Open ledger and queue with the settings of the environment; raises SettingsError, ServiceUnavailableError."""
    settings = load(os.environ)
    with redis_errors(settings.redis, "SFMC_REDIS_URL"):
        yield ReadAccess(settings)


@contextmanager
def redis_errors(place: RedisAddress, variable: str) -> Iterator[None]:
    """Turn any error of this Redis into ServiceUnavailableError; `variable` is the setting that has its address."""
    try:
        yield
    except (LedgerUnavailableError, RedisError) as error:
        cause = error.__cause__ or error
        if isinstance(cause, (AuthenticationError, ResponseError)):
            text = f"Redis at {place.shown} refused a command: {error}"
            raise ServiceUnavailableError(text, f"check user, password and rights in {variable}") from error
        text = f"Redis at {place.shown} does not answer: {error}"
        raise ServiceUnavailableError(text, f"start it, or set {variable}") from error
