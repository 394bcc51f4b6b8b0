"""Records of deliveries in Redis: who delivers under a name of a target, and for which request it lies there."""

import hashlib
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

from redis import Redis
from redis.exceptions import WatchError

from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.states import NOT_STARTED, TERMINAL

ENDED = frozenset({*TERMINAL, NOT_STARTED})
RUN_GOES_ON = frozenset({"start_unknown", "follow_timed_out"})
"""Ends after which the import may still run, and read the file that was delivered for it."""

HOLD_SECONDS = 24 * 3600.0
LEASE_SECONDS = 90.0
RENEW_SECONDS = 10.0
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class LeaseLostError(Exception):
    """Another program has taken this delivery over, or may have."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The file lies there already; its request may be submitted under this lease."""

    lease: "Lease"


@dataclass(frozen=True, slots=True)
class Known:
    """The file has a request already, which is `answer`: it is not delivered again."""

    answer: Any


@dataclass(frozen=True, slots=True)
class Mine:
    """Deliver now.

    `is_begun` says that an earlier attempt was at this file, `is_renaming` that it had all of it there and was about
    to rename it. `size` is its size then, unless the name had a file of this size before.
    """

    lease: "Lease"
    is_begun: bool = False
    is_renaming: bool = False
    size: int | None = None
    left_over: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """Not now; the text says why. `is_under_way`: it needs nothing but time, so ask again.

    Where the target or the content failed `code` says so, and `again_at` when it is tried again, in monotonic seconds.
    """

    text: str
    is_under_way: bool = False
    code: str = field(default="", compare=False)
    again_at: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is claimed for whom: see `Records.claim`."""

    fingerprint: str
    request_id: str
    known: Callable[[], Any | None]
    lease: "Lease"


Claim = Delivered | Known | Mine | Held


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _needs(request_id: str, state: str) -> str:
    return f"request {request_id} ({state}) needs the file that lies there"


def _may_read(request_id: str, state: str) -> str:
    way = "resolve it" if state == "start_unknown" else "follow or settle it"
    return f"the import of request {request_id} ({state}) may still read the file that lies there: {way}"


class Records:
    """Claims names of targets. Every change is one transaction that fails if another changed the record meanwhile.

    A request that has ended while its import may still run holds its name for `hold` more, unless it is dealt with.
    """

    def __init__(self, redis: Redis, keys: Keys, ttl: float, hold: float = HOLD_SECONDS) -> None:
        self._hold = hold
        self._redis: Any = redis
        self._keys, self._ttl = keys, int(ttl * 1000)
        self._reader = LedgerReader(redis, keys)

    def claim(
        self, place: str, fingerprint: str, request_id: str, known: Callable[[], Any | None] = lambda: None
    ) -> Claim:
        """Take the name `place` of a target for a request, unless the file there is still needed.

        `known` gives the request that the file has already. It is asked while no other program can take the name:
        one may have delivered this file, and then a newer one, since the source was asked.
        """
        lease = Lease(self, self._keys.delivery(_digest(place)), uuid4().hex)
        decide = partial(self._decide, _Asked(fingerprint, request_id, known, lease))
        claim: Claim = self.change(lease.key, decide)
        if not isinstance(claim, (Held, Known)):
            lease.begin()
        return claim

    def _decide(self, asked: "_Asked", found: Mapping[str, str], now: float) -> tuple[Claim, dict[str, Any] | None]:
        if found and (ahead := float(found["lease"]) - now) > 0:
            # One that was taken before the clock of Redis went back lasts no longer than any.
            late = {"lease": now + LEASE_SECONDS} if ahead > LEASE_SECONDS else None
            return Held("another program delivers under this name"), late
        lease, fingerprint = asked.lease, asked.fingerprint
        mine = {"token": lease.token, "lease": now + LEASE_SECONDS}
        is_ours = (found.get("fingerprint"), found.get("request")) == (fingerprint, asked.request_id)
        if is_ours and found["state"] == "delivered":
            return Delivered(lease), mine
        if (answer := asked.known()) is not None:
            return Known(answer), None
        if is_ours:
            size = int(found["size"]) if found.get("size") else None
            return Mine(lease, True, found["state"] == "renaming", size), mine
        if found and (why := self._unfinished(found["request"], now)):
            return Held(why), None
        left = found.get("fingerprint") if found.get("state") != "delivered" else None
        new = {"fingerprint": fingerprint, "request": asked.request_id, "state": "uploading", "size": ""}
        return Mine(lease, left_over=left if left != fingerprint else None), mine | new

    def lock_out(self, target: str) -> None:
        """Note that a target refused a login now."""
        with redis_errors():
            self._redis.set(self._lock_out(target), f"{self._now():.3f}", px=self._ttl)

    def let_in(self, target: str) -> None:
        """Forget that a target refused a login: it has accepted one."""
        with redis_errors():
            self._redis.delete(self._lock_out(target))

    def locked_out(self, target: str, seconds: float) -> float:
        """Say for how long a target is not to be tried, if it is not for so many seconds after a refused login."""
        with redis_errors():
            refused_at, now = self._redis.get(self._lock_out(target)), self._now()
            if refused_at is None:
                return 0.0
            if float(refused_at) > now:
                # It was noted before the clock of Redis went back.
                self.lock_out(target)
            return max(0.0, min(float(refused_at), now) + seconds - now)

    def _now(self) -> float:
        seconds, microseconds = self._redis.time()
        return float(seconds) + float(microseconds) / 1e6

    def _lock_out(self, target: str) -> str:
        return self._keys.lock_out(_digest(target))

    def _unfinished(self, request_id: str, now: float) -> str | None:
        """Name the request that may still read the file of this one, with its state, and what ends that."""
        for _ in range(10):
            found = self._reader.request(request_id)
            if found is None:
                return None
            if found["state"] not in ENDED:
                return _needs(request_id, found["state"])
            if self._may_run(found, now):
                return _may_read(request_id, found["state"])
            is_duplicate = found["state"] == "duplicate" and found.get("held_by")
            # An operator may have asked for it again, or another request for this file was taken up in its place.
            other = found["held_by"] if is_duplicate else self._reader.handler_of(found)
            if other is None or other == request_id:
                return None
            request_id = other
        return _needs(request_id, "duplicate")

    def _may_run(self, found: Mapping[str, Any], now: float) -> bool:
        is_dealt_with = found.get("settled_by") or found.get("settled_operator")
        return found["state"] in RUN_GOES_ON and not is_dealt_with and now < found["since"] + self._hold

    def change(self, key: str, decide: Callable[[Mapping[str, str], float], tuple[Any, dict[str, Any] | None]]) -> Any:
        """Read a record, decide on Redis time, and write, in one transaction; repeated when another was quicker."""
        while True:
            with redis_errors(), suppress(WatchError):
                return self._change(key, decide)

    def _change(self, key: str, decide: Callable[[Mapping[str, str], float], tuple[Any, dict[str, Any] | None]]) -> Any:
        with self._redis.pipeline() as pipeline:
            pipeline.watch(key)
            found = {name.decode(): value.decode() for name, value in pipeline.hgetall(key).items()}
            seconds, microseconds = pipeline.time()
            answer, values = decide(found, float(seconds) + float(microseconds) / 1e6)
            if values is not None:
                pipeline.multi()
                pipeline.hset(key, mapping=values)
                pipeline.pexpire(key, self._ttl)
                pipeline.execute()
            return answer


class Lease:
    """The right to deliver under one name; used by one thread."""

    def __init__(self, records: Records, key: str, token: str) -> None:
        self._records, self.key, self.token = records, key, token
        self._until = self._renewed = 0.0

    def begin(self) -> None:
        """Count from now, which is a little later than Redis does: `keep` leaves more than that over."""
        self._renewed = time.clock_gettime(_CLOCK)
        self._until = self._renewed + LEASE_SECONDS

    def keep(self) -> None:
        """Renew it when some time has passed; raises LeaseLostError."""
        if time.clock_gettime(_CLOCK) - self._renewed > RENEW_SECONDS:
            self.note()

    def note(self, **values: Any) -> None:
        """Renew it, and write these fields with it; raises LeaseLostError."""
        asked = time.clock_gettime(_CLOCK)
        if not self._write(lambda now: values | {"lease": now + LEASE_SECONDS}):
            raise LeaseLostError("another program has taken over")
        self._renewed, self._until = asked, asked + LEASE_SECONDS

    def require(self, seconds: float) -> None:
        """Raise LeaseLostError unless the lease lasts for so long; asks no one."""
        if time.clock_gettime(_CLOCK) + seconds > self._until:
            raise LeaseLostError("the lease is nearly over")

    def end(self, **values: Any) -> None:
        """Give it back; another may go on at once."""
        self._write(lambda _: values | {"lease": 0})

    def _write(self, values: Callable[[float], dict[str, Any]]) -> bool:
        def decide(found: Mapping[str, str], now: float) -> tuple[bool, dict[str, Any] | None]:
            is_ours = found.get("token") == self.token
            return is_ours, values(now) if is_ours else None

        return bool(self._records.change(self.key, decide))
