"""Rules say which fault strikes which call, how often or how likely; deterministic under a seed."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from ops.sandbox.faults.catalogue import CATALOGUE, TOKEN, WSDL, FaultKind, Stage
from ops.sandbox.wire.vocabulary import OPERATIONS

_OPERATIONS = {*OPERATIONS, TOKEN, WSDL, "*"}
_STAGES = list(Stage)
_OWN = {"operation", "customer_key", "object_type", "fault", "count", "probability", "seed"}


class RuleError(ValueError):
    """A rule that makes no sense; the text says why and what would."""


@dataclass
class Rule:
    """One wish for a fault. `count` is how often it still strikes, None for ever; `fired` how often it did."""

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

    def strikes(self, operation: str, object_type: str, keys: Sequence[str]) -> bool:
        """Whether this call is struck; uses up one count or one throw of the dice if it could be."""
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
class Struck:
    """A fault that strikes this call, with the parameters of its rule."""

    kind: FaultKind
    parameters: Mapping[str, Any]
    rule: Rule
    operation: str


class Faults:
    """All active rules, in the order they were made. Used from one thread only."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._made = 0

    def __bool__(self) -> bool:
        return bool(self._rules)

    def add(self, wish: Mapping[str, Any]) -> Rule:
        """Make a rule from the JSON of the control API. Raises RuleError."""
        kind = CATALOGUE.get(str(wish.get("fault")))
        if kind is None:
            raise RuleError(f"fault is {wish.get('fault')!r}: it must be one of {', '.join(CATALOGUE)}")
        operation = str(wish.get("operation", "*"))
        if operation not in _OPERATIONS:
            raise RuleError(f"operation is {operation!r}: it must be one of {', '.join(sorted(_OPERATIONS))}")
        if operation != "*" and not kind.fits(operation):
            raise RuleError(f"{kind.name} does not strike {operation}")
        self._made += 1
        seed = _number(wish, "seed", 0)
        rule = Rule(
            self._made, kind, operation, str(wish.get("customer_key", "*")), str(wish.get("object_type", "*")),
            _count(wish), _probability(wish), int(seed or 0), _parameters(kind, wish),
            dice=random.Random(int(seed or 0)),  # noqa: S311  repeatable on purpose
        )  # fmt: skip
        self._rules.append(rule)
        return rule

    def strike(self, operation: str, object_type: str, keys: Sequence[str]) -> list[Struck]:
        """The faults that strike a call, by stage and then in the order of their rules.

        A rule behind one that ends the call is not asked, so that it keeps its count for the next call.
        """
        struck: list[Struck] = []
        for rule in sorted(self._rules, key=lambda rule: _STAGES.index(rule.kind.stage)):
            if rule.strikes(operation, object_type, keys):
                struck.append(Struck(rule.kind, rule.parameters, rule, operation))
                if rule.kind.ends_the_call:
                    break
        return struck

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


def _count(wish: Mapping[str, Any]) -> int | None:
    count = _number(wish, "count", None)
    if count is None:
        return None
    if count < 0 or count != int(count):
        raise RuleError(f"count is {count!r}: it must be a whole number, 0 or more")
    return int(count)


def _probability(wish: Mapping[str, Any]) -> float | None:
    chance = _number(wish, "probability", None)
    if chance is not None and not 0 <= chance <= 1:
        raise RuleError(f"probability is {chance!r}: it must be between 0 and 1")
    return chance


def _parameters(kind: FaultKind, wish: Mapping[str, Any]) -> dict[str, Any]:
    known = dict(kind.parameters)
    strange = set(wish) - _OWN - set(known)
    if strange:
        raise RuleError(f"{kind.name} has no {', '.join(sorted(strange))}")
    values = {}
    for name, default in known.items():
        values[name] = str(wish.get(name, default)) if isinstance(default, str) else _number(wish, name, default)
    return values


def _number(wish: Mapping[str, Any], name: str, default: float | None) -> float | None:
    value = wish.get(name, default)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value != value):  # noqa: PLR0124
        raise RuleError(f"{name} is {value!r}: it must be a number")
    return value
