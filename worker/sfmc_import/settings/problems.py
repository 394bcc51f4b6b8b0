"""Writes one line for each wrong setting: its name, what is wrong, what to give; never the value of a secret."""

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import Any

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
        field = str(detail["loc"][0]) if detail["loc"] else ""
        if not field:
            problems[field] = detail["msg"].removeprefix(_MARK)
        elif field in model.model_fields:
            problems.setdefault(field, _line(model, field, values.get(field), name_of(field), detail["msg"]))
        else:
            problems[field] = unknown_name(field, model.model_fields, f"use one of {', '.join(model.model_fields)}")
    return problems


def _line(model: type[BaseModel], field: str, value: object, name: str, message: str) -> str:
    described = model.model_fields[field]
    wrong = message.removeprefix(_MARK)
    wrong = wrong[:1].lower() + wrong[1:]
    if value is None:
        return f"{name}: missing; expected: {described.description}"
    is_secret = described.repr is False or "SecretStr" in str(described.annotation) or isinstance(value, SecretStr)
    shown = "" if is_secret else f"{hidden(repr(value))[:MAX_SHOWN]}: "
    return f"{name}: {shown}{wrong}; expected: {described.description}"
