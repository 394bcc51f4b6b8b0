"""Watches folders, each in a thread of its own: a folder whose file system does not answer keeps no other waiting."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from types import FrameType

import structlog

from sfmc_import.redis_clock import RedisClock, compared, named
from sfmc_producers.folder import Folder, FolderScanner
from sfmc_producers.ledger import Ledger
from sfmc_producers.listing import Step, shown
from sfmc_producers.notifications import Notifications, Wakeup
from sfmc_producers.reporting import MAX_FILES, MIN_FILES, Reporter, age, describe_files
from sfmc_producers.submitter import RoutingRules, Submitter

log = structlog.get_logger("sfmc_producers.watch")


class HangingFolders:
    """Finds the folders whose file system has not answered a question for `after` seconds."""

    def __init__(self, scanners: Sequence[FolderScanner], after: float, clock: Callable[[], float]) -> None:
        self.scanners, self._after, self._clock = scanners, after, clock
        self._since: dict[int, float] = {}

    @property
    def state(self) -> object:
        """What is noted at once when it has changed."""
        return tuple((each.waiting_now, each.outage, each.stuck, each.mount, self.step(each)) for each in self.scanners)

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


def describe(hanging: HangingFolders, now: float) -> list[dict[str, object]]:
    """Describe each folder for the ledger; times are ages in seconds, for the ledger has a clock of its own."""
    most = max(MIN_FILES, MAX_FILES // max(1, len(hanging.scanners)))
    return [_describe_folder(each, hanging.step(each), now, most) for each in hanging.scanners]


def _describe_folder(scanner: FolderScanner, step: Step | None, now: float, most: int) -> dict[str, object]:
    folder, outage, stuck = scanner.folder, scanner.outage, scanner.stuck
    about: dict[str, object] = {"folder": shown(str(folder.path)), "location": folder.location}
    if step is not None:
        about |= {"state": "hanging", "age": age(step.since, now), "text": shown(step.path)}
    elif outage is not None:
        about |= {"state": "unreadable", "age": age(outage.since, now), "text": outage.text}
    elif stuck is not None:
        text = f"{stuck.text}, move_to {shown(str(folder.after.to))}" if folder.after.to else stuck.text
        about |= {"state": "full" if stuck.is_full else "unmoved", "age": age(stuck.since, now), "text": text}
    else:
        about |= {"state": "watched"}
    about |= {"mount": shown(scanner.mount)} if scanner.mount else {}
    files, more = describe_files(scanner.waiting_now, now, most)
    return about | {"files": files, "more": more}


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
    clock = RedisClock(client.now)
    submitter = Submitter(client, rules, time.monotonic, clock.now)
    wakeup, note = Wakeup(), partial(client.note_clock, named("watcher"))
    with compared(clock, note), ended_by_signals(wakeup) as received:
        watch_until(wakeup, submitter, folders, rescan=rescan, hanging_after=hanging_after)
    if signal.SIGINT in received:
        raise KeyboardInterrupt


def watch_until(
    wakeup: Wakeup, submitter: Submitter, folders: Sequence[Folder], *, rescan: float, hanging_after: float
) -> None:
    """Watch until `wakeup` closes; see `watch`."""
    threads = [FolderThread(FolderScanner(each, submitter, time.monotonic), submitter, rescan) for each in folders]
    hanging = HangingFolders([each.scanner for each in threads], hanging_after, time.monotonic)
    reporter = Reporter(submitter, lambda: hanging.state, partial(describe, hanging), time.monotonic)
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
