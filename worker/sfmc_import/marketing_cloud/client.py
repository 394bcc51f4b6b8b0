"""Calls Marketing Cloud over SOAP: starts once, queries repeatedly within seconds; returns each failure as a value."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TypeVar

import structlog

from sfmc_import.faults import UNPROVED, Ambiguous, Fault, NotApplied, Rejected, after_query, after_situation
from sfmc_import.file_format import FileDescription
from sfmc_import.marketing_cloud.envelopes import (
    DEFINITION,
    SUMMARY,
    Envelopes,
    Query,
    Row,
    UnsendableError,
    UnsendableLoginError,
    all_definitions,
    data_extension_by_object,
    definition_by_key,
    definition_by_object,
    definitions_by_key,
    fields_of,
    format_by_key,
    location_by_object,
    newer_runs,
    read_column,
    read_definition,
    read_format,
    read_known_run,
    read_run,
    runs_by_definition,
    runs_by_task,
)
from sfmc_import.marketing_cloud.exchange import SplitPost
from sfmc_import.marketing_cloud.http import Failed, Reply
from sfmc_import.marketing_cloud.login import (
    Credential,
    CredentialSource,
)
from sfmc_import.marketing_cloud.outage import Outage
from sfmc_import.marketing_cloud.replies import Page, Understand, parse_page_reply, parse_start_reply, short
from sfmc_import.marketing_cloud.stopping import Stopping
from sfmc_import.permits import Gate, Kind, OpenGate
from sfmc_import.ports import Clock, Refusal, RetryCall
from sfmc_import.redaction import hidden
from sfmc_import.request import fold_key, is_spelling_of
from sfmc_import.retrying import is_account_wide, pause_asked
from sfmc_import.runs import ENHANCED_FTP, Accepted, Definition, FileLocation, Run

Parsed = TypeVar("Parsed", Accepted, Page)
HeaderValues = Mapping[str, str]

CUSTOMER_KEYS = frozenset({"CustomerKey", "ImportDefinitionCustomerKey"})
REFUSALS = frozenset({"token_refused", "http_refused"})
"""Answers after which another token may be accepted."""

LOGIN_REFUSED = frozenset({"login_failed", "12"})
SECRET_PLACEHOLDERS = ("token", "password", "nonce")
REFUSED_TWICE = (
    "Marketing Cloud refuses the login, also with a fresh token: check that SFMC_SOAP_URL and SFMC_AUTH_URL are of"
    " the same tenant, and that the installed package may use the SOAP API in this business unit"
)


class RequestedPause:
    """Remembers that the service asked this account to wait: until then no call is made, by any thread."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._fault = NotApplied("", "")
        self._until = 0.0

    def note(self, answer: object) -> None:
        """Begin to wait, if this answer asks the whole account for it."""
        if isinstance(answer, Fault) and is_account_wide(answer) and (seconds := pause_asked(answer)):
            until = self._clock() + seconds
            # A shorter pause that another answer asks for does not end a longer one.
            if until > self._until:
                self._fault, self._until = NotApplied(answer.code, answer.text, account_wide=True), until

    def fault(self) -> NotApplied | None:
        """Give the answer again that asked to wait, with the time that is left; None when it is over."""
        left = self._until - self._clock()
        return replace(self._fault, retry_after=left) if left > 0 else None


class SoapCall:
    """Sends calls for any number of threads; no fault contains the values of a credential placeholder.

    Times are in seconds from now.
    """

    def __init__(
        self,
        logins: CredentialSource,
        envelopes: Envelopes,
        understand: Understand,
        send_start: SplitPost,
        send_query: Callable[[bytes, float], Reply | Failed],
        clock: Callable[[], float],
        gate: Gate | None = None,
    ) -> None:
        self._logins = logins
        self._gate = gate or OpenGate()
        self._envelopes = envelopes
        self._understand = understand
        self._send_start = send_start
        self._send_query = send_query
        self._clock = clock
        self._pause = RequestedPause(clock)
        self._outages: dict[str, Outage] = {}

    def start(self, mid: str, customer_key: str, not_after: float) -> Accepted | Fault:
        """Send Perform "start" once; twice only where the service says that it refused the token of the first."""

        def may_send() -> bool:
            return self._clock() < not_after

        def perform(values: HeaderValues) -> Accepted | Fault:
            envelope = self._envelopes.perform(customer_key, values)
            return parse_start_reply(self._send_start(envelope, may_send), self._understand)

        if not may_send():
            return after_situation("lease_over", "the time to send this start was over before a login was there")
        call = partial(self._call, mid, perform, not_after, is_start=True)
        return self._pause.fault() or self._admitted("perform", mid, customer_key, call)

    def page(self, mid: str, query: Query, not_after: float) -> Page | Fault:
        """Send one Retrieve."""

        def retrieve(values: HeaderValues) -> Page | Fault:
            envelope = self._envelopes.retrieve(query, values)
            return parse_page_reply(self._send_query(envelope, not_after - self._clock()), self._understand)

        kind, customer_key = _purpose_of(query)
        call = partial(self._call, mid, retrieve, not_after, is_start=False)
        return self._pause.fault() or self._admitted(kind, mid, customer_key, call)

    def _admitted(self, kind: Kind, mid: str, customer_key: str, call: Callable[[], Parsed | Fault]) -> Parsed | Fault:
        # A login that is refused is refused for each request of its business unit: one of them tries it at a time.
        outage = self._outages.get(mid) or self._outages.setdefault(mid, Outage(self._clock, LOGIN_REFUSED, mid=mid))
        return outage.attempt(lambda: self._through_gate(kind, mid, customer_key, call))

    def _through_gate(
        self, kind: Kind, mid: str, customer_key: str, call: Callable[[], Parsed | Fault]
    ) -> Parsed | Fault:
        entry = self._gate.enter(kind, mid, customer_key)
        if isinstance(entry, NotApplied):
            return entry
        answer: Parsed | Fault | None = None
        try:
            answer = call()
        finally:
            self._gate.leave(entry, answer)
        return answer

    def _call(
        self, mid: str, call: Callable[[HeaderValues], Parsed | Fault], not_after: float, *, is_start: bool
    ) -> Parsed | Fault:
        login = self._logins.get(mid, not_after - self._clock())
        if isinstance(login, Fault):
            return login
        answer = _without_secrets(call, login)
        if isinstance(answer, Fault) and answer.code in REFUSALS:
            fresh = self._logins.renew(mid, login, not_after - self._clock())
            # A server between may have passed the start on: the one who sends it again looks for its run first.
            if not (is_start and answer.code in UNPROVED):
                answer = _repeat(call, fresh, is_start=is_start)
        self._pause.note(answer)
        return answer


def _purpose_of(query: Query) -> tuple[Kind, str]:
    """Say what a query is for, and which definition it is about where it is about one."""
    one = query.values[0] if len(query.values) == 1 and query.filter_by in CUSTOMER_KEYS else ""
    if query.object_type == SUMMARY:
        return ("poll" if query.filter_by == "TaskResultID" else "runs"), one
    is_one = query.object_type == DEFINITION and not query.format and bool(query.values)
    return ("definition" if is_one else "other"), one


def _repeat(
    call: Callable[[HeaderValues], Parsed | Fault], fresh: Credential | Fault, *, is_start: bool
) -> Parsed | Fault:
    """Make the call once more: a refused token means that nothing was done, and a new one may be accepted."""
    if isinstance(fresh, Fault):
        return fresh
    answer = _without_secrets(call, fresh)
    if isinstance(answer, Fault) and answer.code in REFUSALS and not (is_start and answer.code in UNPROVED):
        return after_situation("login_failed", f"{answer.text}: {REFUSED_TWICE}")
    return answer


def _without_secrets(call: Callable[[HeaderValues], Parsed | Fault], login: Credential) -> Parsed | Fault:
    values = login.header_values()
    try:
        answer = call(values)
    except UnsendableLoginError as error:
        return after_situation("login_failed", f"the login cannot be sent: {error}")
    if not isinstance(answer, Fault):
        return answer
    text = answer.text
    # The service quotes a malformed token in its fault.
    for secret in filter(None, map(values.get, SECRET_PLACEHOLDERS)):
        text = text.replace(secret, "…")
    return replace(answer, text=hidden(text))


T = TypeVar("T")


def _other(found: Sequence[Definition]) -> NotApplied | None:
    """Say that only other definitions were answered than the one that was asked for; None without any."""
    return _not_asked_for("definition", found[0].customer_key) if found else None


def _not_asked_for(what: str, customer_key: str) -> NotApplied:
    text = f"Marketing Cloud answered with the {what} {short(customer_key)}, which was not asked for"
    return NotApplied("other_" + what.replace(" ", "_"), text)


def _named(row: Row) -> tuple[str, str]:
    return row.get("ObjectID", ""), row["CustomerKey"]


# No documented limit for IN; answers have at most 2,500 rows each (Marketing Cloud docs, "Retrieve").
IDS_PER_QUERY = 200
MAX_PAGES = 400
MAX_ROWS = 100_000
"""Rows of all pages of one query; a definition that runs every quarter of an hour has so many in three years."""
MAX_BYTES = 100_000_000
"""Bytes of all pages of one query, unpacked; so many rows have about 80,000,000."""

# What the service may say to a filter that it does not know, beside refusals for good; 2 is also that of a timeout.
DOUBTFUL_FILTER = frozenset({"no_code", "2", "http_400", "http_status", "server_fault", "unreadable_reply"})

# "Error: The Request Property(s) A, B do not match with the fields of X retrieve"
REFUSED_PROPERTIES = "Request Property(s)"

log = structlog.get_logger(__name__)


class SoapMarketingCloud:
    """Implements sfmc_import.ports.MarketingCloud over SOAP; one for each process, used by all its threads."""

    def __init__(
        self,
        soap: SoapCall,
        envelopes: Envelopes,
        retry_query: RetryCall,
        clock: Clock,
        reading_timeout: float,
        stopping: Stopping | None = None,
    ) -> None:
        self._soap = soap
        self._envelopes = envelopes
        self._retry_query = retry_query
        self._clock = clock
        # What definitions refer to is asked for until the service refuses it once.
        self._asks_inner = True
        # So are runs above a TaskResultID, which is documented by others than the vendor.
        self._asks_newer = True
        self._reading_timeout = reading_timeout
        self._stopping = stopping or Stopping()
        self.pause = self._stopping.pause

    def stop(self, seconds: float) -> None:
        """Cut queries now and starts that were sent `seconds` later; nothing new is sent from now on."""
        self._stopping.begin(seconds)

    def prepare(self) -> None:
        """Load zeep and make the common envelopes now, so that the first start does not wait for it (0.2 s)."""
        definition = replace(definition_by_key(""), inner=True)
        self._envelopes.prepare(definition, runs_by_definition(""), newer_runs(("",), "0"), runs_by_task([""]))

    def start(self, mid: str, customer_key: str, *, not_after: float) -> Accepted | Fault:
        """Send Perform "start" once, unless `not_after` (CLOCK_BOOTTIME seconds) is past."""
        try:
            return self._soap.start(mid, customer_key, not_after)
        except UnsendableError as error:
            return after_situation("unsendable", f"customer key: {error}")
        except Exception as error:  # noqa: BLE001 - whatever happened, the start may have been applied
            # The text of the error might quote an envelope, so only its class is logged.
            log.error("start_call_failed", customer_key=customer_key, mid=mid, error=type(error).__name__)
            return after_situation("unexpected", f"the start call failed: {type(error).__name__}")

    def definition(self, mid: str, customer_key: str) -> Definition | Refusal | None:
        """Retrieve one ImportDefinition; None when no such key exists."""
        found = self._definitions(mid, definition_by_key(customer_key))
        if not isinstance(found, list):
            return found
        named = [each for each in found if is_spelling_of(each.customer_key, customer_key)]
        exact = (each for each in named if each.customer_key == customer_key)
        return next(exact, named[0] if named else _other(found))

    def definitions_of(self, mid: str, customer_keys: Collection[str]) -> Sequence[Definition] | Refusal:
        """Retrieve the ImportDefinitions that these keys find, with one query; see sfmc_import.gathering.Batches."""
        return self._definitions(mid, definitions_by_key(customer_keys))

    @property
    def asks_newer(self) -> bool:
        """See sfmc_import.gathering.Batches."""
        return self._asks_newer

    def newer_runs_of(self, mid: str, customer_keys: Collection[str], above: str) -> Sequence[Run] | Refusal:
        """List the newer runs of several definitions with one query; see sfmc_import.gathering.Batches."""
        return self._facts(mid, newer_runs(customer_keys, above), read_known_run)

    def definition_of_object(self, mid: str, object_id: str) -> Definition | Refusal | None:
        """Retrieve one ImportDefinition by its ObjectID; None when there is none."""
        found = self._definitions(mid, definition_by_object(object_id))
        if not isinstance(found, list):
            return found
        return next(
            (each for each in found if (each.object_id or object_id).lower() == object_id.lower()), _other(found)
        )

    def definitions(self, mid: str) -> Sequence[Definition] | Refusal:
        """Retrieve all ImportDefinitions of a business unit."""
        return self._definitions(mid, all_definitions())

    def description(self, mid: str, customer_key: str) -> FileDescription | Refusal | None:
        """Retrieve how a definition reads its file, and the columns of its data extension; None without the key."""
        formats = self._facts(mid, format_by_key(customer_key), read_format)
        if not isinstance(formats, list):
            return formats
        named = [each for each in formats if is_spelling_of(each[0], customer_key)]
        if not named:
            return _not_asked_for("definition", formats[0][0]) if formats else None
        exact = dict(named).get(customer_key, named[0][1])
        if exact.destination is None:
            return FileDescription(exact)
        key = self._key_of(mid, "data extension", data_extension_by_object(exact.destination), exact.destination)
        if key is not None and not isinstance(key, str):
            return key
        columns = [] if key is None else self._facts(mid, fields_of(key), read_column)
        return FileDescription(exact, tuple(columns)) if isinstance(columns, list) else columns

    def location(self, mid: str, customer_key: str) -> FileLocation | Refusal | None:
        """Retrieve which file location a definition reads from; None without the key."""
        found = self.definition(mid, customer_key)
        if not isinstance(found, Definition):
            return found
        if found.location is None:
            # Without the property nothing is known; with it the definition names no location, and so has the usual one.
            text = "it does not say from which file location a definition reads"
            return FileLocation(ENHANCED_FTP) if self._asks_inner else Rejected("unknown_location", text)
        key = self._key_of(mid, "file location", location_by_object(found.location), found.location)
        if isinstance(key, NotApplied):
            return key
        # Whoever may not read locations can name it by its ObjectID.
        return FileLocation(key if isinstance(key, str) else None, found.location)

    def _key_of(self, mid: str, what: str, query: Query, object_id: str) -> str | Refusal | None:
        """Give the CustomerKey of the object with this ObjectID; None when there is none."""
        found = self._facts(mid, query, _named)
        if not isinstance(found, list):
            return found
        # A row that says no ObjectID is taken at its word; one of another object is no answer.
        same = (key for given, key in found if (given or object_id).lower() == object_id.lower())
        return next(same, _not_asked_for(what, found[0][1]) if found else None)

    def runs_of(self, mid: str, customer_key: str, *, above: str | None = None) -> Sequence[Run] | Refusal:
        """List the runs of this definition that have a TaskResultID by now, without their counts."""
        answer = self._known_runs(mid, customer_key, above)
        if not isinstance(answer, list):
            return answer
        # A row of another definition is no answer to the question; one that names none is.
        wanted = {"", fold_key(customer_key)}
        return [run for run in answer if fold_key(run.customer_key) in wanted]

    def _known_runs(self, mid: str, customer_key: str, above: str | None) -> list[Run] | Refusal:
        """Ask for the newer runs alone, or for all where the service does not answer that and answers this."""
        refused: Refusal | None = None
        if above is not None and self._asks_newer:
            newer = self._facts(mid, newer_runs((customer_key,), above), read_known_run)
            if isinstance(newer, list) or not (isinstance(newer, Rejected) or newer.code in DOUBTFUL_FILTER):
                return newer
            refused = newer
        found = self._facts(mid, runs_by_definition(customer_key), read_known_run)
        if refused is not None and isinstance(found, list):
            log.warning("newer_runs_refused", mid=mid, code=refused.code, text=refused.text)
            self._asks_newer = False
        return found

    def runs(self, mid: str, task_ids: Collection[str]) -> Mapping[str, Run] | Refusal:
        """Look up runs by TaskResultID, many in one query; what is not visible yet is absent."""
        wanted = iter(sorted(task_id for task_id in set(task_ids) if task_id.isascii() and task_id.isdigit()))
        found: dict[str, Run] = {}
        while batch := list(islice(wanted, IDS_PER_QUERY)):
            answer = self._facts(mid, runs_by_task(batch), read_run)
            if not isinstance(answer, list):
                return answer
            found |= {run.task_id: run for run in answer if run.task_id in batch}
        return found

    def _definitions(self, mid: str, query: Query) -> list[Definition] | Refusal:
        """Ask for definitions with what they refer to, or without that where the service refuses these properties."""
        if not self._asks_inner:
            return self._facts(mid, query, read_definition)
        found = self._facts(mid, replace(query, inner=True), read_definition)
        if isinstance(found, list) or REFUSED_PROPERTIES not in found.text:
            return found
        log.warning("definition_properties_refused", mid=mid, text=found.text)
        self._asks_inner = False
        return self._facts(mid, query, read_definition)

    def _facts(self, mid: str, query: Query, read: Callable[[Row], T | None]) -> list[T] | Refusal:
        facts: list[T] = []
        pages = PagesRead()
        not_after = self._clock.boottime() + self._reading_timeout
        while True:
            page = self._retry_query(partial(self._ask, mid, query, not_after))
            if isinstance(page, Fault):
                return after_query(page)
            flaw = pages.add(page)
            if flaw is not None:
                return after_query(flaw)
            try:
                facts += [fact for fact in map(read, page.rows) if fact is not None]
            except (ValueError, KeyError) as error:
                return after_query(Ambiguous("unreadable_reply", short(f"a row cannot be read: {error!r}")))
            if page.continues is None:
                return facts
            query = query.next_page(page.continues)

    def _ask(self, mid: str, query: Query, not_after: float) -> Page | Fault:
        if self._clock.boottime() >= not_after:
            return NotApplied("read_timeout", f"the answer was not read in {self._reading_timeout:g} s")
        try:
            return self._soap.page(mid, query, not_after)
        except UnsendableError as error:
            return after_situation("unsendable", f"the values of a query: {error}")
        except Exception as error:  # noqa: BLE001 - a query changes nothing, whatever happened
            log.error("query_call_failed", object_type=query.object_type, mid=mid, error=type(error).__name__)
            return after_situation("unexpected", f"the query failed: {type(error).__name__}")


class PagesRead:
    """What the pages of one query have brought so far, and what ends the reading."""

    def __init__(self) -> None:
        self._pages = self._bytes = self._count = 0
        self._rows: set[int] = set()

    def add(self, page: Page) -> Fault | None:
        """Note a page before its rows are read; give the fault if it is too much, or brings nothing new."""
        self._pages += 1
        self._bytes += page.size
        self._count += len(page.rows)
        sums = {"pages": (self._pages, MAX_PAGES), "rows": (self._count, MAX_ROWS), "bytes": (self._bytes, MAX_BYTES)}
        over = [f"more than {limit} {what}" for what, (read, limit) in sums.items() if read > limit]
        if over:
            return Ambiguous("oversized_query", f"the answer to one query has {' and '.join(over)}")
        rows = {hash(frozenset(row.items())) for row in page.rows} - self._rows
        self._rows |= rows
        if page.continues is not None and not rows:
            return Ambiguous("endless_pages", "a page of a query brings nothing new")
        return None
