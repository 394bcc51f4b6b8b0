"""Tells the ledger what a process that watches knows of its folders or sources, for `sfmc-import status`."""

import os
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import uuid4

import structlog

from sfmc_import.circuits import failed_code
from sfmc_import.definitions import CachedDefinitions, OldList
from sfmc_producers.notifications import Wakeup
from sfmc_producers.stability import WaitingFile

log = structlog.get_logger("sfmc_producers.watch")

MAX_FILES = 200
"""Waiting files that one process names, the oldest and the newest; of the others it gives the number."""

MIN_FILES = 5
MAX_TEXT = 300

LOOK_SECONDS = 1.0
REPEAT_SECONDS = 15.0
"""How often it is noted although nothing has changed: before it forgets (LedgerSettings.watch_ttl)."""


class Takes(Protocol):
    """What takes the report; False when it does not take it now."""

    def note_folders(self, watcher: str, folders: Sequence[dict[str, object]] | None) -> bool:
        """Note it; None when the process ends."""
        ...

    def read_old_lists(self) -> None:
        """Ask for the lists of definitions that are old, by a slow clock."""
        ...


class ListReader(threading.Thread):
    """Lets lists of definitions that are old be read anew although no file asks for them; else nothing ends that.

    A thread of its own: Marketing Cloud may not answer for minutes.
    """

    def __init__(self, read: Callable[[], None]) -> None:
        super().__init__(name="sfmc-list-reader", daemon=True)
        self._read, self._wakeup = read, Wakeup()

    def run(self) -> None:
        """Look every second whether that is due."""
        while not self._wakeup.is_closing:
            self.look()
            self._wakeup.wait(LOOK_SECONDS)

    def stop(self) -> None:
        """Let it end after its question."""
        self._wakeup.stop()

    def look(self) -> None:
        """Look once; whatever goes wrong is logged."""
        try:
            self._read()
        except Exception:
            # As for `tell`: files are taken on all the same.
            log.exception("definitions_not_refreshed", action="tried_again")


class Reporter(threading.Thread):
    """Tells it every second, if `state` has changed, and again before it is forgotten; `describe` says it at a time."""

    def __init__(
        self,
        takes: Takes,
        state: Callable[[], object],
        describe: Callable[[float], list[dict[str, object]]],
        clock: Callable[[], float],
    ) -> None:
        super().__init__(name="sfmc-reporter", daemon=True)
        self._takes, self._state, self._describe, self._clock = takes, state, describe, clock
        self._watcher = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}"
        self._wakeup, self._reader = Wakeup(), ListReader(takes.read_old_lists)
        self._noted: object = None
        self._noted_at = 0.0
        self._failures = 0

    def run(self) -> None:
        """Tell what is new every second, and everything again before it is forgotten."""
        self._reader.start()
        while not self._wakeup.is_closing:
            self.tell()
            self._wakeup.wait(LOOK_SECONDS)
        self._takes.note_folders(self._watcher, None)

    def stop(self) -> None:
        """Let it end; what it noted is removed."""
        self._reader.stop()
        self._wakeup.stop()

    def tell(self) -> None:
        """Tell it once, if that is due; whatever goes wrong is logged."""
        try:
            self._tell_what_is_new()
        except Exception:
            # Only what `status` shows depends on it: whatever a defect here raises, the files are taken on. Others
            # change what is read here at any time, so what may come cannot be listed.
            self._failures += 1
            if not self._failures & (self._failures - 1):
                log.exception("watcher_report_failed", failures=self._failures, action="tried_again")
        else:
            self._failures = 0

    def _tell_what_is_new(self) -> None:
        now = self._clock()
        found = self._state()
        if found == self._noted and now - self._noted_at < REPEAT_SECONDS:
            return
        if self._takes.note_folders(self._watcher, self._describe(now)):
            self._noted, self._noted_at = found, now


def describe_files(waiting: Sequence[WaitingFile], now: float, most: int) -> tuple[list[dict[str, object]], int]:
    """Give what is said of files that wait, and how many more there are.

    Of too many the oldest and the newest: the one says since when, of the other somebody asks where it is.
    """
    ordered = sorted(waiting, key=lambda file: file.since)
    more = max(0, len(ordered) - most)
    named = [*ordered[: most // 2], *ordered[most // 2 - most :]] if more else ordered
    return [_describe_file(each, now) for each in named], more


def _describe_file(file: WaitingFile, now: float) -> dict[str, object]:
    about: dict[str, object] = {"name": file.name, "reason": file.reason, "age": age(file.since, now)}
    if file.size is not None:
        about["size"] = file.size
    if file.code:
        about["code"] = file.code
    if file.again_at is not None:
        about["again"] = age(now, file.again_at)
    text = shortened(file.text)
    return about | ({"text": text} if text else {})


MOST_OLD = 50


def describe_old(definitions: CachedDefinitions) -> dict[str, object]:
    """Describe the lists by which files are routed although they could not be read anew, and who reads them."""
    said = [_describe_list(each) for each in definitions.old_lists()[:MOST_OLD]]
    by: dict[str, object] = {"login": definitions.login} if definitions.login else {}
    return {"definitions": said, **by} if said else by


def _describe_list(old: OldList) -> dict[str, object]:
    times = {"age": round(old.failing_for, 1), "looked": round(old.age, 1)}
    return {"mid": old.mid, **times, "code": failed_code(old.code, old.text)[:64], "text": shortened(old.text)}


def shortened(text: str) -> str:
    """Give a text that fits into a report."""
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def age(since: float, now: float) -> float:
    """Give an age in seconds: the ledger has a clock of its own."""
    return round(max(0.0, now - since), 1)
