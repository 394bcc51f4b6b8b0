"""How a task refuses its message for good, so that the dead letter says why."""

from typing import Any

from celery.exceptions import Reject


class RefusedError(Reject):
    """Makes the message of a task a dead letter; `code` is a short word, `detail` a text for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}", requeue=False)
        # A caller that waits for the result makes the exception anew from these.
        self.args = self.code, self.detail = code, detail

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.code, self.detail)
