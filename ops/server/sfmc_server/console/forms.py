"""Reads what a form of the console sends: bounded in size, time and number of fields."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import Request

from sfmc_server.answers import RefusedError, problem
from sfmc_server.bodies import Budget, read_body
from sfmc_server.console.asking import MAX_FIELD

MAX_FORM = 32 * 1024
MAX_FIELDS = 40
FORM_SECONDS = 10.0
_BUDGET = Budget(16 * 1_048_576)


async def read_form(request: Request) -> Mapping[str, str]:
    """Give the fields of a form; raises RefusedError for what is none, is too large or comes too slowly."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise RefusedError(problem(415, "a form is expected"))
    with _BUDGET.share() as share:
        body = await read_body(request.stream(), request.headers.get("content-length"), MAX_FORM, FORM_SECONDS, share)
    return fields_of(body.decode("utf-8", "replace"))


def fields_of(text: str) -> Mapping[str, str]:
    """Give the fields of a query or a form, each once, the first of a name; raises RefusedError for too many."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise RefusedError(problem(422, f"a form has {MAX_FIELDS} fields at most")) from None
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value[:MAX_FIELD])
    return found
