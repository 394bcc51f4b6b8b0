"""Finds pending entries of a stream that no time makes old: the clock of Redis went back since they were delivered."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST = 1000
"""Pending entries that one look asks for, the oldest first."""


@dataclass(slots=True)
class Unmoved:
    """Compares two looks, `claim_after` seconds apart on a steady clock.

    How long ago an entry was delivered is counted on the clock of Redis, and is 0 while that is behind the delivery:
    without this such an entry is left to no other consumer until the old time comes again.
    """

    claim_after: float
    clock: Callable[[], float] = time.monotonic
    _seen: frozenset[bytes] = frozenset()
    _looked_at: float | None = field(default=None)

    def is_due(self) -> bool:
        """Say whether to look now."""
        return self._looked_at is None or self.clock() - self._looked_at >= self.claim_after

    def among(self, pending: Iterable[Mapping[str, Any]], own: bytes) -> list[bytes]:
        """Give the ids that are as new as at the last look, in the order of the stream; not those of this consumer.

        `pending` is the answer to XPENDING. A consumer that lives says so of what it holds, and time passes between.
        """
        new = [each for each in pending if not each["time_since_delivered"] and each["consumer"] != own]
        ids = [each["message_id"] for each in new]
        found = [each for each in ids if each in self._seen]
        self._seen, self._looked_at = frozenset(ids).difference(found), self.clock()
        return found
