"""What the producers of a chaos run send: requests as our own programs make them, and all that a stock client may."""

import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sfmc_harness.chaos.plan import DATED_FILE, EXACT_FILE, Midnight

FAR = 3600.0
"""Seconds ahead, for what must still wait in the ledger when the run is over."""

PRIORITIES = 10
Now = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a producer does: how many requests in how many seconds, for which definitions, by which way.

    `features` are those of FAULTS that a sender can bring about; `steps` the priorities that its Celery knows.
    """

    way: str
    seed: str
    count: int
    seconds: float
    file_specs: Mapping[str, str]
    journal: str
    broker: str
    prefix: str
    midnight: float
    days: tuple[str, str]
    features: Sequence[str]
    steps: Sequence[int] | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its id, the arguments, Celery's options, and whether no one can accept it."""

    request_id: str
    arguments: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    task: str = "imports.start"
    is_refused: bool = False

    @property
    def key(self) -> str:
        """The definition it asks for."""
        return str(self.arguments.get("customer_key", ""))


class Messages:
    """Draws messages: mostly new files, some known ones, some sent again, some without a file, some forced."""

    def __init__(self, order: Order, chance: random.Random, now: Now) -> None:
        self._order, self._chance, self._now = order, chance, now
        self._midnight = Midnight(order.midnight, (order.days[0], order.days[1]))
        self._keys = list(order.file_specs)
        self._earlier: list[Message] = []

    def __iter__(self) -> Iterator[Message]:
        for number in range(self._order.count):
            yield self._next(number)

    def _next(self, number: int) -> Message:
        if self._earlier and self._chance.random() < 0.08:
            return self._chance.choice(self._earlier)
        if self._brings("refusals") and self._chance.random() < 0.06:
            return self._refused()
        message = Message(self._id(), self._arguments(number), self._options())
        self._earlier.append(message)
        return message

    def _id(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))

    def _brings(self, feature: str) -> bool:
        return self._order.way == "celery" and feature in self._order.features

    def _arguments(self, number: int) -> dict[str, Any]:
        arguments: dict[str, Any] = {"customer_key": self._chance.choice(self._keys), "source": self._order.way}
        if self._brings("arguments") and self._chance.random() < 0.15:
            arguments |= {"tenant": "seven", "colour": ["red"], "task_id": number}
        draw = self._chance.random()
        if self._earlier and draw < 0.08:
            return {**self._chance.choice(self._earlier).arguments, "source": self._order.way}
        if draw < 0.13:
            return arguments
        arguments["file"] = self._file(arguments["customer_key"], number)
        if draw < 0.16:
            arguments |= {"force": True, "reason": "asked for by a person"}
        elif draw < 0.3:
            arguments["event_id"] = f"event-{self._chance.getrandbits(64):x}"
        return arguments

    def _file(self, key: str, number: int) -> dict[str, Any]:
        stamp = int(self._chance.random() * 1e18)
        return {"location": self._order.way, "name": self._name(key), "size": number, "modified_ns": stamp}

    def _name(self, key: str) -> str:
        """The name that FileSpec selects, and sometimes another one."""
        spec = self._order.file_specs[key]
        if spec == DATED_FILE:
            hours = self._chance.choices((0, -24, 24), (14, 1, 1))[0]
            day = self._midnight.days[min(max((self._now() >= self._midnight.at) + hours // 24, 0), 1)]
            return spec.replace("%%YEAR%%%%MONTH%%%%DAY%%", day)
        if spec == EXACT_FILE and self._chance.random() < 0.9:
            return spec
        return f"file-{self._chance.randrange(3)}.csv"

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self._brings("priorities"):
            options["priority"] = self._chance.randrange(PRIORITIES)
        if self._brings("times"):
            options |= self._times(self._chance.random())
        return options

    def _times(self, draw: float) -> dict[str, Any]:
        """As absolute times, which a message that is sent again repeats: a countdown is an eta on the wire too."""
        if draw < 0.1:
            return {"eta": self._in(self._chance.uniform(1, 15))}
        if draw < 0.15:
            return {"eta": self._in(self._chance.uniform(1, 5)), "expires": self._in(60)}
        if draw < 0.2:
            return {"eta": self._in(20), "expires": self._in(self._chance.uniform(1, 10))}
        if draw < 0.23:
            return {"expires": self._in(self._chance.uniform(-5, 3))}
        if draw < 0.25:
            return {"eta": self._in(FAR)}
        return {}

    def _in(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC) + timedelta(seconds=seconds)

    def _refused(self) -> Message:
        """A message that no one can accept; each must end in one event."""
        key = self._chance.choice(self._keys)
        known = self._chance.choice(self._earlier) if self._earlier else None
        others = [other for other in self._keys if known is not None and other != known.key]
        choices: list[Message] = [
            Message(self._id(), {}, is_refused=True),
            Message(self._id(), {"customer_key": key, "force": True}, is_refused=True),
            Message(self._id(), {"customer_key": key, "mid": "north"}, is_refused=True),
            Message(self._id(), {"customer_key": key}, task="imports.stop", is_refused=True),
        ]
        if known is not None and others:
            other = {"customer_key": self._chance.choice(others)}
            choices += [Message(known.request_id, other, is_refused=True)] * 2
        return self._chance.choice(choices)
