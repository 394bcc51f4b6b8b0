"""File notifications of one folder: they wake its scans; where there are none, the regular scans find the files."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

import structlog
from watchdog.events import FileClosedEvent, FileCreatedEvent, FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver


class Wakeup:
    """Waits for a notice; safe from other threads and from signal handlers, since SimpleQueue.put is reentrant."""

    def __init__(self) -> None:
        self._notices: SimpleQueue[None] = SimpleQueue()
        self.is_closing = False

    def set(self) -> None:
        """Wake who waits; any number of notices before that count as one."""
        # A notice that is still there is enough.
        if self._notices.empty():
            self._notices.put(None)

    def stop(self) -> None:
        """Wake who waits, for the last time."""
        self.is_closing = True
        self.set()

    def wait(self, seconds: float) -> bool:
        """Wait for a notice; False when none came in `seconds`."""
        try:
            self._notices.get(timeout=seconds)
        except Empty:
            return False
        return True


SCAN_AFTER: list[type[FileSystemEvent]] = [FileCreatedEvent, FileClosedEvent, FileMovedEvent]

TRY_AGAIN_SECONDS = 60.0
"""After so long notifications are asked for again where there were none: others may have given theirs back."""

log = structlog.get_logger("sfmc_producers.notifications")


MOST_NAMES = 10_000
"""Above this number a whole scan costs no more than a look at each."""


class NamedFiles:
    """The files of a folder that notifications named since they were last taken; safe for threads."""

    def __init__(self, folder: Path) -> None:
        self._start, self._lock = f"{folder}/", threading.Lock()
        self._names: set[str] | None = set()

    def add(self, path: bytes | str) -> None:
        """Note the path of a file; one that is not in the folder says that names are not to be relied on."""
        text = os.fsdecode(path)
        with self._lock:
            is_named = self._names is not None and len(self._names) < MOST_NAMES and text.startswith(self._start)
            if is_named and self._names is not None:
                self._names.add(text.removeprefix(self._start))
            else:
                self._names = None

    def take(self) -> set[str] | None:
        """Give the names and forget them; None: look at all files."""
        with self._lock:
            taken, self._names = self._names, set()
            return taken


class _Notifier(FileSystemEventHandler):
    def __init__(self, wakeup: Wakeup, named: NamedFiles) -> None:
        self._wakeup, self._named = wakeup, named

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Wake the watcher, whatever happened: the look at these files finds out what."""
        for path in (event.src_path, event.dest_path):
            if path:
                self._named.add(path)
        self._wakeup.set()


class Notifications:
    """Wakes when a file of `folder` is created, closed after writing or moved in; `clock` gives seconds.

    `named` has the files.
    """

    def __init__(
        self, folder: Path, wakeup: Wakeup, *, recursive: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder, self._wakeup, self._recursive, self._clock = folder, wakeup, recursive, clock
        self.named = NamedFiles(folder)
        self._failed_at: float | None = None
        self._of: object = None
        self._observer: BaseObserver | None = None
        self._is_unavailable = False
        self._lock = threading.Lock()

    def keep(self, identity: object) -> None:
        """Have notifications of the folder with this identity: after a mount or a removal it is another one."""
        failed_long_ago = self._failed_at is not None and self._clock() - self._failed_at >= TRY_AGAIN_SECONDS
        if identity == self._of and not self._has_ended() and not failed_long_ago:
            return
        self._failed_at = None
        self._of = identity
        # In a thread of its own: to watch a folder of a mount that hangs does not return.
        threading.Thread(target=self._renew, args=(identity,), name="sfmc-notifications", daemon=True).start()

    def stop(self) -> None:
        """End them; nothing is waited for."""
        self._of, observer, self._observer = None, self._observer, None
        if observer is not None:
            observer.stop()

    def _has_ended(self) -> bool:
        # The kernel ends the watch of a folder that is removed; a new one may have the identity of the old one.
        return self._observer is not None and not all(each.is_alive() for each in self._observer.emitters)

    def _renew(self, identity: object) -> None:
        with self._lock:
            if identity != self._of:
                return
            before, self._observer = self._observer, None
            if before is not None:
                before.stop()
            try:
                self._observer = self._start()
                if self._recursive:
                    self._require_all(self._observer)
            except OSError as error:
                self._failed_at = self._clock()
                self._say_unavailable(error)
            else:
                self._say_available()

    def _start(self) -> BaseObserver:
        # The constructor takes an instance of inotify, `schedule` and `start` the watches: each may be used up.
        observer = Observer()
        try:
            observer.schedule(
                _Notifier(self._wakeup, self.named),
                str(self._folder),
                recursive=self._recursive,
                event_filter=SCAN_AFTER,
            )
            observer.start()
        except BaseException:
            observer.stop()
            raise
        return observer

    def _require_all(self, observer: BaseObserver) -> None:
        """Raise OSError when subfolders have no watch: the library says nothing when the limit is reached.

        It adds them in the order of os.walk, so the last one has none first.
        """
        last = None
        for folder, names, _ in os.walk(self._folder):
            last = next((each for name in reversed(names) if not (each := Path(folder, name)).is_symlink()), last)
        # It may be gone by now.
        with suppress(FileNotFoundError, NotADirectoryError):
            if last is not None:
                again = observer.schedule(_Notifier(self._wakeup, self.named), str(last), event_filter=SCAN_AFTER)
                observer.unschedule(again)

    def _say_unavailable(self, error: OSError) -> None:
        if not self._is_unavailable:
            detail = "files are found by regular scans only"
            log.warning("file_notifications_unavailable", folder=str(self._folder), reason=str(error), detail=detail)
        self._is_unavailable = True

    def _say_available(self) -> None:
        if self._is_unavailable:
            log.info("file_notifications_available", folder=str(self._folder))
        self._is_unavailable = False
