"""Writes one line for each wrong setting: its name, what is wrong, what to give; never the value of a secret."""

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError

from sfmc_import.redaction import hidden

MAX_SHOWN = 200
"""Characters of a wrong value that a line repeats."""

_MARK = "Value error, "


def unknown_name(name: str, known: Collection[str], see: str, prefix: str = "") -> str:
    """Say that there is no setting `name`, and which of `known` was probably meant; else what to `see`.

    `prefix` begins all names, so it says nothing about what was meant.
    """
    by_rest = {each.removeprefix(prefix): each for each in sorted(known)}
    near = difflib.get_close_matches(name.removeprefix(prefix), by_rest, n=1, cutoff=0.7)
    advice = f"did you mean {by_rest[near[0]]}?" if near else f"remove it, or {see}"
    return f"{name}: there is no such setting; {advice}"


def field_problems(
    error: ValidationError, model: type[BaseModel], values: Mapping[str, Any], name_of: Callable[[str], str]
) -> dict[str, str]:
    """Give one line for each wrong field of `model`, by field; `name_of` turns a field into the user's name for it."""
    problems: dict[str, str] = {}
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        field, message = str(detail["loc"][0]) if detail["loc"] else "", detail["msg"]
        if not field:
            problems[field] = message.removeprefix(_MARK)
            continue
        name = name_of(field) if field in model.model_fields else field
        at = _follow(_Place(model, field, values.get(field), name), detail["loc"][1:])
        problems.setdefault(field if at.name == name else at.name, _line_of(at, message))
    return problems


@dataclass(frozen=True, slots=True)
class _Place:
    """A line of a table, whose lines `model` describes; without `field` a table of a list."""

    model: type[BaseModel]
    field: str | None
    value: object
    name: str

    @property
    def prefix(self) -> str:
        """What stands before the name of the line."""
        return self.name.removesuffix(self.field or "")


def _follow(at: _Place, rest: Sequence[int | str]) -> _Place:
    """Go on to the line that is wrong, through tables within tables."""
    inner = None if at.field is None else _table_of(at.model, at.field)
    if not rest or inner is None:
        return at
    step, *more = rest
    if isinstance(step, int) and isinstance(at.value, (list, tuple)) and step < len(at.value):
        table = _Place(inner, None, at.value[step], f"{at.name} {step + 1}")
        return _into(table, inner, more) if more else table
    return _into(at, inner, rest)


def _into(at: _Place, model: type[BaseModel], rest: Sequence[int | str]) -> _Place:
    if not isinstance(at.value, Mapping):
        return at
    field = str(rest[0])
    return _follow(_Place(model, field, at.value.get(field), f"{at.name} {field}"), rest[1:])


def _table_of(model: type[BaseModel], field: str) -> type[BaseModel] | None:
    """Give what describes the table, or the tables, that a field is; None for a field of another kind."""
    described = model.model_fields.get(field)
    found = [] if described is None else [*_models_in(described.annotation)]
    return found[0] if len(found) == 1 else None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _models_in(each)


def _line_of(at: _Place, message: str) -> str:
    if at.field is None:
        return f"{at.name}: {message.removeprefix(_MARK)}"
    if at.field in at.model.model_fields:
        return _line(at.model, at.field, at.value, at.name, message)
    return unknown_name(at.name, at.model.model_fields, f"use one of {', '.join(at.model.model_fields)}", at.prefix)


def _has_table(value: object) -> bool:
    """Tell whether a value is or has a table, whose lines may be secrets."""
    return isinstance(value, Mapping) or (isinstance(value, (list, tuple)) and any(map(_has_table, value)))


def _line(model: type[BaseModel], field: str, value: object, name: str, message: str) -> str:
    described = model.model_fields[field]
    wrong = message.removeprefix(_MARK)
    wrong = wrong[:1].lower() + wrong[1:]
    if value is None:
        return f"{name}: missing; expected: {described.description}"
    is_secret = described.repr is False or "SecretStr" in str(described.annotation) or isinstance(value, SecretStr)
    is_secret = is_secret or _has_table(value)
    shown = "" if is_secret else f"{hidden(repr(value))[:MAX_SHOWN]}: "
    return f"{name}: {shown}{wrong}; expected: {described.description}"
