"""What every kind of notification is: it sends one message within a deadline, and says what came of it."""

from dataclasses import dataclass
from typing import Protocol

from sfmc_import.notifications.messages import Message


@dataclass(frozen=True, slots=True)
class Sent:
    """The other side has taken the message; `text` is what it said.

    `refused` says who does not get it: the other side refuses it for them for good.
    """

    text: str
    refused: str = ""


@dataclass(frozen=True, slots=True)
class NotSent:
    """It has not, as far as known. `is_final`: the same message will be refused again.

    `retry_after` are the seconds that the other side asks to wait.
    """

    text: str
    is_final: bool = False
    retry_after: float | None = None


class Sender(Protocol):
    """Sends messages to one place."""

    def send(self, message: Message) -> Sent | NotSent:
        """Send one; never raises for what the other side does."""
        ...
