"""How wrong settings are told: all at once, one line each, without the value of a secret; nothing is read here."""

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

MAX_SHOWN = 80
"""Characters of a wrong value that a line repeats."""

_MARK = "Value error, "


class SettingsError(Exception):
    """Settings that cannot be used; `problems` has one line for each: name, what is wrong, what to do."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def unknown_name(name: str, known: Collection[str], where: str) -> str:
    """Tell that nobody reads `name`, and which known name was probably meant."""
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    advice = f"did you mean {near[0]}?" if near else f"remove it, or see the list of settings {where}"
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
            problems[field] = unknown_name(field, model.model_fields, "in this table")
    return problems


def _line(model: type[BaseModel], field: str, value: object, name: str, message: str) -> str:
    described = model.model_fields[field]
    wrong = message.removeprefix(_MARK)
    wrong = wrong[:1].lower() + wrong[1:]
    if value is None:
        return f"{name}: missing; expected: {described.description}"
    hidden = described.repr is False or "SecretStr" in str(described.annotation)
    shown = "" if hidden or isinstance(value, SecretStr) else f"{value!r:.{MAX_SHOWN}}: "
    return f"{name}: {shown}{wrong}; expected: {described.description}"
