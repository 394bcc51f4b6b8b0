"""Files that wait while the definitions are asked for: the look that waits for them cannot say it of its files."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sfmc_import.waiting import OWN_ERROR
from sfmc_producers.listing import Progress
from sfmc_producers.stability import FileStat, TrackedFile, WaitingFile

UNANSWERED_SECONDS = 5.0
"""So long Marketing Cloud may take to give the definitions before the files that wait for them are shown with that."""

UNANSWERED = "Marketing Cloud is asked for the definitions, and has not answered yet"


def unanswered(name: str, since: float, size: int | None = None) -> WaitingFile:
    """Give a file that waits for the definitions while they are asked for."""
    return WaitingFile(name=name, reason="unavailable", since=since, size=size, text=UNANSWERED, code="read_timeout")


def is_said(file: WaitingFile | None) -> bool:
    """Tell whether it is shown already what failed before, and when the file is tried again."""
    return file is not None and file.reason == "unavailable"


class Undecided:
    """The finished files of one look that are not decided yet; written by one thread, read by others."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._asking = clock, Progress(clock)
        self._left: tuple[Sequence[FileStat], int] = ((), 0)

    def each(self, files: Sequence[FileStat]) -> Iterator[FileStat]:
        """Yield each file; it and those behind it are undecided."""
        for number, file in enumerate(files):
            self._left = (files, number)
            yield file
        self._left = ((), 0)

    @contextmanager
    def asking(self, name: str) -> Iterator[None]:
        """Say that the definitions are asked for, for this file, as long as it lasts."""
        self._asking.at(name)
        try:
            yield
        finally:
            self._asking.answered()

    def among(self, waiting: Iterable[WaitingFile], seen: Mapping[str, TrackedFile]) -> tuple[WaitingFile, ...]:
        """Give what waits, with the undecided files as soon as an answer takes long."""
        asked, (files, number), known = self._asking.step, self._left, {each.name: each for each in waiting}
        if asked is not None and self._clock() - asked.since >= UNANSWERED_SECONDS:
            for file in files[number:]:
                if not is_said(known.get(file.name)):
                    tracked = seen.get(file.name)
                    since = asked.since if tracked is None else tracked.waiting_since
                    known[file.name] = unanswered(file.name, since, file.size)
        return tuple(known.values())


@contextmanager
def alone(file: FileStat, logged: dict[str, object], log: Any, hold: Callable[..., None]) -> Iterator[None]:
    """Let an error of this program with one file keep no other waiting: the file is held, and tried by the next scan.

    It is in the log once. What a file system says is about the whole folder, and a lack of memory about the process.
    """
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:
        met = type(error).__name__
        if logged.get(file.name) != (file, met):
            log.exception("scan_failed", file=file.name)
        logged[file.name] = (file, met)
        hold(file, "unavailable", f"an error of this program ({met}); the log has more", OWN_ERROR)
