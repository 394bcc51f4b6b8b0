"""Filters of Retrieve: turns a decoded filter into a test of one row."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sfmc_sandbox.comparing import Fold, as_database

Row = Mapping[str, Any]
Test = Callable[[Row], bool]


_MOST_CONDITIONS = 500


@dataclass(frozen=True)
class Manner:
    """What the service leaves open: how texts compare, whether IN may have one value, and whether numbers compare."""

    fold: Fold = as_database
    single_in: bool = False
    comparisons: bool = True


class FilterError(Exception):
    """The filter cannot be applied; the text goes into OverallStatus."""


def value_at(row: Row, path: str) -> Any:
    """The value of a property such as `CustomerKey` or `DestinationObject.ID`; None when there is none."""
    value: Any = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def properties_of(part: Mapping[str, Any]) -> Iterator[str]:
    """Every property that a filter mentions."""
    if "Property" in part:
        yield str(part["Property"]).strip()
    for operand in _operands(part):
        yield from properties_of(operand)


def values_wanted(part: Mapping[str, Any], names: Collection[str]) -> set[str] | None:
    """The values of which each matching row has one in a property of `names`; None if any row may match."""
    if "Property" in part:
        looked_up = str(part["Property"]).strip() in names and part.get("SimpleOperator") in {"equals", "IN"}
        return {str(value) for value in part.get("Value", ()) if value is not None} if looked_up else None
    sides = [values_wanted(operand, names) for operand in _operands(part)]
    known = [side for side in sides if side is not None]
    if _is_and(part):
        return min(known, key=len, default=None)
    return set().union(*known) if len(known) == len(sides) else None


def compile_filter(part: Mapping[str, Any], manner: Manner) -> Test:
    """A test for one row.

    Raises FilterError for a filter that is incomplete or has too many conditions, and for an operator that is not
    supported.
    """
    if sum(1 for _ in properties_of(part)) > _MOST_CONDITIONS:
        raise FilterError(f"Error: The filter has more than {_MOST_CONDITIONS} conditions")
    return _compiled(part, manner)


def _compiled(part: Mapping[str, Any], manner: Manner) -> Test:
    if "Property" in part or "SimpleOperator" in part:
        return _simple(part, manner)
    tests = [_compiled(operand, manner) for operand in _operands(part)]
    if not tests:
        raise FilterError("Error: The filter has neither a property nor operands")
    every = _is_and(part)
    return lambda row: (all if every else any)(test(row) for test in tests)


def _is_and(part: Mapping[str, Any]) -> bool:
    return str(part.get("LogicalOperator", "AND")) == "AND"


def _operands(part: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    sides = [part.get("LeftOperand"), part.get("RightOperand"), *part.get("AdditionalOperands", ())]
    return [side for side in sides if isinstance(side, Mapping)]


def _simple(part: Mapping[str, Any], manner: Manner) -> Test:
    name, operator = str(part.get("Property", "")).strip(), str(part.get("SimpleOperator", ""))
    dates = [value for value in part.get("DateValue", ()) if value is not None]
    wanted = [str(value) for value in part.get("Value", ()) if value is not None] or dates
    if operator not in {*_OPERATORS, *_MEMBERSHIP} or (operator in _COMPARISONS and not manner.comparisons):
        raise FilterError(f'Error: "{operator}" is not a valid SimpleOperator for a retrieve Filter.')
    if operator == "IN" and len(wanted) == 1 and not manner.single_in:
        raise FilterError(f"Error: The operator IN on {name} needs two values or more; use equals for one")
    if not wanted and operator not in _WITHOUT_VALUE:
        raise FilterError(f"Error: The filter on {name} has no value")
    fold = manner.fold
    if operator in _MEMBERSHIP:
        members = _Members(wanted[:1] if operator == "notEquals" else wanted, fold)
        return lambda row: members.has(value_at(row, name)) is (operator != "notEquals")
    return lambda row: _OPERATORS[operator](value_at(row, name), wanted, fold)


def _sides(value: Any, wanted: str, fold: Fold) -> tuple[Any, Any]:
    """Both sides in a common type: numbers, truth values, dates, else text."""
    if isinstance(value, bool):
        return value, wanted.strip().lower() in {"true", "1"}
    if isinstance(value, int):
        try:
            return float(value), float(wanted)
        except ValueError:
            return str(value), fold(wanted)
    left, right = _moment(str(value)), _moment(wanted)
    if left is not None and right is not None:
        return left, right
    return fold(str(value)), fold(wanted)


class _Members:
    """The values of equals and IN, in the types that `_sides` compares, so that many cost no more than one."""

    def __init__(self, wanted: list[str], fold: Fold) -> None:
        self._fold = fold
        self._texts = {fold(text) for text in wanted}
        self._truths = {text.strip().lower() in {"true", "1"} for text in wanted}
        self._numbers = {number for text in wanted if (number := _as_number(text)) is not None}
        self._moments = {moment for text in wanted if (moment := _moment(text)) is not None}

    def has(self, value: Any) -> bool:
        """Whether one of them equals the value of a row."""
        if value is None:
            return False
        if isinstance(value, bool):
            return value in self._truths
        if isinstance(value, int):
            return float(value) in self._numbers
        return self._fold(str(value)) in self._texts or _moment(str(value)) in self._moments


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    if not re.match(r"\d{4}-\d\d-\d\dT", text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_Compare = Callable[[Any, list[str], Fold], bool]


def _ordered(compare: Callable[[Any, Any], bool]) -> _Compare:
    return lambda value, wanted, fold: value is not None and compare(*_sides(value, wanted[0], fold))


def _texts(compare: Callable[[str, str], bool]) -> _Compare:
    return lambda value, wanted, _: compare("" if value is None else str(value).casefold(), wanted[0].casefold())


def _between(value: Any, wanted: list[str], fold: Fold) -> bool:
    if value is None or len(wanted) < 2:
        return False
    (low_side, low), (high_side, high) = _sides(value, wanted[0], fold), _sides(value, wanted[1], fold)
    return bool(low <= low_side and high_side <= high)


def _like(value: str, pattern: str) -> bool:
    """Whether a value has the pieces of a pattern between its `%` one after another; `_` is any one character.

    Each piece is taken where it comes first, since a single expression could take years for some patterns.
    """
    first, *others = pattern.split("%")
    if not others:
        return len(first) == len(value) and _has_at(value, first, 0)
    last = others.pop()
    end = len(value) - len(last)
    if end < len(first) or not _has_at(value, first, 0) or not _has_at(value, last, end):
        return False
    place = len(first)
    for piece in others:
        found = next((at for at in range(place, end - len(piece) + 1) if _has_at(value, piece, at)), None)
        if found is None:
            return False
        place = found + len(piece)
    return True


def _has_at(value: str, piece: str, place: int) -> bool:
    if "_" not in piece:
        return value.startswith(piece, place)
    found = value[place : place + len(piece)]
    return len(found) == len(piece) and all(char in {"_", met} for char, met in zip(piece, found, strict=True))


def _has_word(value: str, word: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", value) is not None


_MEMBERSHIP = {"equals", "IN", "notEquals"}
_COMPARISONS = {"greaterThan", "lessThan", "greaterThanOrEqual", "lessThanOrEqual", "between"}
_WITHOUT_VALUE = {"isNull", "isNotNull"}
_OPERATORS: dict[str, _Compare] = {
    "greaterThan": _ordered(lambda left, right: left > right),
    "lessThan": _ordered(lambda left, right: left < right),
    "greaterThanOrEqual": _ordered(lambda left, right: left >= right),
    "lessThanOrEqual": _ordered(lambda left, right: left <= right),
    "between": _between,
    "isNull": lambda value, *_: value is None,
    "isNotNull": lambda value, *_: value is not None,
    "like": _texts(_like),
    "existsInString": _texts(lambda value, part: part in value),
    "existsInStringAsAWord": _texts(_has_word),
    "notExistsInString": _texts(lambda value, part: part not in value),
    "beginsWith": _texts(lambda value, part: value.startswith(part)),
    "endsWith": _texts(lambda value, part: value.endswith(part)),
}
