"""What a source says of itself, for `status`: when it looked last, what is wrong since when, and what waits."""

import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from sfmc_import.display import one_line
from sfmc_producers.reporting import MAX_FILES, MIN_FILES, age, describe_files, shortened
from sfmc_producers.stability import WaitingFile
from sfmc_producers.undecided import UNANSWERED_SECONDS, is_said
from sfmc_producers.undecided import unanswered as waits_for_an_answer

MAIN, SCAN, LET_GO, DELIVERY, INBOX = "main", "scan", "let_go", "delivery", "inbox"
"""The parts of a source: itself, the scans beside it, the removal of accepted files, the delivery to its targets, and
what is posted and kept for its producer; several receivers of a queue are a part each."""

State = Literal["refused", "unreachable", "not_read", "not_taken", "held", "undelivered", "full", "unmoved"]
WORST_FIRST: tuple[State, ...] = get_args(State)
"""What is said of a source of which several parts are in trouble."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a part of a source does nothing now: it does not answer, or it refuses us until a person acts.

    `again_at` is when it is asked again, where that is known.
    """

    since: float
    text: str
    state: State = "unreachable"
    again_at: float | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    trouble: Trouble | None = None
    files: tuple[WaitingFile, ...] = ()
    more: int = 0


@dataclass
class Standing:
    """The standing of one source, whose parts say it from their threads; `place` says where it brings files from.

    `kind` is what its process does for it: `source`, or `push` where it takes what is posted. `note` is said of a
    source that is well.
    """

    place: str = ""
    clock: Callable[[], float] = time.monotonic
    looked_at: float | None = None
    kind: Literal["source", "push"] = "source"
    note: str = ""
    _parts: dict[Hashable, _Part] = field(default_factory=dict)
    _asked: dict[int, tuple[str, float]] = field(default_factory=dict)

    @contextmanager
    def asking(self, name: str) -> Iterator[None]:
        """Say that the definitions are asked for, for this file, as long as it lasts."""
        thread = threading.get_ident()
        self._asked[thread] = (name, self.clock())
        try:
            yield
        finally:
            del self._asked[thread]

    def _unanswered(self) -> list[WaitingFile]:
        """Give the files for which the definitions are asked for without an answer."""
        now = self.clock()
        asked = [each for each in tuple(self._asked.values()) if now - each[1] >= UNANSWERED_SECONDS]
        return [waits_for_an_answer(*each) for each in asked]

    def ready(self) -> None:
        """Say that it waits for what others bring."""
        self._parts.setdefault(MAIN, _Part())

    def begin(self) -> None:
        """Say that the source begins anew: what its parts said of before does not count."""
        if self._parts:
            self._parts = {MAIN: _Part()}

    def looked(self, part: Hashable = MAIN, *, files: Sequence[WaitingFile] = (), more: int = 0) -> None:
        """Say that a part was answered, and what waits: files, or only how many."""
        self.looked_at = self.clock()
        self._parts[part] = _Part(files=tuple(files), more=more)
        if not any(each.files or each.more for each in tuple(self._parts.values())):
            # What a target did not take waits no more.
            self.well(DELIVERY)

    def well(self, part: Hashable) -> None:
        """Say that nothing is wrong with a part any more."""
        self._parts.pop(part, None)

    def failed(
        self,
        text: str,
        part: Hashable = MAIN,
        *,
        again_in: float | None = None,
        state: State = "unreachable",
        for_seconds: float = 0.0,
    ) -> None:
        """Say that it was not answered, for so long, and when it is asked again; the first time in a row counts."""
        before = self._parts.get(part, _Part())
        now = self.clock()
        is_new = before.trouble is None or before.trouble.state != state
        since = now - for_seconds if before.trouble is None or is_new else before.trouble.since
        trouble = Trouble(since, text, state, None if again_in is None else round(now + again_in, 1))
        self._parts[part] = _Part(trouble, before.files, before.more)

    def holds(self, text: str, part: Hashable, *, count: int, again_in: float | None) -> None:
        """Say that a part was answered, and holds so many events that are not recorded now, and why."""
        self.looked_at = self.clock()
        self.failed(text, part, again_in=again_in, state="held")
        self._parts[part] = replace(self._parts[part], more=count)

    def refused(self, text: str, part: Hashable = MAIN) -> None:
        """Say that a person must act, and that it is not tried again."""
        self._parts[part] = _Part(Trouble(self.clock(), text, "refused"))

    @property
    def state(self) -> object:
        """What is noted at once when it has changed."""
        return tuple(self._parts.items()), self.looked_at is None, self.note, self._unanswered()

    def describe(self, name: str, now: float, most: int) -> dict[str, object] | None:
        """Describe it as a folder is described; None where it has said nothing."""
        parts, unanswered = [*self._parts.values()], self._unanswered()
        if not (parts or unanswered):
            return None
        shown = one_line(f"{name} ({self.place})" if self.place else name)
        about: dict[str, object] = {"folder": f"source {shown}", "location": f"{self.kind}:{name}", "state": "watched"}
        about |= {"text": shortened(one_line(self.note))} if self.note else {}
        troubles = [each.trouble for each in parts if each.trouble is not None]
        if troubles:
            first = min(troubles, key=lambda trouble: (WORST_FIRST.index(trouble.state), trouble.since))
            about |= {"state": first.state, "age": age(first.since, now), "text": shortened(one_line(first.text))}
            about |= {} if first.again_at is None else {"again": age(now, first.again_at)}
        if self.looked_at is not None:
            about["looked"] = age(self.looked_at, now)
        known = {file.name: file for part in parts for file in part.files}
        asked = {each.name: each for each in unanswered if not is_said(known.get(each.name))}
        waiting = [file for part in parts for file in part.files if file.name not in asked]
        files, more = describe_files([*waiting, *asked.values()], now, most)
        return about | {"files": files, "more": more + sum(part.more for part in parts)}


def describe_all(standings: Mapping[str, Standing], now: float) -> list[dict[str, object]]:
    """Describe the sources that have said something."""
    most = max(MIN_FILES, MAX_FILES // max(1, len(standings)))
    found = (each.describe(name, now, most) for name, each in standings.items())
    return [each for each in found if each is not None]
