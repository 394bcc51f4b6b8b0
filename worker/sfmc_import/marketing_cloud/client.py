"""Calls Marketing Cloud over SOAP: starts once, queries repeatedly within seconds; returns each failure as a value."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import structlog

from sfmc_import.faults import Ambiguous, Fault, after_query, after_situation
from sfmc_import.marketing_cloud.envelopes import (
    Envelopes,
    Query,
    Row,
    UnsendableError,
    all_definitions,
    definition_by_key,
    definition_by_object,
    read_definition,
    read_run,
    runs_by_definition,
    runs_by_task,
)
from sfmc_import.marketing_cloud.http import (
    BootClock,
    Failed,
    MarketingCloudConfig,
    PooledPost,
    Reply,
    SingleUsePost,
    tls_context,
)
from sfmc_import.marketing_cloud.login import (
    Credential,
    CredentialSource,
    PasswordSource,
    TokenSource,
)
from sfmc_import.marketing_cloud.replies import Page, Understand, parse_page_reply, parse_start_reply, short
from sfmc_import.ports import Clock, Refusal, RetryCall
from sfmc_import.redaction import KNOWN, hidden
from sfmc_import.retry_call import retry_call
from sfmc_import.retrying import QUERY
from sfmc_import.runs import Accepted, Definition, Run

Parsed = TypeVar("Parsed", Accepted, Page)
HeaderValues = Mapping[str, str]
MaySend = Callable[[], bool]

SECRET_PLACEHOLDERS = ("token", "password", "nonce")
REFUSED_TWICE = (
    "Marketing Cloud refuses the login, also with a fresh token: check that SFMC_SOAP_URL and SFMC_AUTH_URL are of"
    " the same tenant, and that the installed package may use the SOAP API in this business unit"
)


class SoapCall:
    """Sends calls for any number of threads; no fault contains the values of a credential placeholder."""

    def __init__(
        self,
        logins: CredentialSource,
        envelopes: Envelopes,
        understand: Understand,
        send_start: SingleUsePost,
        send_query: Callable[[bytes], Reply | Failed],
    ) -> None:
        self._logins = logins
        self._envelopes = envelopes
        self._understand = understand
        self._send_start = send_start
        self._send_query = send_query

    def start(self, mid: str, customer_key: str, may_send: MaySend) -> Accepted | Fault:
        """Send Perform "start" once; twice only where the first was refused for its token."""

        def perform(values: HeaderValues) -> Accepted | Fault:
            envelope = self._envelopes.perform(customer_key, values)
            return parse_start_reply(self._send_start(envelope, may_send), self._understand)

        return self._with_login(mid, perform)

    def page(self, mid: str, query: Query) -> Page | Fault:
        """Send one Retrieve."""

        def retrieve(values: HeaderValues) -> Page | Fault:
            envelope = self._envelopes.retrieve(query, values)
            return parse_page_reply(self._send_query(envelope), self._understand)

        return self._with_login(mid, retrieve)

    def _with_login(self, mid: str, call: Callable[[HeaderValues], Parsed | Fault]) -> Parsed | Fault:
        login = self._logins.get(mid)
        if isinstance(login, Fault):
            return login
        answer = _without_secrets(call, login)
        return self._repeat_with_fresh_login(mid, login, call) if _was_refused(answer) else answer

    def _repeat_with_fresh_login(
        self, mid: str, refused: Credential, call: Callable[[HeaderValues], Parsed | Fault]
    ) -> Parsed | Fault:
        """Make the call once more: a refused token means that nothing was done, and a new one may be accepted."""
        login = self._logins.renew(mid, refused)
        if isinstance(login, Fault):
            return login
        answer = _without_secrets(call, login)
        return after_situation("login_failed", REFUSED_TWICE) if _was_refused(answer) else answer


def _was_refused(answer: object) -> bool:
    return isinstance(answer, Fault) and answer.code == "token_refused"


def _without_secrets(call: Callable[[HeaderValues], Parsed | Fault], login: Credential) -> Parsed | Fault:
    values = login.header_values()
    answer = call(values)
    if not isinstance(answer, Fault):
        return answer
    text = answer.text
    # The service quotes a malformed token in its fault.
    for secret in filter(None, map(values.get, SECRET_PLACEHOLDERS)):
        text = text.replace(secret, "…")
    return replace(answer, text=hidden(text))


T = TypeVar("T")

# No documented limit for IN; answers have at most 2,500 rows each (Marketing Cloud docs, "Retrieve").
IDS_PER_QUERY = 200
MAX_PAGES = 400
# "Error: The Request Property(s) A, B do not match with the fields of X retrieve"
REFUSED_PROPERTIES = "Request Property(s)"

log = structlog.get_logger(__name__)


class SoapMarketingCloud:
    """Implements sfmc_import.ports.MarketingCloud over SOAP; one for each process, used by all its threads."""

    def __init__(self, soap: SoapCall, envelopes: Envelopes, retry_query: RetryCall, clock: Clock) -> None:
        self._soap = soap
        self._envelopes = envelopes
        self._retry_query = retry_query
        self._clock = clock
        # What definitions refer to is asked for until the service refuses it once.
        self._asks_inner = True

    def prepare(self) -> None:
        """Load zeep and make the common envelopes now, so that the first start does not wait for it (0.2 s)."""
        self._envelopes.prepare(replace(definition_by_key(""), inner=True), runs_by_definition(""), runs_by_task([""]))

    def start(self, mid: str, customer_key: str, *, not_after: float) -> Accepted | Fault:
        """Send Perform "start" on a connection of its own, unless `not_after` (CLOCK_BOOTTIME seconds) is past."""
        try:
            return self._soap.start(mid, customer_key, lambda: self._clock.boottime() < not_after)
        except UnsendableError as error:
            return after_situation("unsendable", f"customer key or credentials: {error}")
        except Exception as error:  # noqa: BLE001 - whatever happened, the start may have been applied
            # The text of the error might quote an envelope, so only its class is logged.
            log.error("start_call_failed", customer_key=customer_key, mid=mid, error=type(error).__name__)
            return after_situation("unexpected", f"the start call failed: {type(error).__name__}")

    def definition(self, mid: str, customer_key: str) -> Definition | Refusal | None:
        """Retrieve one ImportDefinition; None when no such key exists."""
        found = self._definitions(mid, definition_by_key(customer_key))
        if not isinstance(found, list):
            return found
        exact = (definition for definition in found if definition.customer_key == customer_key)
        return next(exact, found[0] if found else None)

    def definition_of_object(self, mid: str, object_id: str) -> Definition | Refusal | None:
        """Retrieve one ImportDefinition by its ObjectID; None when there is none."""
        found = self._definitions(mid, definition_by_object(object_id))
        return next(iter(found), None) if isinstance(found, list) else found

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
        for _ in range(MAX_PAGES):
            page = self._retry_query(partial(self._ask, mid, query))
            if isinstance(page, Fault):
                return after_query(page)
            try:
                facts += [fact for fact in map(read, page.rows) if fact is not None]
            except (ValueError, KeyError) as error:
                return after_query(Ambiguous("unreadable_reply", short(f"a row cannot be read: {error!r}")))
            if page.continues is None:
                return facts
            query = query.next_page(page.continues)
        return after_query(Ambiguous("endless_pages", f"more than {MAX_PAGES} pages for one query"))

    def _ask(self, mid: str, query: Query) -> Page | Fault:
        try:
            return self._soap.page(mid, query)
        except UnsendableError as error:
            return after_situation("unsendable", f"the values of a query: {error}")
        except Exception as error:  # noqa: BLE001 - a query changes nothing, whatever happened
            log.error("query_call_failed", object_type=query.object_type, mid=mid, error=type(error).__name__)
            return after_situation("unexpected", f"the query failed: {type(error).__name__}")


if TYPE_CHECKING:
    from sfmc_import.marketing_cloud.soap_library import Service


def connect(
    config: MarketingCloudConfig, *, clock: Clock | None = None, sleep: Callable[[float], None] = time.sleep
) -> SoapMarketingCloud:
    """Make the client of a process. Call `prepare` where the first start must be quick.

    `clock` measures `not_after` and the life of tokens, `sleep` waits between two attempts of a query.
    """
    clock = clock or BootClock()
    KNOWN.learn(config.client_secret.get_secret_value(), config.password.get_secret_value())
    tls = cache(lambda: tls_context(config.verify))
    service = cache(_load_service)
    post = PooledPost(tls, config.connect_timeout)
    logins: CredentialSource = (
        TokenSource(config, post, clock.boottime) if config.uses_tokens else PasswordSource(config)
    )
    envelopes = Envelopes(config, service)
    send_start = SingleUsePost(
        config.soap_address, _headers("Perform"), tls, config.connect_timeout, config.read_timeout
    )

    def send_query(envelope: bytes) -> Reply | Failed:
        return post(config.soap_address, envelope, _headers("Retrieve"), config.read_timeout)

    soap = SoapCall(
        logins, envelopes, lambda operation, reply: service().understand(operation, reply), send_start, send_query
    )
    policy = replace(QUERY, attempts=config.query_attempts, deadline=config.query_deadline)
    return SoapMarketingCloud(soap, envelopes, retry_call(policy, "query_attempt_failed", sleep=sleep), clock)


def _headers(operation: str) -> dict[str, str]:
    return {
        "Content-Type": "text/xml; charset=utf-8",
        "SOAPAction": f'"{operation}"',
        "User-Agent": "sfmc-import",
    }


def _load_service() -> "Service":
    # zeep takes 0.14 s to import: commands that never call Marketing Cloud do not wait for it.
    from sfmc_import.marketing_cloud.soap_library import Service  # noqa: PLC0415

    return Service()
