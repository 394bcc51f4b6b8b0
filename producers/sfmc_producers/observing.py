"""Observes the threads of the folders: which of them hang, and what the ledger shall know about their files."""

import os
import socket
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import structlog

from sfmc_producers.folder import FolderScanner
from sfmc_producers.listing import shown
from sfmc_producers.progress import Step
from sfmc_producers.stability import WaitingFile
from sfmc_producers.submitter import Submitter
from sfmc_producers.wakeup import Wakeup

log = structlog.get_logger("sfmc_producers.watch")

MAX_FILES = 200
"""Waiting files that one watcher names; of the others it gives the number."""

MIN_FILES = 5
MAX_TEXT = 300

LOOK_SECONDS = 1.0
REPEAT_SECONDS = 15.0
"""How often it is noted although nothing has changed: before it forgets (LedgerSettings.watch_ttl)."""


class HangingFolders:
    """Finds the folders whose file system has not answered a question for `after` seconds."""

    def __init__(self, scanners: Sequence[FolderScanner], after: float, clock: Callable[[], float]) -> None:
        self.scanners, self._after, self._clock = scanners, after, clock
        self._since: dict[int, float] = {}

    @property
    def found(self) -> list[FolderScanner]:
        """The folders that hang now."""
        return [each for each in self.scanners if self.step(each) is not None]

    def step(self, scanner: FolderScanner) -> Step | None:
        """The question that has waited too long for its answer."""
        step = scanner.progress.step
        return step if step is not None and self._clock() - step.since >= self._after else None

    def look(self) -> None:
        """Log a folder that hangs, once, and that it answers again."""
        for number, scanner in enumerate(self.scanners):
            step, since = self.step(scanner), self._since.get(number)
            if step is not None and since is None:
                self._since[number] = step.since
                self._say(scanner, step)
            elif step is None and since is not None:
                del self._since[number]
                seconds = round(self._clock() - since, 1)
                log.info("folder_answers_again", folder=shown(str(scanner.folder.path)), seconds=seconds)

    def _say(self, scanner: FolderScanner, step: Step) -> None:
        since = datetime.now(UTC) - timedelta(seconds=self._clock() - step.since)
        log.error(
            "folder_hanging",
            folder=shown(str(scanner.folder.path)),
            path=shown(step.path),
            since=since.isoformat(timespec="seconds"),
            detail="its file system does not answer; other folders go on",
            action="waiting",
        )


class Reporter(threading.Thread):
    """Tells the ledger which files wait and which folders hang, for `sfmc-import status`."""

    def __init__(self, submitter: Submitter, hanging: HangingFolders, clock: Callable[[], float]) -> None:
        super().__init__(name="sfmc-reporter", daemon=True)
        self._submitter, self._hanging, self._clock = submitter, hanging, clock
        self._watcher = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}"
        self._wakeup = Wakeup()
        self._noted: object = None
        self._noted_at = 0.0

    def run(self) -> None:
        """Tell what is new every second, and everything again before it is forgotten."""
        while not self._wakeup.is_closing:
            self._tell()
            self._wakeup.wait(LOOK_SECONDS)
        self._submitter.note_folders(self._watcher, None)

    def stop(self) -> None:
        """Let it end; what it noted is removed."""
        self._wakeup.stop()

    def _tell(self) -> None:
        try:
            now = self._clock()
            found = self._state()
            if found == self._noted and now - self._noted_at < REPEAT_SECONDS:
                return
            if self._submitter.note_folders(self._watcher, describe(self._hanging, now)):
                self._noted, self._noted_at = found, now
        except Exception:
            log.exception("watcher_report_failed")

    def _state(self) -> object:
        return tuple((each.waiting, each.outage, self._hanging.step(each)) for each in self._hanging.scanners)


def describe(hanging: HangingFolders, now: float) -> list[dict[str, object]]:
    """Describe each folder for the ledger; times are ages in seconds, for the ledger has a clock of its own."""
    most = max(MIN_FILES, MAX_FILES // max(1, len(hanging.scanners)))
    return [_describe_folder(each, hanging.step(each), now, most) for each in hanging.scanners]


def _describe_folder(scanner: FolderScanner, step: Step | None, now: float, most: int) -> dict[str, object]:
    folder, outage = scanner.folder, scanner.outage
    about: dict[str, object] = {"folder": shown(str(folder.path)), "location": folder.location}
    if step is not None:
        about |= {"state": "hanging", "age": _age(step.since, now), "text": shown(step.path)}
    elif outage is not None:
        about |= {"state": "unreadable", "age": _age(outage.since, now), "text": outage.text}
    else:
        about |= {"state": "watched"}
    waiting = sorted(scanner.waiting, key=lambda file: file.since)
    return about | {
        "files": [_describe_file(each, now) for each in waiting[:most]],
        "more": max(0, len(waiting) - most),
    }


def _describe_file(file: WaitingFile, now: float) -> dict[str, object]:
    about: dict[str, object] = {"name": file.name, "reason": file.reason, "age": _age(file.since, now)}
    if file.size is not None:
        about["size"] = file.size
    return about | ({"text": file.text[:MAX_TEXT]} if file.text else {})


def _age(since: float, now: float) -> float:
    return round(max(0.0, now - since), 1)
