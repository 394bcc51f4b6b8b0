"""What a consumer does next: wait at the queue that it consumes first, or look into all lists of all queues."""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Literal

from sfmc_transport.queues import Pop, is_seldom

FULL_SECONDS = 5.0
"""How long pops go without BLMOVE after the server refused one because its memory is full."""

LIVELY = 2
"""How many pauses between looks are shorter after a message: the first a quarter, then half."""

SHORTEST_WAIT = 0.01

Step = Literal["look", "wait", "pause"]


class Looks:
    """Plans the pops of a channel by what the last ones have found; `clock` gives seconds that only grow.

    BLMOVE waits at one list. Other queues, and messages with a priority, are looked for after a pause. What has brought
    a message may soon bring one to another queue, so the first pauses after it are short.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._all_empty = False
        self._lively = 0
        self._full_until = 0.0
        self._next_look = 0.0
        self._next_wide = 0.0

    def next_step(self, queues: int) -> Step:
        """Say what to do for so many queues; `pause` is a wait without a pop."""
        if self._clock() < self._full_until:
            # BLMOVE is refused by a server without memory: look by script, and wait in between.
            return "pause" if self._all_empty else "look"
        return "wait" if self._clock() < self._next_look and (queues == 1 or self._all_empty) else "look"

    def wait(self, longest: float) -> float:
        """Give the seconds until the next look, at most `longest`."""
        return min(longest, max(self._next_look - self._clock(), SHORTEST_WAIT))

    @property
    def is_wide(self) -> bool:
        """Whether the next look is into the lists of the second separator too."""
        return self._clock() >= self._next_wide

    def note_full(self) -> None:
        """Note that the server refused to wait."""
        self._full_until = self._clock() + FULL_SECONDS
        self._all_empty = False

    def note(self, pop: Pop, reply: Sequence[Any] | None, every: float) -> None:
        """Note what a pop has brought; `every` are the seconds from look to look while nothing comes."""
        if pop.is_look:
            self._note_look(pop, reply, every)
        elif reply is not None or pop.command == "BLPOP":
            self._all_empty = False
        if reply is not None:
            self._lively = LIVELY

    def _note_look(self, pop: Pop, reply: Sequence[Any] | None, every: float) -> None:
        self._all_empty = reply is None
        more = reply is not None and bool(reply[2])
        self._next_look = self._clock() + (0.0 if more else every / 2**self._lively)
        self._lively = max(0, self._lively - 1)
        if any(map(is_seldom, pop.sources)):
            # What it has found more may be in these lists, while a message comes to the first list for each look.
            found = reply is not None and (is_seldom(reply[0]) or more)
            self._next_wide = self._clock() + (0.0 if found else every)
