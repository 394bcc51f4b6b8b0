"""What operators have paused for certain, by which name, and whether the ledger can know its definition by that."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sfmc_harness.simulation.cloud import Cloud, folded, object_id
from sfmc_harness.simulation.history import ViolationError, name_of

RESOLVED = frozenset({"starting", "deferred", "duplicate"})
STALE_MS = 450_000
"""A definition that was read before it got its key is forgotten by then, and what was decided by it is over."""


@dataclass(frozen=True, slots=True)
class Paused:
    """A pause that was confirmed, in milliseconds; `times_renamed`: how often the definition had been renamed then."""

    since: int
    until: int
    name: str
    is_met: bool
    times_renamed: int


class Pauses:
    """The pauses of a schedule, by the first CustomerKey of the definition.

    `possible` says until when a definition may be paused; `busy` are those that an operator has a command for, which
    begins anew if it is killed.
    """

    def __init__(self, cloud: Cloud, lease_ms: int) -> None:
        self._cloud = cloud
        self._lease_ms = lease_ms
        self._met: dict[str, set[str]] = defaultdict(set)
        self.certain: dict[str, Paused] = {}
        self.possible: dict[str, int] = {}
        self._strange: dict[str, int] = {}
        self.busy: set[str] = set()

    def note(self, event: Mapping[str, Any], now: int) -> None:
        """The ledger has met a definition by the key that an event names."""
        name = folded(str(event["subject"]))
        key = self._cloud.first_key(name)
        if name_of(event) in RESOLVED and key in self._cloud.keys and self._is_sure(key, now):
            self._met[key].update({name, object_id(key)})

    def _is_sure(self, key: str, now: int) -> bool:
        """Where keys change hands an event may be about the definition that had the key before."""
        return not self._cloud.is_traded or now - self._cloud.got_key_at[key] > STALE_MS

    def met_of(self, key: str) -> set[str]:
        """The names by which the ledger has met a definition."""
        return self._met[key]

    def take(self, key: str) -> bool:
        """Let an operator give a command about a definition; one at a time."""
        is_free = key not in self.busy
        self.busy.add(key)
        return is_free

    def is_met(self, key: str, name: str) -> bool:
        """Tell whether the ledger has met a definition by a name."""
        return folded(name) in self._met[key]

    def begin(self, key: str, name: str, until: int) -> None:
        """An operator is about to pause a definition."""
        self.possible[key] = max(until, self.possible.get(key, 0))
        if not self.is_met(key, name):
            self._strange[key] = max(until, self._strange.get(key, 0))

    def end(self, key: str) -> None:
        """The command has ended, whether Redis carried it out or not."""
        self.busy.discard(key)

    def confirm(self, key: str, name: str, since: int, until: int, times_renamed: int) -> None:
        """The command said that the definition is paused; while it was given the name must not have changed hands."""
        if times_renamed == self._cloud.times_renamed[key]:
            self.certain[key] = Paused(since, until, name, self.is_met(key, name), times_renamed)

    def lifted(self, key: str) -> None:
        """A command said that the pause is over; of one by a name that the ledger had not met it may know nothing."""
        self.possible[key] = self._strange.get(key, 0)

    def swept(self) -> None:
        """A sweep has seen what is over now: it stays over when the clock of Redis goes back."""
        for key in self.possible.keys() - self.busy:
            if self.possible[key] <= self._cloud.clock.redis:
                self.possible[key] = self._strange[key] = 0

    def check_begin(self, request: str, key: str, now: int) -> None:
        """No attempt begins while its definition is paused by a name that the ledger knows."""
        pause = self.certain.get(key)
        if pause is None or self._cloud.is_traded or (not pause.is_met and self._cloud.times_renamed[key]):
            return
        if pause.since < now and self._cloud.clock.latest_redis(pause.since, now) < pause.until:
            text = f"{request} begins {now - pause.since} ms after {key} was paused as {pause.name!r}"
            raise ViolationError("starts in a pause", text)

    def check_sent(self, run: str, key: str, sent_at: int) -> None:
        """What is sent later than an intent from before the pause may be."""
        pause = self.certain.get(key)
        # By a key that the ledger had not met, and that the definition has no more, it cannot be found.
        if pause is None or not (pause.is_met or self._cloud.times_renamed[key] == pause.times_renamed):
            return
        begun = sent_at - self._lease_ms
        if pause.since < begun and self._cloud.clock.latest_redis(begun, sent_at) < pause.until:
            text = f"{run} {sent_at - pause.since} ms after {key} was paused as {pause.name!r}"
            raise ViolationError("starts in a pause", text)
