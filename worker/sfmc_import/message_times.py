"""Celery's request for `imports.start`: the message runs at once, and its times go to the ledger."""

from typing import Any

from sfmc_transport.consumer import Request

ASKED_TIMES = "sfmc_asked_times"
"""The name under which a task finds the times that its sender asked for."""


class MessageRequest(Request):
    """Takes a message when it is first seen: the ledger keeps its ETA and its expiry, not the memory of a worker.

    Celery would hold a message with an ETA in this process, drop one that expired or was revoked, and end a start that
    takes longer than its sender allows.
    """

    def __init__(self, message: Any, *, headers: Any = None, **options: Any) -> None:
        given: dict[str, Any] = dict(message.headers if headers is None else headers)
        times = {name: given.pop(name, None) for name in ("eta", "expires")}
        given |= {ASKED_TIMES: times, "timelimit": None}
        super().__init__(message, headers=given, **options)

    def revoked(self) -> bool:
        """No: whether a request starts is for the ledger to say, and Celery would drop the message without an event."""
        return False
