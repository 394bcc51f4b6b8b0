"""Takes what a source reports into the ledger, or sets it aside; only then may the source let go of it."""

from typing import Protocol

import structlog

from sfmc_import.client import SubmitResult
from sfmc_import.routing import AmbiguousRoute, Routed, Routing, Unrouted
from sfmc_producers.checked_files import Refused, Skipped
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.submitter import InvalidRequest, Submitter


class SetAside(Protocol):
    """Keeps what cannot be read as a dead letter."""

    def add(self, source: str, record_id: str, body: bytes, text: str) -> bool:
        """Keep the bytes once for each id; False when Redis does not take them now."""
        ...

    def replayed(self, source: str) -> list[bytes]:
        """Give what an operator sent back to this source."""
        ...

    def done(self, source: str, body: bytes) -> None:
        """Forget one that was sent back."""
        ...


class Intake:
    """Takes the arrivals of one source; safe for threads as the submitter is.

    `key` starts that definition for every file and nothing is routed; `mid` is the business unit of files whose
    route or event names none.
    """

    def __init__(self, source: str, submitter: Submitter, *, mid: str | None = None, key: str | None = None) -> None:
        self.source, self.submitter = source, submitter
        self._mid, self._key = mid, key
        self._log = structlog.get_logger("sfmc_producers.sources").bind(source=source)

    def take(self, arrival: Arrival) -> bool | InvalidRequest:
        """Record the request of an arrival, or report that it starts nothing.

        False: not now, ask again. InvalidRequest: no repetition helps.
        """
        routing = self.route(arrival)
        if isinstance(routing, Routed):
            return self.submit(arrival, routing)
        return routing is not None and self.report(arrival, routing)

    def route(self, arrival: Arrival) -> Routing | None:
        """Find the definition: the one that the event names, that of the source, the routes, the FileSpecs."""
        mid = arrival.mid or self._mid
        key = arrival.customer_key or self._key
        if key is not None:
            return Routed(customer_key=key, mid=mid or self.submitter.default_mid, by="route")
        return self.submitter.route(arrival.file, mid)

    def submit(self, arrival: Arrival, target: Routed) -> bool | InvalidRequest:
        """Record the request of an arrival for this definition; answers as `take`."""
        answer = self.submitter.submit(arrival.file, target, self.source, arrival.event_id, arrival.open_content)
        if isinstance(answer, (Refused, Skipped)):
            self._say_not_started(arrival, target, answer)
        if isinstance(answer, SubmitResult):
            event = "arrival_submitted" if answer.is_new else "arrival_known"
            names = {"file": arrival.file.name, "customer_key": target.customer_key, "mid": target.mid}
            self._log.info(event, request_id=answer.request_id, event_id=arrival.event_id, **names)
        return answer if isinstance(answer, InvalidRequest) else answer is not None

    def _say_not_started(self, arrival: Arrival, target: Routed, answer: Refused | Skipped) -> None:
        log = self._log.bind(file=arrival.file.name, customer_key=target.customer_key, mid=target.mid)
        if isinstance(answer, Refused):
            log.warning("preflight_failed", request_id=answer.request_id, problems=list(answer.problems))
        else:
            log.warning("file_empty_skipped")

    def report(self, arrival: Arrival, routing: Unrouted | AmbiguousRoute) -> bool:
        """Report that an arrival starts nothing; False: not now, ask again."""
        if not self.submitter.report(arrival.file, routing):
            return False
        keys = list(routing.customer_keys)
        self._log.warning("file_not_routed", file=arrival.file.name, reason=routing.text, customer_keys=keys)
        return True
