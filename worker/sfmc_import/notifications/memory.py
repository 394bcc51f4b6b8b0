"""What notifications keep in Redis beside their groups: the outages that were announced, and what was set aside."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from sfmc_import.events.asking import ASIDE_MS, aside_of
from sfmc_import.events.typed import ImportEvent, typed
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.notification_keys import OUTAGES, TRIES
from sfmc_import.notifications.outages import Outage, read_outages
from sfmc_import.redaction import hidden
from sfmc_import.redis_address import RedisAddress
from sfmc_import.redis_errors import trouble

GROUP = "notify:"
MAX_ERROR = 300


def group_of(name: str) -> str:
    """Give the consumer group of a notification."""
    return f"{GROUP}{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What could not be sent last: how often it was tried since something was sent, why, when (seconds since 1970).

    Where nothing was sent since, `since` is when the first of these tries failed.
    """

    attempts: int
    error: str
    at: float
    since: float | None = None


class NotifierMemory:
    """Implements OutageMemory, and reads what was set aside; raises ServiceUnavailableError."""

    def __init__(self, client: Redis, address: RedisAddress, prefix: str, name: str) -> None:
        self._client: Any = client
        self._address = address
        keys = Keys(prefix)
        self._outages = keys.name_of(OUTAGES, group_of(name))
        self._tries = keys.name_of(TRIES, group_of(name))
        self._stream, self._group = keys.stream, group_of(name)
        self._aside = aside_of(keys.stream, self._group)

    def read(self) -> dict[str, Outage]:
        """Give the outages that were announced and are not over."""
        with self._errors():
            return read_outages(self._client.hgetall(self._outages))

    def note(self, outage: Outage) -> None:
        """Remember one."""
        with self._errors():
            self._client.hset(self._outages, outage.mid, outage.as_text())
            self._client.pexpire(self._outages, ASIDE_MS)

    def forget(self, outage: Outage) -> None:
        """Forget one."""
        with self._errors():
            self._client.hdel(self._outages, outage.mid)

    def note_try(self, attempts: int, error: str | None, at: float) -> None:
        """Remember that a message was tried so often in vain, and why; None when one was sent."""
        said = {"attempts": attempts}
        failed = {} if error is None else {"error": hidden(error)[:MAX_ERROR], "at": int(at * 1000)}
        with self._errors():
            self._client.hset(self._tries, mapping={**said, **failed})
            if error is None:
                self._client.hdel(self._tries, "since")
            else:
                self._client.hsetnx(self._tries, "since", int(at * 1000))
            self._client.pexpire(self._tries, ASIDE_MS)

    def last_failure(self) -> Failure | None:
        """Give what could not be sent last; None where nothing is known of that."""
        with self._errors():
            found = TRIES.read(self._client.hgetall(self._tries))
        if "error" not in found or "at" not in found:
            return None
        times = {"at": found["at"], "since": found.get("since")}
        return Failure(attempts=found.get("attempts", 0), error=found["error"], **times)

    def backlog(self) -> int | None:
        """Count the events that are not handled yet; None where Redis does not say it, or not to us."""
        with self._errors():
            try:
                groups = self._client.xinfo_groups(self._stream)
            except ResponseError:
                return None
        found = next((each for each in groups if each["name"] == self._group.encode()), None)
        if found is None or found.get("lag") is None:
            return None
        return int(found["pending"]) + int(found["lag"])

    def aside(self) -> list[tuple[str, ImportEvent, str]]:
        """Give what was set aside, oldest first: its place, the event, and why."""
        with self._errors():
            entries = self._client.xrange(self._aside)
        reasons = {name: fields.get(b"reason", b"").decode("utf-8", "replace") for name, fields in entries}
        return [(each.position, each, reasons[each.position.encode()]) for each in typed(entries)]

    def count_aside(self) -> int:
        """Count what was set aside."""
        with self._errors():
            return int(self._client.xlen(self._aside))

    def remove_aside(self, place: str) -> None:
        """Take one out of what was set aside."""
        with self._errors():
            self._client.xdel(self._aside, place)

    def seen_ago(self) -> float | None:
        """Give the seconds since a notifier asked for events; None where Redis knows of none."""
        consumers = self._consumers()
        return min(each["idle"] for each in consumers) / 1000 if consumers else None

    def has_run(self) -> bool:
        """Tell whether a notifier has run: one that has left, or that Redis has forgotten, leaves its group."""
        return self._consumers() is not None

    def _consumers(self) -> Sequence[Mapping[str, Any]] | None:
        """Give who is in the group; None where there is no group, or Redis does not say it to us."""
        with self._errors():
            try:
                found: Sequence[Mapping[str, Any]] = self._client.xinfo_consumers(self._stream, self._group)
            except NoPermissionError:
                return None
            except ResponseError as error:
                if "NOGROUP" in str(error) or "no such key" in str(error):
                    return None
                raise
        return found

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            raise trouble(error, self._address, "SFMC_REDIS_URL").as_error() from error
