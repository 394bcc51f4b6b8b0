"""Watches folders, each in a thread of its own: a folder whose file system does not answer keeps no other waiting."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from types import FrameType
from uuid import uuid4

import structlog

from sfmc_producers.folder import Folder, FolderScanner
from sfmc_producers.ledger import Ledger
from sfmc_producers.listing import Step, shown
from sfmc_producers.notifications import Notifications, Wakeup
from sfmc_producers.stability import WaitingFile
from sfmc_producers.submitter import RoutingRules, Submitter

log = structlog.get_logger("sfmc_producers.watch")

MAX_FILES = 200
"""Waiting files that one watcher names, the oldest and the newest; of the others it gives the number."""

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
        self._failures = 0

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
            self._tell_what_is_new()
        except Exception:
            # Only what `status` shows depends on it: whatever a defect here raises, the folders are watched on. The
            # scanners change what is read here at any time, so what may come cannot be listed.
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
        if self._submitter.note_folders(self._watcher, describe(self._hanging, now)):
            self._noted, self._noted_at = found, now

    def _state(self) -> object:
        hanging = self._hanging
        return tuple((each.waiting, each.outage, each.mount, hanging.step(each)) for each in hanging.scanners)


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
    about |= {"mount": shown(scanner.mount)} if scanner.mount else {}
    waiting = sorted(scanner.waiting, key=lambda file: file.since)
    more = max(0, len(waiting) - most)
    # Of too many the oldest and the newest: the one says since when, of the other somebody asks where it is.
    named = [*waiting[: most // 2], *waiting[most // 2 - most :]] if more else waiting
    return about | {"files": [_describe_file(each, now) for each in named], "more": more}


def _describe_file(file: WaitingFile, now: float) -> dict[str, object]:
    about: dict[str, object] = {"name": file.name, "reason": file.reason, "age": _age(file.since, now)}
    if file.size is not None:
        about["size"] = file.size
    if file.code:
        about["code"] = file.code
    text = file.text if len(file.text) <= MAX_TEXT else f"{file.text[: MAX_TEXT - 1]}…"
    return about | ({"text": text} if text else {})


def _age(since: float, now: float) -> float:
    return round(max(0.0, now - since), 1)


MIN_PAUSE_SECONDS = 0.02
"""Seconds of rest after each look, however many notifications come: a burst of files is one look, not one each."""

MAX_REST_SECONDS = 2.0
"""Seconds without a further scan after one that took long: most of those waited for a Redis that was unavailable."""

END_SECONDS = 5.0
"""How long a watcher that ends waits for its folders. It waits for none that hangs, for what it did not submit it
finds again at its next start."""


@contextlib.contextmanager
def ended_by_signals(wakeup: Wakeup) -> Iterator[list[int]]:
    """Ring for the end on SIGTERM and SIGINT, so that a scan is finished and nothing is torn apart.

    Yields the list of the signals received.
    """
    received: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        wakeup.stop()

    before = {each: signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class FolderThread(threading.Thread):
    """Scans one folder every `rescan` seconds until it is stopped, and looks at single files in between.

    A daemon: the process can end while the file system of this folder does not answer.
    """

    def __init__(self, scanner: FolderScanner, submitter: Submitter, rescan: float) -> None:
        super().__init__(name="sfmc-folder", daemon=True)
        self.scanner, self._submitter, self._rescan = scanner, submitter, rescan
        self.wakeup = Wakeup()
        self._rested_at = 0.0
        folder = scanner.folder
        self._notifications = Notifications(folder.path, self.wakeup, recursive=folder.recursive)

    def run(self) -> None:
        """Look at what notifications name and at what is due; scan the whole folder now and then."""
        scan_at = 0.0
        while not self.wakeup.is_closing:
            named, begun = self._notifications.named.take(), time.monotonic()
            if named is None:
                scan_at = min(scan_at, self._rested_at)
            if begun >= scan_at:
                next_in = _scan(self._scan_and_listen)
                scan_at = time.monotonic() + self._rescan
                # Not busier than half the time where scans take a while.
                took = time.monotonic() - begun
                self._rested_at = begun + took + max(MIN_PAUSE_SECONDS, min(took, MAX_REST_SECONDS))
            else:
                next_in = _scan(partial(self.scanner.look, named or ()))
            if self.scanner.is_network:
                scan_at, next_in = self._sooner(scan_at, next_in), None
            look_at = time.monotonic() + (self._rescan if next_in is None else next_in)
            time.sleep(MIN_PAUSE_SECONDS)
            scan_at = self._sooner(scan_at, self._submitter.next_in)
            self.wakeup.wait(max(0.0, min(scan_at, look_at) - time.monotonic()))

    def _sooner(self, scan_at: float, wanted_in: float | None) -> float:
        """Scan sooner, if that is wanted: a backend may be asked again, or single files cannot be looked at."""
        return scan_at if wanted_in is None else max(self._rested_at, min(scan_at, time.monotonic() + wanted_in))

    def stop(self) -> None:
        """Let it end after its scan."""
        self._notifications.stop()
        self.wakeup.stop()

    def _scan_and_listen(self) -> float | None:
        next_in = self.scanner.scan()
        # A client of a network file system has no notifications of what other machines write.
        if self.scanner.identity is not None and not self.scanner.is_network:
            self._notifications.keep(self.scanner.identity)
        return next_in


def watch(
    client: Ledger, rules: RoutingRules, folders: Sequence[Folder], *, rescan: float, hanging_after: float
) -> None:
    """Watch until SIGTERM or SIGINT; `rescan` is the most seconds between two scans of a folder.

    A folder whose file system gives no answer for `hanging_after` seconds is reported.
    Raises KeyboardInterrupt in the end if it was SIGINT, and BadRouteError when a route of the settings can never work.
    """
    submitter = Submitter(client, rules, time.monotonic, lambda: datetime.now(UTC))
    wakeup = Wakeup()
    with ended_by_signals(wakeup) as received:
        watch_until(wakeup, submitter, folders, rescan=rescan, hanging_after=hanging_after)
    if signal.SIGINT in received:
        raise KeyboardInterrupt


def watch_until(
    wakeup: Wakeup, submitter: Submitter, folders: Sequence[Folder], *, rescan: float, hanging_after: float
) -> None:
    """Watch until `wakeup` closes; see `watch`."""
    threads = [FolderThread(FolderScanner(each, submitter, time.monotonic), submitter, rescan) for each in folders]
    hanging = HangingFolders([each.scanner for each in threads], hanging_after, time.monotonic)
    reporter = Reporter(submitter, hanging, time.monotonic)
    log.info("watch_started", folders=[shown(str(each.path)) for each in folders], rescan_seconds=rescan)
    for each in (*threads, reporter):
        each.start()
    while not wakeup.is_closing:
        wakeup.wait(min(1.0, hanging_after / 2))
        hanging.look()
    _end(threads, reporter, hanging)
    log.info("watch_ended", hanging=[shown(str(each.folder.path)) for each in hanging.found])


def _end(threads: Sequence[FolderThread], reporter: Reporter, hanging: HangingFolders) -> None:
    for each in threads:
        each.stop()
    reporter.stop()
    deadline = time.monotonic() + END_SECONDS
    answering: list[threading.Thread] = [each for each in threads if hanging.step(each.scanner) is None]
    for thread in (reporter, *answering):
        thread.join(max(0.0, deadline - time.monotonic()))


def _scan(scan: Callable[[], float | None]) -> float | None:
    """Scan once; whatever goes wrong costs this scan alone, for the files are still there."""
    try:
        return scan()
    except Exception:
        log.exception("scan_failed")
        return None
