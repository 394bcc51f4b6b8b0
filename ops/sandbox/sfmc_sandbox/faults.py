"""The faults that can be injected, as one table, and the rules that decide which calls get one."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

from sfmc_sandbox.wire.vocabulary import OPERATIONS

TOKEN, WSDL = "Token", "Wsdl"
"""What rules call the two requests that are not SOAP operations."""


class Stage(Enum):
    """When during a call a fault happens; in this order."""

    BEFORE = "before the call is applied"
    ANSWER = "in the content of the answer"
    RUN = "in the run that the call starts"
    AFTER = "after the call is applied"


@dataclass(frozen=True)
class FaultKind:
    """One fault: its name, when it happens, what it does, and its parameters with their defaults."""

    name: str
    stage: Stage
    meaning: str
    parameters: tuple[tuple[str, float | str], ...] = ()

    def fits(self, operation: str) -> bool:
        """Whether an operation can have this fault: only Perform starts runs, only SOAP calls have results."""
        if self.stage in {Stage.ANSWER, Stage.RUN}:
            return operation == "Perform"
        return not (self.name.startswith("error_") and operation in {TOKEN, WSDL})

    @property
    def ends_the_call(self) -> bool:
        """Whether this fault decides the answer, so that no other rule is asked."""
        return self.stage in {Stage.BEFORE, Stage.AFTER} and self.name not in _GO_ON


_GO_ON = {"delay", "delay_after_applying", "throttle"}
_KINDS = (
    FaultKind("delay", Stage.BEFORE, "Waits before anything else.", (("seconds", 1.0),)),
    FaultKind("drop_before_applying", Stage.BEFORE, "Resets the connection; nothing happens."),
    FaultKind("http_400", Stage.BEFORE, "HTTP 400 with the text Bad Request; nothing happens."),
    FaultKind("http_500", Stage.BEFORE, "HTTP 500 without a SOAP fault; nothing happens."),
    FaultKind("http_429", Stage.BEFORE, "HTTP 429 with Retry-After; nothing happens.", (("seconds", 1.0),)),
    FaultKind("http_503", Stage.BEFORE, "HTTP 503 with Retry-After; nothing happens.", (("seconds", 1.0),)),
    FaultKind("fault_2", Stage.BEFORE, "SOAP fault 2 (unexpected error); nothing happens."),
    FaultKind("fault_9", Stage.BEFORE, "SOAP fault 9 (in maintenance); nothing happens."),
    FaultKind("fault_10", Stage.BEFORE, "SOAP fault 10 (outage); nothing happens."),
    FaultKind("fault_11", Stage.BEFORE, "SOAP fault 11 (not authorised); nothing happens."),
    FaultKind("fault_12", Stage.BEFORE, "SOAP fault 12 (bad user name or password); nothing happens."),
    FaultKind("fault_13", Stage.BEFORE, "SOAP fault 13 (database problem, not processed); nothing happens."),
    FaultKind("fault_17", Stage.BEFORE, "SOAP fault 17 (rate limited); nothing happens."),
    FaultKind("token_expired", Stage.BEFORE, "Security fault Token Expired; nothing happens."),
    FaultKind("login_failed", Stage.BEFORE, "Security fault Login Failed; nothing happens."),
    FaultKind(
        "throttle", Stage.BEFORE, "SOAP fault 17 for every call after so many in one minute of the clock.",
        (("calls_per_minute", 60.0),),
    ),
    FaultKind("error_43010", Stage.BEFORE, "Result Error 43010 for each object; nothing happens."),
    FaultKind("error_timeout", Stage.BEFORE, "Retrieve answers Error: Timeout expired; all else Error 2."),
    FaultKind("error_43060", Stage.BEFORE, "Result Error 43060 for each object; nothing happens."),
    FaultKind("missing_task", Stage.ANSWER, "Applied and answered OK, but without Task."),
    FaultKind("late_row", Stage.RUN, "The row of the run is invisible for that long.", (("seconds", 5.0),)),
    FaultKind("slow_run", Stage.RUN, "The run shows as Processing for that long.", (("seconds", 5.0),)),
    FaultKind("status_unknown", Stage.RUN, "The run ends with the status Unknown."),
    FaultKind("status_strange", Stage.RUN, "The run ends with an undocumented status.", (("status", "Paused"),)),
    FaultKind("empty_run", Stage.RUN, "The run ends Completed with TotalRows 0; nothing is imported."),
    FaultKind("error_run", Stage.RUN, "The run ends with the status Error; nothing is imported."),
    FaultKind("drop_after_applying", Stage.AFTER, "Applied, then the connection is reset without an answer."),
    FaultKind("http_500_after_applying", Stage.AFTER, "Applied, then HTTP 500 without a SOAP fault."),
    FaultKind("fault_2_after_applying", Stage.AFTER, "Applied, then SOAP fault 2."),
    FaultKind("delay_after_applying", Stage.AFTER, "Applied, then waits before it answers.", (("seconds", 1.0),)),
    FaultKind("garbage", Stage.AFTER, "Applied, then HTTP 200 with bytes that are no XML."),
    FaultKind("truncated", Stage.AFTER, "Applied, then half of the answer and a closed connection."),
    FaultKind("wrong_content_type", Stage.AFTER, "Applied, then HTTP 200 with an HTML page."),
    FaultKind(
        "slow_drip", Stage.AFTER, "Applied, then the answer byte by byte, spread over that long.",
        (("seconds", 5.0),),
    ),
)  # fmt: skip
CATALOGUE = {kind.name: kind for kind in _KINDS}
"""All faults by name."""


_OPERATIONS = {*OPERATIONS, TOKEN, WSDL, "*"}
_STAGES = list(Stage)
_OWN = {"operation", "customer_key", "object_type", "fault", "count", "probability", "seed"}


class RuleError(ValueError):
    """A rule that is not valid; the text says why and what is."""


@dataclass
class Rule:
    """Which calls get which fault. `count`: how many calls are left (None: no limit); `fired`: how many had it."""

    number: int
    kind: FaultKind
    operation: str
    customer_key: str
    object_type: str
    count: int | None
    probability: float | None
    seed: int
    parameters: Mapping[str, Any]
    fired: int = 0
    calls: list[float] = field(default_factory=list)
    dice: random.Random = field(default_factory=random.Random, repr=False)

    def matches(self, operation: str, object_type: str, keys: Sequence[str]) -> bool:
        """Whether this call gets the fault. A call that fits uses up one of `count`, or one random number."""
        if not self._fits(operation, object_type, keys) or self.count == 0:
            return False
        if self.probability is not None and self.dice.random() >= self.probability:
            return False
        self.count = None if self.count is None else self.count - 1
        self.fired += 1
        return True

    def shown(self) -> dict[str, Any]:
        """The rule as the control API shows it."""
        return {
            "id": self.number, "fault": self.kind.name, "operation": self.operation,
            "customer_key": self.customer_key, "object_type": self.object_type, "count": self.count,
            "probability": self.probability, "seed": self.seed, "fired": self.fired, **self.parameters,
        }  # fmt: skip

    def _fits(self, operation: str, object_type: str, keys: Sequence[str]) -> bool:
        if self.operation not in {"*", operation} or not self.kind.fits(operation):
            return False
        if not fnmatchcase(object_type, self.object_type):
            return False
        return self.customer_key == "*" or any(fnmatchcase(key, self.customer_key) for key in keys)


@dataclass(frozen=True)
class InjectedFault:
    """A fault of this call, with the parameters of its rule."""

    kind: FaultKind
    parameters: Mapping[str, Any]
    rule: Rule
    operation: str


class Faults:
    """All active rules, in the order they were made. Not safe to use from several threads."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._made = 0

    def __bool__(self) -> bool:
        return bool(self._rules)

    def add(self, fields: Mapping[str, Any]) -> Rule:
        """Make a rule from the JSON of the control API. Raises RuleError."""
        kind = CATALOGUE.get(str(fields.get("fault")))
        if kind is None:
            raise RuleError(f"fault is {fields.get('fault')!r}: it must be one of {', '.join(CATALOGUE)}")
        operation = str(fields.get("operation", "*"))
        if operation not in _OPERATIONS:
            raise RuleError(f"operation is {operation!r}: it must be one of {', '.join(sorted(_OPERATIONS))}")
        if operation != "*" and not kind.fits(operation):
            raise RuleError(f"{kind.name} does not apply to {operation}")
        self._made += 1
        seed = _number(fields, "seed", 0)
        rule = Rule(
            self._made, kind, operation, str(fields.get("customer_key", "*")), str(fields.get("object_type", "*")),
            _count(fields), _probability(fields), int(seed or 0), _parameters(kind, fields),
            dice=random.Random(int(seed or 0)),  # noqa: S311  repeatable on purpose
        )  # fmt: skip
        self._rules.append(rule)
        return rule

    def injected_into(self, operation: str, object_type: str, keys: Sequence[str]) -> list[InjectedFault]:
        """The faults of a call, by stage and then in the order of their rules.

        A rule behind one that ends the call is not asked. It keeps its count for the next call.
        """
        found: list[InjectedFault] = []
        for rule in sorted(self._rules, key=lambda rule: _STAGES.index(rule.kind.stage)):
            if rule.matches(operation, object_type, keys):
                found.append(InjectedFault(rule.kind, rule.parameters, rule, operation))
                if rule.kind.ends_the_call:
                    break
        return found

    def shown(self) -> list[dict[str, Any]]:
        """All rules as the control API shows them."""
        return [rule.shown() for rule in self._rules]

    def remove(self, number: int) -> bool:
        """End one rule; False when there is none with this number."""
        kept = [rule for rule in self._rules if rule.number != number]
        found = len(kept) < len(self._rules)
        self._rules = kept
        return found

    def clear(self) -> None:
        """End all rules."""
        self._rules.clear()


def _count(fields: Mapping[str, Any]) -> int | None:
    count = _number(fields, "count", None)
    if count is None:
        return None
    if count < 0 or count != int(count):
        raise RuleError(f"count is {count!r}: it must be a whole number, 0 or more")
    return int(count)


def _probability(fields: Mapping[str, Any]) -> float | None:
    chance = _number(fields, "probability", None)
    if chance is not None and not 0 <= chance <= 1:
        raise RuleError(f"probability is {chance!r}: it must be between 0 and 1")
    return chance


def _parameters(kind: FaultKind, fields: Mapping[str, Any]) -> dict[str, Any]:
    known = dict(kind.parameters)
    unknown = set(fields) - _OWN - set(known)
    if unknown:
        raise RuleError(f"{kind.name} has no {', '.join(sorted(unknown))}")
    values = {}
    for name, default in known.items():
        values[name] = str(fields.get(name, default)) if isinstance(default, str) else _number(fields, name, default)
    return values


def _number(fields: Mapping[str, Any], name: str, default: float | None) -> float | None:
    value = fields.get(name, default)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value != value):  # noqa: PLR0124
        raise RuleError(f"{name} is {value!r}: it must be a number")
    return value


__all__ = ["CATALOGUE", "FaultKind", "Faults", "InjectedFault", "Rule", "RuleError", "Stage"]
