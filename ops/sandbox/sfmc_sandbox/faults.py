"""The rules that decide which calls get an injected fault."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from sfmc_sandbox.fault_catalogue import CATALOGUE, TOKEN, WSDL, FaultKind, Stage
from sfmc_sandbox.wire.vocabulary import OPERATIONS

_OPERATIONS = {*OPERATIONS, TOKEN, WSDL, "*"}
_STAGES = list(Stage)
_OWN = {"operation", "customer_key", "object_type", "mid", "fault", "count", "probability", "seed"}
_RANGES = {
    "seconds": (0, 10_000_000),
    "bytes_per_second": (0.01, 1_000_000),
    "megabytes": (0, 100_000),
    "calls_per_minute": (0, 1_000_000),
    "status": (400, 599),
    "code": (0, 2**31 - 1),
    "seed": (0, 2**63),
    "count": (0, 2**63),
}
_LONGEST_TEXT = 10_000
_MOST_RULES = 1000


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
    mid: str
    count: int | None
    probability: float | None
    seed: int
    parameters: Mapping[str, Any]
    fired: int = 0
    calls: list[float] = field(default_factory=list)
    dice: random.Random = field(default_factory=random.Random, repr=False)

    def matches(self, operation: str, object_type: str, keys: Sequence[str], mid: str) -> bool:
        """Whether this call gets the fault. A call that fits uses up one of `count`, or one random number."""
        if not self._fits(operation, object_type, keys) or not fnmatchcase(mid, self.mid) or self.count == 0:
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
            "customer_key": self.customer_key, "object_type": self.object_type, "mid": self.mid,
            "count": self.count, "probability": self.probability, "seed": self.seed, "fired": self.fired,
            **self.parameters,
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
        if len(self._rules) >= _MOST_RULES:
            raise RuleError(f"there are {_MOST_RULES} rules already: end some first")
        self._made += 1
        seed = _number(fields, "seed", 0)
        rule = Rule(
            self._made, kind, operation, _pattern(fields, "customer_key"), _pattern(fields, "object_type"),
            _pattern(fields, "mid"),
            _count(fields), _probability(fields), int(seed or 0), _parameters(kind, fields),
            dice=random.Random(int(seed or 0)),  # noqa: S311  repeatable on purpose
        )  # fmt: skip
        self._rules.append(rule)
        return rule

    def injected_into(self, operation: str, object_type: str, keys: Sequence[str], mid: str) -> list[InjectedFault]:
        """The faults of a call in the business unit `mid` (empty: unknown), by stage, then in the order of their rules.

        A rule behind one that ends the call is not asked. It keeps its count for the next call.
        """
        found: list[InjectedFault] = []
        for rule in sorted(self._rules, key=lambda rule: _STAGES.index(rule.kind.stage)):
            if rule.matches(operation, object_type, keys, mid):
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


def _pattern(fields: Mapping[str, Any], name: str) -> str:
    return str(fields.get(name, "*"))


def _count(fields: Mapping[str, Any]) -> int | None:
    count = _number(fields, "count", None)
    if count is None:
        return None
    if count != int(count):
        raise RuleError(f"count is {count!r}: it must be a whole number")
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
    return {
        name: _text(fields, name, default) if isinstance(default, str) else _number(fields, name, default)
        for name, default in known.items()
    }


def _text(fields: Mapping[str, Any], name: str, default: str) -> str:
    """A text that can stand in one header or in XML."""
    given = fields.get(name)
    value = default if given is None else str(given)
    if len(value) > _LONGEST_TEXT or not value.isprintable() or (name == "retry_after" and not value.isascii()):
        raise RuleError(
            f"{name} is {value[:60]!r}: it must be one printable line of {_LONGEST_TEXT} characters at most"
        )
    return value


def _number(fields: Mapping[str, Any], name: str, default: float | None) -> float | None:
    value = fields.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RuleError(f"{name} is {value!r}: it must be a number")
    least, most = _RANGES.get(name, (value, value))
    if not least <= value <= most:
        raise RuleError(f"{name} is {value!r}: it must be between {least} and {most}")
    return value


__all__ = ["Faults", "InjectedFault", "Rule", "RuleError"]
