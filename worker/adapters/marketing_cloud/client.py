"""Marketing Cloud as worker.ports asks for it; every failure is a value, and queries are tried again for seconds."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

import structlog

from worker.adapters.marketing_cloud.envelopes import Envelopes, UnsendableError
from worker.adapters.marketing_cloud.exchange import Exchange
from worker.adapters.marketing_cloud.queries import (
    Query,
    Row,
    all_definitions,
    definition_by_key,
    read_definition,
    read_run,
    runs_by_definition,
    runs_by_task,
)
from worker.adapters.marketing_cloud.replies import Page
from worker.adapters.patience import Persist
from worker.domain.fault_table import after_query, after_situation
from worker.domain.faults import Ambiguous, Fault
from worker.domain.runs import Accepted, Definition, Run
from worker.ports import Clock, Refusal

T = TypeVar("T")

# No documented limit for IN; answers have at most 2,500 rows each (Marketing Cloud docs, "Retrieve").
IDS_PER_QUERY = 200
MAX_PAGES = 400

log = structlog.get_logger(__name__)


class SoapMarketingCloud:
    """Implements worker.ports.MarketingCloud over SOAP; one for each process, used by all its threads."""

    def __init__(self, exchange: Exchange, envelopes: Envelopes, persist: Persist, clock: Clock) -> None:
        self._exchange = exchange
        self._envelopes = envelopes
        self._persist = persist
        self._clock = clock

    def prepare(self) -> None:
        """Load zeep and make the common envelopes now, so that the first start does not wait for it (0.2 s)."""
        self._envelopes.prepare(definition_by_key(""), runs_by_definition(""), runs_by_task([""]))

    def start(self, mid: str, customer_key: str, *, not_after: float) -> Accepted | Fault:
        """Send Perform "start" on a connection of its own, unless `not_after` (CLOCK_BOOTTIME seconds) is past."""
        try:
            return self._exchange.start(mid, customer_key, lambda: self._clock.boottime() < not_after)
        except UnsendableError as error:
            return after_situation("unsendable", f"customer key or credentials: {error}")
        except Exception as error:  # noqa: BLE001 - whatever happened, the start may have been applied
            # Only the kind of the error is told: its text might quote an envelope.
            log.error("start_broke_off", customer_key=customer_key, mid=mid, error=type(error).__name__)
            return after_situation("unexpected", f"the start broke off: {type(error).__name__}")

    def definition(self, mid: str, customer_key: str) -> Definition | Refusal | None:
        """Retrieve one ImportDefinition; None when no such key exists."""
        found = self._facts(mid, definition_by_key(customer_key), read_definition)
        if not isinstance(found, list):
            return found
        exact = (definition for definition in found if definition.customer_key == customer_key)
        return next(exact, found[0] if found else None)

    def definitions(self, mid: str) -> Sequence[Definition] | Refusal:
        """Retrieve all ImportDefinitions of a business unit."""
        return self._facts(mid, all_definitions(), read_definition)

    def runs_of(self, mid: str, customer_key: str) -> Sequence[Run] | Refusal:
        """List all rows of ImportResultsSummary that name this definition and have a TaskResultID by now."""
        return self._facts(mid, runs_by_definition(customer_key), read_run)

    def runs(self, mid: str, task_ids: Collection[str]) -> Mapping[str, Run] | Refusal:
        """Look up runs by TaskResultID, many in one query; what is not visible yet is absent."""
        wanted = iter(sorted(task_id for task_id in set(task_ids) if task_id.isascii() and task_id.isdigit()))
        found: dict[str, Run] = {}
        while batch := list(islice(wanted, IDS_PER_QUERY)):
            answer = self._facts(mid, runs_by_task(batch), read_run)
            if not isinstance(answer, list):
                return answer
            found |= {run.task_id: run for run in answer}
        return found

    def _facts(self, mid: str, query: Query, read: Callable[[Row], T | None]) -> list[T] | Refusal:
        facts: list[T] = []
        for _ in range(MAX_PAGES):
            page = self._persist(partial(self._ask, mid, query))
            if not isinstance(page, Page):
                return page
            try:
                facts += [fact for fact in map(read, page.rows) if fact is not None]
            except (ValueError, KeyError) as error:
                return after_query(Ambiguous("unreadable_reply", f"a row cannot be read: {error!r}"))
            if page.continues is None:
                return facts
            query = query.next_page(page.continues)
        return after_query(Ambiguous("endless_pages", f"more than {MAX_PAGES} pages for one query"))

    def _ask(self, mid: str, query: Query) -> Page | Refusal:
        try:
            answer = self._exchange.page(mid, query)
        except UnsendableError as error:
            return after_query(after_situation("unsendable", f"the values of a query: {error}"))
        except Exception as error:  # noqa: BLE001 - a query changes nothing, whatever happened
            log.error("query_broke_off", object_type=query.object_type, mid=mid, error=type(error).__name__)
            return after_query(after_situation("unexpected", f"the query broke off: {type(error).__name__}"))
        return answer if isinstance(answer, Page) else after_query(answer)
