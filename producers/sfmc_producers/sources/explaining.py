"""Explains what a file or an event would start, and does nothing: rules, definition, and what the ledger would decide.

The ledger decides when a worker takes the request, in one step. This is said from one look before that: who submits
or starts meanwhile changes it. Outages, lost workers, limits of calls that are reached, and requests that are accepted
and not yet decided are left out.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from sfmc_import.checking import Ahead, Days, Holds, NearMidnight, TooOld, check
from sfmc_import.display import date_of
from sfmc_import.faults import Rejected
from sfmc_import.ledger.reading import SeenFolder
from sfmc_import.outlook import Outlook, Standing, predict
from sfmc_import.policy import ACCOUNT, Policy
from sfmc_import.ports import Refusal
from sfmc_import.request import FileInfo
from sfmc_import.routing import Route, Routed, Routing, Tried
from sfmc_import.runs import Definition
from sfmc_import.waiting import REASONS
from sfmc_producers.delivery.locations import is_location
from sfmc_producers.delivery.names import name_problem
from sfmc_producers.file_ids import own_event, request_id_of, submitted_as
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.intake import Intake

DUPLICATE = {
    "same_request": "its own request",
    "event": "the same event",
    "file": "the same file",
    "too_soon": "too soon, and when_too_soon is drop",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule that was asked about a file."""

    rule: str
    matched: bool
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What would follow: start, duplicate, wait, reject, nothing or unknown; `text` is a sentence.

    Nothing follows where there is no definition, and with the reason `refused` where the file cannot be delivered.
    """

    what: str
    text: str
    reason: str = ""
    request_id: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """All that is known about one file."""

    file: FileInfo
    rules: Sequence[Rule]
    decision: Decided
    request_id: str | None = None
    target: Routed | None = None
    definition: Definition | None = None
    group: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give it for programs."""
        found: dict[str, Any] = {"file": _known(asdict(self.file)) | {"fingerprint": self.file.fingerprint}}
        found |= {"rules": [asdict(each) for each in self.rules], "decision": _known(asdict(self.decision))}
        found |= {"request_id": self.request_id, "definition": self.definition and _described(self.definition)}
        found |= {"group": self.group} if self.group else {}
        return found | {"target": self.target and _known(asdict(self.target))}


def _described(definition: Definition) -> dict[str, Any]:
    # When it was read stands on the clock of this process, and says nothing to another.
    return {name: value for name, value in _known(asdict(definition)).items() if name != "asked_at"}


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value != ""}


class Ledger(Protocol):
    """What is read of the ledger."""

    def watchers(self) -> Sequence[Mapping[str, Any]]:
        """Give what each watcher says of its folders."""
        ...

    def folders_seen(self) -> Sequence[SeenFolder]:
        """Give what is remembered of folders."""
        ...

    def now(self) -> float:
        """Redis time in seconds since 1970."""
        ...

    def standing(
        self,
        mid: str,
        customer_key: str,
        file: FileInfo,
        request_id: str,
        event_id: str | None = None,
        after: Collection[str] = (),
        groups: Collection[str] = (),
    ) -> Standing:
        """Give what a decision about a file depends on."""
        ...


Definitions = Callable[[str, str], Definition | Refusal | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explaining:
    """What explanations are made from; nothing of it is changed. `own` are the routes of the source."""

    intake: Intake
    ledger: Ledger
    definitions: Definitions
    policies: Callable[[str, str], Policy]
    days: Days
    own: Sequence[Route] = field(default=())

    def explain(self, arrival: Arrival) -> Explained:
        """Explain one arrival; raises LedgerUnavailableError."""
        rules, routing = self._rules(arrival)
        if not isinstance(routing, Routed):
            return Explained(file=arrival.file, rules=rules, decision=_nothing(routing))
        definition = self.definitions(routing.mid, routing.customer_key)
        event_id = own_event(arrival.file, arrival.event_id)
        known = definition if isinstance(definition, Definition) else None
        # The request is named by the key as it was found; the ledger has that of Marketing Cloud.
        request_id = request_id_of(arrival.file, routing, event_id)
        # FileSpec selects the name at the target.
        sent = submitted_as(arrival.file, routing)
        decision = self._decide(sent, routing, definition, request_id, event_id)
        refused = None if decision.what == "duplicate" else _refused(routing, definition)
        return Explained(
            file=arrival.file,
            rules=rules,
            decision=refused or decision,
            request_id=None if refused else request_id,
            target=routing,
            definition=known,
            group=self.policies(routing.mid, known.customer_key if known else routing.customer_key).group,
        )

    def ignored(self, file: FileInfo, why: str) -> Explained:
        """Explain a file that the source never takes."""
        rules = [Rule("the names that are taken", matched=False, why=why)]
        decision = Decided(what="nothing", reason="ignored", text=f"nothing is started: {why}")
        return Explained(file=file, rules=rules, decision=decision)

    def _rules(self, arrival: Arrival) -> tuple[list[Rule], Routing | None]:
        routing = self.intake.route(arrival)
        if (by := self.intake.named_by(arrival)) is not None:
            return [Rule(by, matched=True)], routing
        tried = self.intake.submitter.explain(arrival.file, routing)
        rules = [_rule(number, each, len(self.own)) for number, each in enumerate(tried, start=1)]
        if any(each.matched for each in rules):
            return rules, routing
        if routing is None:
            reason = self.intake.outage(arrival)
            why = f"they cannot be read now{f' ({reason})' if reason else ''}"
            return [*rules, Rule("FileSpec of each definition", matched=False, why=why)], None
        if isinstance(routing, Routed):
            return [*rules, Rule(f"FileSpec of {routing.customer_key}", matched=True)], routing
        keys = f" ({', '.join(routing.customer_keys)})" if routing.customer_keys else ""
        return [*rules, Rule("FileSpec of each definition", matched=False, why=f"{routing.text}{keys}")], routing

    def _decide(
        self,
        file: FileInfo,
        target: Routed,
        definition: Definition | Refusal | None,
        request_id: str,
        event_id: str | None,
    ) -> Decided:
        key = definition.customer_key if isinstance(definition, Definition) else target.customer_key
        policy, now = self.policies(target.mid, key), self.ledger.now()
        groups = [group for group, _ in policy.limits]
        standing = self.ledger.standing(target.mid, key, file, request_id, event_id, policy.after, groups)
        known = definition if isinstance(definition, Definition) else None
        outlook = predict(file, standing, policy, known)
        if standing.own is None and not isinstance(definition, Definition):
            return _without_definition(definition, target)
        if outlook.what == "start":
            assert isinstance(definition, Definition)
            return _checked(file, definition, policy, now, self.days, self.intake.submitter.days.ahead(now))
        state = str(standing.own["state"]) if standing.own is not None else ""
        return _said(outlook, now, state)


def _refused(target: Routed, definition: Definition | Refusal | None) -> Decided | None:
    """Say why a file of this route cannot be delivered, and so gets no request."""
    if target.deliver is None:
        return None
    text = name_problem(target.deliver.name)
    if text is None and is_location(target.deliver) and (definition is None or isinstance(definition, Rejected)):
        text = f"it is not known where definition {target.customer_key} reads its file"
    return None if text is None else Decided(what="nothing", reason="refused", text=f"refused: {text}")


def _without_definition(definition: Refusal | None, target: Routed) -> Decided:
    if definition is None:
        text = f"rejected (43010): business unit {target.mid} has no ImportDefinition {target.customer_key}"
        return Decided(what="reject", reason="43010", text=text)
    if isinstance(definition, Rejected):
        return Decided(what="reject", reason=definition.code, text=f"rejected ({definition.code}): {definition.text}")
    return Decided(what="unknown", reason=definition.code, text=f"its definition cannot be read: {definition.text}")


def _rule(number: int, tried: Tried, own: int) -> Rule:
    whose = f"route {number} of the source" if number <= own else f"route {number - own}"
    name = f" {tried.route.name}" if tried.route.name else ""
    return Rule(f"{whose}{name} ({tried.route.pattern})", matched=tried.target is not None, why=tried.why)


def _nothing(routing: Routing | None) -> Decided:
    if routing is None:
        return Decided(what="unknown", text="the definitions cannot be read now; a file that has no request yet waits")
    assert not isinstance(routing, Routed)
    reason = getattr(routing, "reason", "ambiguous_route")
    return Decided(what="nothing", reason=reason, text=f"nothing is started: {routing.text}")


def _checked(file: FileInfo, definition: Definition, policy: Policy, now: float, days: Days, ahead: Ahead) -> Decided:
    """Say what is checked right before a start."""
    modified_at = None if file.modified_ns is None else file.modified_ns / 1e9
    verdict = check(definition, None, (file.name, modified_at), now, days, ahead)
    if isinstance(verdict, Holds):
        return Decided(what="start", text="start")
    if policy.when_mismatch == "start":
        return Decided(what="start", text=f"start, although {verdict.text}")
    if isinstance(verdict, NearMidnight):
        until = moment(now + verdict.seconds)
        return Decided(what="wait", reason="file_check", until=until, text=f"waits until {until}: {verdict.text}")
    if policy.when_mismatch == "wait" and not isinstance(verdict, TooOld):
        return Decided(what="wait", reason="file_check", text=f"waits: {verdict.text}")
    reason = "file_too_old" if isinstance(verdict, TooOld) else "pattern_mismatch"
    return Decided(what="reject", reason=reason, text=f"rejected ({reason}): {verdict.text}")


def _said(outlook: Outlook, now: float, state: str) -> Decided:
    by = f"request {outlook.by}{f' ({state})' if state else ''}" if outlook.by else "an earlier request"
    until = None if outlook.seconds is None else moment(now + outlook.seconds)
    if outlook.what == "duplicate":
        text = f"duplicate of {by}: {DUPLICATE[outlook.reason]}"
    else:
        text = f"waits until {_end(outlook, until, by)} because {_because(outlook.reason)}"
        text += f", by {by}" if outlook.reason == "window" and outlook.by else ""
    request_id = None if outlook.reason in {"after", "rate_limited"} else outlook.by
    return Decided(what=outlook.what, reason=outlook.reason, request_id=request_id, until=until, text=text)


def _end(outlook: Outlook, until: str | None, by: str) -> str:
    if outlook.reason == "after":
        return f"definition {outlook.by} has a completed run"
    if outlook.reason == "rate_limited":
        of = "the account" if outlook.by == ACCOUNT else f"the group {outlook.by}"
        return f"an import of {of} has ended"
    if outlook.reason == "paused":
        return until or "an operator resumes it"
    return until if until is not None and outlook.reason == "window" else f"{by} has ended"


def _because(reason: str) -> str:
    """Give the sentence of `waiting.md` about a reason, inside another one."""
    text = REASONS[reason].rstrip(".")
    first = text.split()[0]
    return f"{text[0].lower() if first.istitle() else text[0]}{text[1:]} ({reason})"


def moment(seconds: float) -> str:
    """Write a time."""
    return date_of(seconds).strftime("%Y-%m-%d %H:%M:%S UTC")
