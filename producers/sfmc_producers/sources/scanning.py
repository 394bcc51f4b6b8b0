"""Scans a source: lists what lies there now, and submits what has no request yet; any number of times."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Literal, Protocol, runtime_checkable

import structlog

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.request import FileInfo
from sfmc_import.routing import Routed
from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.intake import Intake
from sfmc_producers.sources.receiving import SourceRefusedError, SourceUnavailableError
from sfmc_producers.sources.tables import Source
from sfmc_producers.submitter import InvalidRequest

STOP_SECONDS = 5.0
"""How long a source that ends waits for its scan; what that did not submit comes with the next one."""


@runtime_checkable
class Listable(Protocol):
    """A source that can list what lies there now."""

    def list_arrivals(self) -> Iterator[Arrival]:
        """Yield every file that is complete now, one after the other, with the identity that its events give it.

        It keeps no list of all. Raises SourceUnavailableError, also in the middle, and SourceRefusedError.
        """
        ...


@dataclass(slots=True)
class Counts:
    """What a scan found: files in all, and what became of them."""

    seen: int = 0
    new: int = 0
    known: int = 0
    unmatched: int = 0
    refused: int = 0
    older: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A file that a person may want to know of: a new request, or one that no ledger would take, and why."""

    what: Literal["new", "refused"]
    file: FileInfo
    customer_key: str
    mid: str
    request_id: str | None = None
    text: str = ""


class Take(Protocol):
    """Decides about one arrival."""

    def __call__(self, arrival: Arrival) -> "Found | Literal['known', 'unmatched']":
        """Submit it, or say what would become of it; raises ServiceUnavailableError when that is not known now."""
        ...


class Scan:
    """One scan. `since` are seconds since 1970: older files are left out; a file without a time is not old."""

    def __init__(self, source: Listable, take: Take, since: float | None) -> None:
        self._source, self._take, self._since = source, take, since
        self.counts = Counts()

    def run(self) -> Iterator[Found]:
        """Yield what is new or refused, while the source is listed."""
        for arrival in self._source.list_arrivals():
            self.counts.seen += 1
            if self._is_old(arrival):
                self.counts.older += 1
                continue
            found = self._take(arrival)
            name = found if isinstance(found, str) else found.what
            setattr(self.counts, name, getattr(self.counts, name) + 1)
            if not isinstance(found, str):
                yield found

    def _is_old(self, arrival: Arrival) -> bool:
        changed_at = arrival.last_changed
        return self._since is not None and changed_at is not None and changed_at < self._since


def submit_with(intake: Intake) -> Take:
    """Submit each arrival through this intake."""

    def take(arrival: Arrival) -> "Found | Literal['known', 'unmatched']":
        taken = intake.take_arrival(arrival)
        if taken is None:
            raise ServiceUnavailableError(f"{intake.source}: Redis or the list of definitions does not answer")
        if isinstance(taken, InvalidRequest):
            routing = intake.route(arrival)
            key, mid = (routing.customer_key, routing.mid) if isinstance(routing, Routed) else ("", "")
            return Found("refused", arrival.file, key, mid, text="; ".join(taken.problems))
        if not isinstance(taken.routing, Routed):
            return "unmatched"
        target = taken.routing
        if not taken.is_new:
            return "known"
        return Found("new", arrival.file, target.customer_key, target.mid, taken.request_id)

    return take


class ScannedSource:
    """A source whose files are also listed from time to time, beside it: what an event missed is found then.

    `listed` is a second object of the same source, so that none of its connections is used by two threads.
    """

    def __init__(
        self, source: Source, listed: Listable, intake: Intake, every: float, since: Callable[[], float]
    ) -> None:
        self.name = source.name
        self._source, self._listed, self._intake, self._every, self._since = source, listed, intake, every, since
        self._log = structlog.get_logger("sfmc_producers.sources").bind(source=self.name)

    def run(self, wakeup: Wakeup) -> None:
        """Run the source, with its scans beside it."""
        stopped = Wakeup()
        thread = threading.Thread(target=self._scan_until, args=(stopped,), name=f"sfmc-scan-{self.name}", daemon=True)
        thread.start()
        try:
            self._source.run(wakeup)
        finally:
            stopped.stop()
            thread.join(STOP_SECONDS)

    def _scan_until(self, stopped: Wakeup) -> None:
        while not stopped.is_closing:
            try:
                self._scan_once(stopped)
            except SourceRefusedError as error:
                self._log.error("source_scan_stopped", reason=str(error), fix=error.fix)
                return
            except (SourceUnavailableError, ServiceUnavailableError) as error:
                self._log.warning("source_scan_failed", reason=str(error), action="waiting")
            except Exception:  # noqa: BLE001 - the edge of a scan: the source itself goes on, and the log has the reason
                self._log.exception("source_scan_failed")
            stopped.wait(self._every)

    def _scan_once(self, stopped: Wakeup) -> None:
        scan = Scan(self._listed, submit_with(self._intake), self._since())
        for found in scan.run():
            if found.what == "refused":
                self._log.error("file_rejected", file=found.file.name, problems=[found.text])
            if stopped.is_closing:
                return
        counts = {each.name: getattr(scan.counts, each.name) for each in fields(Counts)}
        self._log.info("source_scanned", **counts)
