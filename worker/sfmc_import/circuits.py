"""The circuit breaker of an account and of its logins, as one process knows it."""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from uuid import uuid4

import structlog

from sfmc_import.faults import NOT_ASKED, Fault, NotApplied
from sfmc_import.permits import ACCOUNT, OF_LOGIN, Circuit, Entry, Login, QuotaLedger, Share
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.retrying import is_account_wide, pause_asked

log = structlog.get_logger(__name__)

SPREAD_SECONDS = 5.0
"""At least so wide is the time over which calls come back after a circuit was open."""

LOGIN_CODES = frozenset({"login_failed", "12", "token_refused", "http_refused"})
"""Failures of one login in one business unit; others may work."""

WAY_CODES = frozenset({"token_unavailable", "proxy_refused"})
"""Failures of the way to a login in every business unit: a process with another address or proxy may have another."""

_BEFORE_THE_SERVICE = WAY_CODES | {"login_failed"}
"""With these Marketing Cloud itself was not asked, so they say nothing about it."""


HELD_BACK = "no call is made for now: "
"""Begins the text of a call that was not made; the code of what failed before follows."""


def failed_code(code: str, text: str) -> str:
    """Give the code of what failed, also of a call that was not made because of it."""
    return text.removeprefix(HELD_BACK).partition(":")[0] if text.startswith(HELD_BACK) else code


class Circuits:
    """Holds calls while a circuit is open, and reports how calls ended; safe for threads.

    `chance` gives numbers from 0 to 1, by which the return of calls is spread. What fails for the `login` of this
    process holds no process with another one; the process is named by its `role`.
    """

    def __init__(
        self, ledger: QuotaLedger, clock: Callable[[], float], chance: Callable[[], float], login: Login, role: str
    ) -> None:
        self._ledger, self._clock, self._chance, self._login, self._role = ledger, clock, chance, login, role
        self._lock = threading.Lock()
        self._circuits: dict[str, tuple[Circuit, float]] = {}

    def learn(self, circuits: Mapping[str, Circuit]) -> None:
        """Take what the ledger says of all circuits."""
        now = self._clock()
        with self._lock:
            self._circuits = {scope: (circuit, now) for scope, circuit in circuits.items()}

    def leave(self, entry: Entry, answer: object) -> None:
        """Report to the ledger what the answer to a call says of its circuits."""
        failure = answer if isinstance(answer, Fault) and is_account_wide(answer) else None
        if failure is not None and (failure.code in NOT_ASKED or _is_of_one_start(entry, failure)):
            answer, failure = None, None
        if failure is not None:
            self._report_failure(entry, failure)
            return
        outcome = "unknown" if answer is None else "answered"
        for scope in self._scopes(entry.mid):
            known = self._known(scope)
            if scope in entry.probes or (known.failures and known.left is None and answer is not None):
                self._report(entry, scope, outcome)

    def _scopes(self, mid: str) -> tuple[str, str, str]:
        """Give the circuits that a call passes: of the account, of its login, of its login in this business unit."""
        return ACCOUNT, f"{OF_LOGIN}{self._login.id}", f"{mid}{OF_LOGIN}{self._login.id}"

    def _scope_of(self, entry: Entry, code: str) -> str:
        account, way, unit = self._scopes(entry.mid)
        return way if code in WAY_CODES else unit if code in LOGIN_CODES else account

    def _known(self, scope: str) -> Circuit:
        return self._circuits.get(scope, (Circuit(), 0.0))[0]

    def hold(self, share: Share, mid: str) -> NotApplied | None:
        """Hold a call without asking the ledger while a pause lasts."""
        for scope in self._scopes(mid):
            known, left = self._left(scope)
            if left is not None and left > 0:
                return self._circuit_open(known, left, share)
        return None

    def _left(self, scope: str) -> tuple[Circuit, float | None]:
        known, at = self._circuits.get(scope, (Circuit(), 0.0))
        return known, None if known.left is None else known.left - (self._clock() - at)

    def let_pass(self, share: Share, mid: str) -> Entry | NotApplied:
        """Let a call pass where no circuit is open; where one is, one call at a time tries."""
        probe, probes = uuid4().hex, []
        for scope in dict.fromkeys(self._scopes(mid)):
            known, left = self._left(scope)
            if left is None:
                continue
            if left <= 0:
                known = self._ledger.probe(scope, probe)
                self._note(scope, known)
                if known.is_probe:
                    probes.append(scope)
                    continue
                if known.left is None:
                    continue
                left = known.left
            self._give_back(Entry(mid=mid, probe=probe, probes=tuple(probes)))
            return self._circuit_open(known, left, share)
        epochs = {scope: self._known(scope).epoch for scope in self._scopes(mid)}
        return Entry(mid=mid, probe=probe, probes=tuple(probes), epochs=epochs)

    def _give_back(self, entry: Entry) -> None:
        for scope in entry.probes:
            self._report(entry, scope, "unknown")

    def _circuit_open(self, circuit: Circuit, left: float, share: Share) -> NotApplied:
        # Polls come back first, for they change nothing; starts are spread, so that they do not come all at once.
        spread = 1.0 if share == "follow" else max(SPREAD_SECONDS, left)
        by = f" ({circuit.by})" if circuit.by else ""
        text = f"{HELD_BACK}{circuit.code}: {circuit.text}{by}"
        after = left + spread * self._chance()
        cause = (circuit.code, f"{circuit.text}{by}")
        return NotApplied("circuit_open", text, account_wide=True, retry_after=after, cause=cause)

    def _report_failure(self, entry: Entry, fault: Fault) -> None:
        scope = self._scope_of(entry, fault.code)
        before = self._known(scope)
        found = self._report(entry, scope, "failed", fault)
        for other in entry.probes:
            if other != scope:
                self._report(entry, other, self._said_of(other, scope, fault))
        if found is not None and found.left is not None and found.epoch > before.epoch:
            retry_in, by = round(found.left, 1), self._by()
            log.warning(
                "circuit_opened", code=fault.code, text=fault.text, retry_in=retry_in, by=by, **self._about(scope)
            )

    def _said_of(self, other: str, failed: str, fault: Fault) -> str:
        """Say what a failure of one circuit says of another one: that it was answered where the call came so far."""
        if failed == ACCOUNT or fault.code in WAY_CODES or (other == ACCOUNT and fault.code in _BEFORE_THE_SERVICE):
            return "unknown"
        return "answered"

    def _about(self, scope: str) -> dict[str, str]:
        mid, of_login, login = scope.partition(OF_LOGIN)
        return {name: value for name, value in (("mid", mid), ("login", login if of_login else "")) if value}

    def _by(self) -> str:
        process = f"{self._role} {socket.gethostname()}:{os.getpid()}"
        return f"{self._login.shown} of the {process}" if self._login.shown else f"the {process}"

    def _report(self, entry: Entry, scope: str, outcome: str, fault: Fault | None = None) -> Circuit | None:
        code, text, asked = ("", "", 0.0) if fault is None else (fault.code, fault.text[:500], pause_asked(fault))
        epoch, by = entry.epochs.get(scope, 0), "" if fault is None else self._by()
        try:
            found = self._ledger.report(scope, entry.probe, epoch, outcome, code=code, text=text, asked=asked, by=by)
        except LedgerUnavailableError as error:
            log.debug("circuit_not_reported", error=str(error))
            return None
        self._note(scope, found)
        if scope in entry.probes and outcome == "answered" and found.left is None:
            log.info("circuit_closed", **self._about(scope))
        return found

    def _note(self, scope: str, circuit: Circuit) -> None:
        with self._lock:
            self._circuits[scope] = (circuit, self._clock())


def _is_of_one_start(entry: Entry, failure: Fault) -> bool:
    """Tell whether a start alone was refused: a query with the same login was answered right before it."""
    return entry.kind == "perform" and failure.code == "http_refused"
