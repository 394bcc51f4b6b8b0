"""The queue: messages in any order, delivered at least once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from sfmc_import.request import StartRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One Celery message; a foreign one is the only record of its request until a worker has read it."""

    kind: Literal["start", "wake", "follow", "sweep"]
    request: StartRequest | None = None
    ids: tuple[str, ...] = ()
    is_foreign: bool = False
    deliver_at: int = 0

    @property
    def about(self) -> str:
        """The request that it is about, where it is about one."""
        return self.request.request_id if self.request else self.ids[0] if self.kind == "wake" else ""


class Queue:
    """Messages that no worker has taken yet."""

    def __init__(self) -> None:
        self._messages: list[Message] = []

    def put(self, message: Message) -> None:
        """Add a message."""
        self._messages.append(message)

    def next_time(self) -> int | None:
        """When the next message can be delivered."""
        return min((message.deliver_at for message in self._messages), default=None)

    def take(self, now: int, choose: Callable[[int], int]) -> Message | None:
        """Take one of the messages that can be delivered now; `choose` gives a number below the one it is given."""
        ready = [at for at, message in enumerate(self._messages) if message.deliver_at <= now]
        return self._messages.pop(ready[choose(len(ready))]) if ready else None

    def has(self, kind: str) -> bool:
        """Tell whether a message of this kind waits."""
        return any(message.kind == kind for message in self._messages)

    def lose_own(self) -> None:
        """Lose every message but those that are the only record of their request."""
        self._messages = [message for message in self._messages if message.is_foreign]

    def double(self, now: int) -> None:
        """Deliver every message twice."""
        self._messages += [replace(message, deliver_at=now) for message in self._messages]
