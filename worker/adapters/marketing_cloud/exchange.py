"""One call, sent and judged, with a second try where only the token was refused; no other retry lives here."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from worker.adapters.marketing_cloud.credentials import Login, Logins
from worker.adapters.marketing_cloud.envelopes import Envelopes
from worker.adapters.marketing_cloud.fresh import FreshPost
from worker.adapters.marketing_cloud.queries import Query
from worker.adapters.marketing_cloud.replies import Page
from worker.adapters.marketing_cloud.verdicts import Understand, judge_page, judge_start
from worker.adapters.marketing_cloud.wire import Failed, Reply
from worker.domain.fault_table import after_situation
from worker.domain.faults import Fault
from worker.domain.runs import Accepted

T = TypeVar("T", Accepted, Page)
Slots = Mapping[str, str]
MaySend = Callable[[], bool]

SECRET_SLOTS = ("token", "password", "nonce")
REFUSED_TWICE = (
    "Marketing Cloud refuses the login, also with a fresh token: check that SFMC_SOAP_URL and SFMC_AUTH_URL are of"
    " the same tenant, and that the installed package may use the SOAP API in this business unit"
)


class Exchange:
    """Sends calls for any number of threads; faults never carry what filled a credential slot."""

    def __init__(
        self,
        logins: Logins,
        envelopes: Envelopes,
        understand: Understand,
        send_start: FreshPost,
        send_query: Callable[[bytes], Reply | Failed],
    ) -> None:
        self._logins = logins
        self._envelopes = envelopes
        self._understand = understand
        self._send_start = send_start
        self._send_query = send_query

    def start(self, mid: str, customer_key: str, may_send: MaySend) -> Accepted | Fault:
        """Send Perform "start" once; twice only where the first was refused for its token."""

        def perform(slots: Slots) -> Accepted | Fault:
            envelope = self._envelopes.perform(customer_key, slots)
            return judge_start(self._send_start(envelope, may_send), self._understand)

        return self._logged_in(mid, perform)

    def page(self, mid: str, query: Query) -> Page | Fault:
        """Send one Retrieve."""

        def retrieve(slots: Slots) -> Page | Fault:
            envelope = self._envelopes.retrieve(query, slots)
            return judge_page(self._send_query(envelope), self._understand)

        return self._logged_in(mid, retrieve)

    def _logged_in(self, mid: str, call: Callable[[Slots], T | Fault]) -> T | Fault:
        login = self._logins.get(mid)
        if isinstance(login, Fault):
            return login
        answer = _without_secrets(call, login)
        if not _was_refused(answer):
            return answer
        login = self._logins.renew(mid, login)
        if isinstance(login, Fault):
            return login
        answer = _without_secrets(call, login)
        return after_situation("login_failed", REFUSED_TWICE) if _was_refused(answer) else answer


def _was_refused(answer: object) -> bool:
    return isinstance(answer, Fault) and answer.code == "token_refused"


def _without_secrets(call: Callable[[Slots], T | Fault], login: Login) -> T | Fault:
    slots = login.slots()
    answer = call(slots)
    if not isinstance(answer, Fault):
        return answer
    text = answer.text
    # The service quotes a malformed token in its fault.
    for secret in filter(None, map(slots.get, SECRET_SLOTS)):
        text = text.replace(secret, "…")
    return replace(answer, text=text)
