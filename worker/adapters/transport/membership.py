"""A consumer's place in the registry of those that live; when to beat, and what came back by it."""

from collections.abc import Mapping, Sequence
from time import monotonic

import structlog

from worker.adapters.transport.delivery import Delivery

log = structlog.get_logger(__name__)


class Membership:
    """What one channel told the registry. Beats stand before a pop, so none of its own is outstanding then."""

    def __init__(self) -> None:
        self._sources: set[str] = set()
        self._beaten_at = 0.0

    def __bool__(self) -> bool:
        return bool(self._sources)

    def beat_if_due(self, delivery: Delivery, sources: Sequence[str], every: float) -> None:
        """Beat for these queue keys if one of them is new or the last beat was `every` seconds ago."""
        if self._sources.issuperset(sources) and monotonic() - self._beaten_at < every:
            return
        if not self._sources:
            delivery.check_server()
        self._sources.update(sources)
        _report(delivery.beat(sorted(self._sources)))
        self._beaten_at = monotonic()

    def leave(self, delivery: Delivery) -> None:
        """Give back what is in flight and strike the consumer off."""
        _report(delivery.beat(sorted(self._sources), leave=True))
        self._sources.clear()


def _report(returned: Mapping[str, int]) -> None:
    for in_flight, count in returned.items():
        consumer, _, queue = in_flight.partition(":")
        log.warning("in_flight_returned", consumer=consumer, queue=queue, count=count)
