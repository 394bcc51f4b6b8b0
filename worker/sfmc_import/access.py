"""Access to Redis for the commands that read, with its errors in plain lines."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from redis import Redis
from redis.exceptions import RedisError

import sfmc_transport
from sfmc_import.errors import SettingsError
from sfmc_import.events import EventStream
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.outage_memory import OutageMemory
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.redis_address import RedisAddress
from sfmc_import.redis_client import connect
from sfmc_import.redis_errors import trouble
from sfmc_import.request import UNACKED, UNACKED_INDEX, plain_mid
from sfmc_import.settings import Settings

if TYPE_CHECKING:
    from sfmc_import.ledger import RedisLedger


@dataclass(frozen=True)
class ReadAccess:
    """Ledger, event stream and queue, for commands that read; connects on first use."""

    settings: Settings

    @cached_property
    def client(self) -> Redis:
        """The client of ledger and stream."""
        return connect(self.settings.redis)

    @cached_property
    def broker(self) -> Redis:
        """The client of Celery's queue."""
        return connect(self.settings.broker)

    @cached_property
    def outages(self) -> OutageMemory:
        """What this process knows of outages."""
        return OutageMemory()

    @property
    def broker_variable(self) -> str:
        """The setting that has the address of the queue."""
        return self.settings.broker_variable

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

    @property
    def broker_keys(self) -> sfmc_transport.Keys:
        """The names of the keys of the queue."""
        return sfmc_transport.Keys(self.settings.transport_prefix, self.settings.broker_prefix, UNACKED, UNACKED_INDEX)

    def ledger(self) -> "RedisLedger":
        """Open the ledger that decides, for what an operator does."""
        from sfmc_import.ledger.opening import open_ledger  # noqa: PLC0415 - what a command that reads does not need

        return open_ledger(self.settings)

    def report(self, report_id: str, name: str, mid: str, subject: str, said: Mapping[str, object]) -> None:
        """Write an event that says what an operator did, over the connection of the reader."""
        from sfmc_import.ledger.opening import ledger_settings  # noqa: PLC0415 - as above
        from sfmc_import.ledger.redis_ledger import RedisLedger  # noqa: PLC0415 - as above

        RedisLedger(self.client, ledger_settings(self.settings)).report(report_id, name, mid, subject, said)

    def mid(self, given: str | None) -> str:
        """Give the business unit: the one given, else that of the settings."""
        return plain_mid(given or self.settings.account_id)


def unused_api(settings: Settings, what: str) -> str:
    """Say that what needs Redis itself uses no API, where both are set; raises SettingsError where only the API is."""
    if not settings.api_url:
        return ""
    if "redis_url" not in settings.model_fields_set:
        fix = "set SFMC_REDIS_URL, or leave SFMC_API_URL out"
        raise SettingsError([f"SFMC_API_URL: {what} needs Redis itself; {fix}"])
    return f"{what} needs Redis itself: it uses that of SFMC_REDIS_URL ({settings.redis.shown}), and not SFMC_API_URL"


@contextmanager
def open_for_reading(settings: Settings) -> Iterator[ReadAccess]:
    """Open ledger and queue; raises ServiceUnavailableError."""
    with redis_errors(settings.redis, "SFMC_REDIS_URL"):
        yield ReadAccess(settings)


@contextmanager
def redis_errors(place: RedisAddress, variable: str) -> Iterator[None]:
    """Turn any error of this Redis into ServiceUnavailableError; `variable` is the setting that has its address."""
    try:
        yield
    except (LedgerUnavailableError, RedisError) as error:
        raise trouble(error.__cause__ or error, place, variable, probe=True).as_error() from error
