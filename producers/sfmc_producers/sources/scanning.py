"""Scans a source: lists what lies there now, and submits what has no request yet; any number of times."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, fields
from typing import Literal, Protocol, runtime_checkable

import structlog

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.request import FileInfo
from sfmc_import.routing import Routed
from sfmc_producers.delivery.records import Held
from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.intake import Intake
from sfmc_producers.sources.receiving import SourceRefusedError, SourceUnavailableError
from sfmc_producers.sources.standing import SCAN
from sfmc_producers.sources.tables import Source
from sfmc_producers.submitter import InvalidRequest

LOOK_SECONDS = 1.0
STOP_SECONDS = 5.0
"""How long a source that ends waits for its scan; what that did not submit comes with the next one."""

MOST_UNDER_WAY = 100
"""Files of a scan that are being delivered; the next ones are listed when one of them is done."""

AGAIN_SECONDS = 0.2
"""How often files under way are asked for."""


@runtime_checkable
class Listable(Protocol):
    """A source that can list what lies there now."""

    def list_arrivals(self) -> Iterator[Arrival]:
        """Yield every file that is complete now, one after the other, with the identity that its events give it.

        It keeps no list of all. Raises SourceUnavailableError, also in the middle, and SourceRefusedError.
        """
        ...


@runtime_checkable
class ListedTwice(Protocol):
    """A source of which one look does not tell whether a file still grows."""

    def list_stable(self, wait: Callable[[float], object]) -> Iterator[Arrival]:
        """Do as `list_arrivals`, and `wait` so many seconds between two looks; where it answers True, yield nothing."""
        ...


@runtime_checkable
class Closable(Protocol):
    """A source that keeps a connection after it was listed."""

    def close(self) -> None:
        """Close it; the next listing opens another."""
        ...


def list_all(source: Listable, wait: Callable[[float], object]) -> Generator[Arrival, None, None]:
    """Yield what lies in a source now, and close its connection, also when the listing ends in the middle."""
    try:
        yield from source.list_stable(wait) if isinstance(source, ListedTwice) else source.list_arrivals()
    finally:
        if isinstance(source, Closable):
            source.close()


@dataclass(slots=True)
class Counts:
    """What a scan found: files in all, and what became of them."""

    seen: int = 0
    new: int = 0
    known: int = 0
    unmatched: int = 0
    refused: int = 0
    waiting: int = 0
    older: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """A file that a person may want to know of: a new request, one that no ledger would take, or one that waits."""

    what: Literal["new", "refused", "waiting"]
    file: FileInfo
    customer_key: str
    mid: str
    request_id: str | None = None
    text: str = ""


class Take(Protocol):
    """Decides about one arrival."""

    def __call__(self, arrival: Arrival) -> "Found | Held | Literal['known', 'unmatched']":
        """Submit it, or say what would become of it; raises ServiceUnavailableError when that is not known now.

        Held: it is not delivered yet.
        """
        ...


class Scan:
    """One scan. `since` are seconds since 1970: older files are left out; a file without a time is not old.

    `wait` waits for so many seconds between two looks and before files under way are asked for again; True from it
    ends the scan, as `is_over` does between two files.
    """

    def __init__(
        self,
        source: Listable,
        take: Take,
        since: float | None,
        wait: Callable[[float], bool] | None = None,
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._source, self._take, self._since, self._is_over = source, take, since, is_over
        self._wait = wait or threading.Event().wait
        self._under_way: deque[Arrival] = deque()
        self.counts = Counts()

    def run(self) -> Iterator[Found]:
        """Yield what is new, refused or waits, while the source is listed, and then what is still under way."""
        with closing(list_all(self._source, self._wait)) as arrivals:
            for arrival in arrivals:
                if self._is_over():
                    break
                yield from self._see(arrival)
        yield from self._look_again(0)

    def _see(self, arrival: Arrival) -> Iterator[Found]:
        self.counts.seen += 1
        if self._is_old(arrival):
            self.counts.older += 1
            return
        yield from self._look(arrival)
        if len(self._under_way) > MOST_UNDER_WAY:
            yield from self._look_again(MOST_UNDER_WAY)

    def _look_again(self, most: int) -> Iterator[Found]:
        """Ask for the files under way until there are no more than `most`."""
        while len(self._under_way) > most:
            if self._wait(AGAIN_SECONDS):
                self.counts.waiting += len(self._under_way)
                self._under_way.clear()
            for _ in range(len(self._under_way)):
                yield from self._look(self._under_way.popleft())

    def _look(self, arrival: Arrival) -> Iterator[Found]:
        found = self._take(arrival)
        if isinstance(found, Held):
            if found.is_under_way:
                self._under_way.append(arrival)
                return
            found = Found("waiting", arrival.file, "", "", text=found.text)
        name = found if isinstance(found, str) else found.what
        setattr(self.counts, name, getattr(self.counts, name) + 1)
        if not isinstance(found, str):
            yield found

    def _is_old(self, arrival: Arrival) -> bool:
        changed_at = arrival.last_changed
        return self._since is not None and changed_at is not None and changed_at < self._since


def submit_with(intake: Intake, *, is_only: bool = False) -> Take:
    """Submit each arrival through this intake.

    What starts nothing, and needs newer definitions to be called so, waits for them where the scan `is_only`: no other
    one comes for it.
    """

    def take(arrival: Arrival) -> "Found | Held | Literal['known', 'unmatched']":
        taken = intake.take_arrival(arrival)
        if isinstance(taken, Held):
            return taken
        if taken is None:
            raise ServiceUnavailableError(f"{intake.source}: Redis or the list of definitions does not answer")
        if isinstance(taken, InvalidRequest):
            routing = intake.route(arrival)
            key, mid = (routing.customer_key, routing.mid) if isinstance(routing, Routed) else ("", "")
            return Found("refused", arrival.file, key, mid, text="; ".join(taken.problems))
        if not isinstance(taken.routing, Routed):
            is_open = is_only and taken.recorded is None and intake.is_list_new(arrival)
            return Held("it waits for newer definitions", is_under_way=True) if is_open else "unmatched"
        target = taken.routing
        if not taken.is_new:
            return "known"
        return Found("new", arrival.file, target.customer_key, target.mid, taken.request_id)

    return take


def require_confirmed(intake: Intake) -> None:
    """Raise ServiceUnavailableError unless disk or replicas have what a scan submitted, where that is asked for.

    The files stay in their source, and the next scan submits what the ledger lacks by then.
    """
    if not intake.confirm([]):
        raise ServiceUnavailableError(f"{intake.source}: {intake.submitter.outage(None)[0]}")


class ScannedSource:
    """A source whose files are also listed from time to time, beside it: what an event missed is found then.

    `listed` is a second object of the same source, unless that is safe for threads. There is one scan at a time: one
    that hangs while its source begins anew is waited for.
    """

    def __init__(
        self,
        source: Source,
        listed: Listable,
        intake: Intake,
        every: float,
        since: Callable[[], float],
        *,
        end_seconds: float = STOP_SECONDS,
    ) -> None:
        self.name = source.name
        self._source, self._listed, self._intake, self._every, self._since = source, listed, intake, every, since
        self._scanning, self._end_seconds = threading.Lock(), end_seconds
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
            thread.join(self._end_seconds)

    def _scan_until(self, stopped: Wakeup) -> None:
        if not self._scanning.acquire(blocking=False):
            self._log.warning("source_scan_hanging", action="waiting")
            while not self._scanning.acquire(timeout=LOOK_SECONDS):
                if stopped.is_closing:
                    return
        try:
            while self._scan_safely(stopped):
                # A scan may have taken the notice of the end.
                if stopped.is_closing or (stopped.wait(self._every) and stopped.is_closing):
                    return
        finally:
            self._scanning.release()

    def _scan_safely(self, stopped: Wakeup) -> bool:
        """Scan once, whatever becomes of it; False when the source refuses to be listed."""
        try:
            self._scan_once(stopped)
        except SourceRefusedError as error:
            self._intake.standing.refused(f"scan: {error}", SCAN)
            self._log.error("source_scan_stopped", reason=str(error), fix=error.fix)
            return False
        except (SourceUnavailableError, ServiceUnavailableError) as error:
            self._intake.standing.failed(f"scan: {error}", SCAN, again_in=self._every)
            self._log.warning("source_scan_failed", reason=str(error), action="waiting")
        except Exception:  # noqa: BLE001 - the edge of a scan: the source itself goes on, and the log has the reason
            self._log.exception("source_scan_failed")
        return True

    def _scan_once(self, stopped: Wakeup) -> None:
        def wait(seconds: float) -> bool:
            stopped.wait(seconds)
            return stopped.is_closing

        scan = Scan(self._listed, submit_with(self._intake), self._since(), wait, lambda: stopped.is_closing)
        for found in scan.run():
            if found.what == "refused":
                self._log.error("file_rejected", file=found.file.name, problems=[found.text])
        require_confirmed(self._intake)
        if stopped.is_closing:
            return
        self._intake.standing.looked(SCAN, more=scan.counts.waiting)
        counts = {each.name: getattr(scan.counts, each.name) for each in fields(Counts)}
        self._log.info("source_scanned", **counts)
