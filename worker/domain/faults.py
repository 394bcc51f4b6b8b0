"""What can go wrong with a call, drawn by what the caller does next; values, never exceptions."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotApplied:
    """Nothing was done and trying again can help: `code` is a short stable word or vendor number.

    `account_wide` marks failures that hit every request of the account (login, maintenance, throttling);
    `retry_after` is in seconds, where the service named a time.
    """

    code: str
    text: str
    account_wide: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The call may have been carried out: look before anything is sent again."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """Marketing Cloud refused for good; the same call will be refused again."""

    code: str
    text: str


Fault = NotApplied | Ambiguous | Rejected
