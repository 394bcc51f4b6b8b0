"""What an operation refuses, by what the caller got wrong; each has a stable `kind` for programs."""

from sfmc_import.advice import Advice
from sfmc_import.errors import USAGE, SfmcImportError


class OperationError(SfmcImportError):
    """A question or an action that cannot be carried out; nothing was done.

    `field` names what the caller gave wrong, where it is one thing, as the fields of the API do.
    """

    kind = "refused"

    def __init__(self, text: str, fix: str | Advice | None = None, *, field: str = "") -> None:
        super().__init__(text, fix)
        self.field = field


class NotFoundError(OperationError):
    """There is no such request, definition, pause or dead letter."""

    kind = "not_found"


class ConflictError(OperationError):
    """What is asked for does not fit the state in which the request is; `state` names it."""

    kind = "conflict"

    def __init__(self, text: str, fix: str | Advice | None = None, state: str = "", *, field: str = "") -> None:
        super().__init__(text, fix, field=field)
        self.state = state


class PreconditionError(OperationError):
    """What is asked for has changed since the caller looked at it."""

    kind = "precondition_failed"


class InvalidError(OperationError):
    """The question or action is not valid, whatever the state."""

    kind = "invalid"
    exit_code = USAGE
