"""What is wrong with what was written in a form: beside which field it is said, and in which words."""

from collections.abc import Iterable, Mapping

from sfmc_import.display import clause
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.operations.errors import ConflictError, NotFoundError, OperationError

Wrong = Mapping[str, str]
"""What is wrong, by the field of the form; under an empty name, and last, what is about no field."""

_OF_START = {
    **{name: name for name in ("customer_key", "mid", "reason")},
    **{f"file.{name}": name for name in ("name", "location")},
}
"""The field of the form for the first word of what is wrong with a request."""


def of_error(error: OperationError | ServiceUnavailableError, field: str | None = None) -> Wrong:
    """Give what an operation refused, at the field that it names."""
    fix = error.advice.in_words()
    at = getattr(error, "field", "") if field is None else field
    return {at: f"{clause(error)}; {fix}" if fix else str(error)}


def of_start(problems: Iterable[str]) -> Wrong:
    """Give what is wrong with a request, each at its field."""
    found: dict[str, str] = {}
    for problem in problems:
        field = _OF_START.get(problem.partition(" ")[0].rstrip(","), "")
        found[field] = "; ".join(each for each in (found.get(field), problem) if each)
    return {name: found[name] for name in sorted(found, key=lambda name: name == "")}


def status_of(error: OperationError | ServiceUnavailableError) -> int:
    """Give the status of the page that shows the form again."""
    statuses = {NotFoundError: 404, ConflictError: 409, ServiceUnavailableError: 503}
    return next((status for kind, status in statuses.items() if isinstance(error, kind)), 422)
