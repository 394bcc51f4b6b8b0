"""Says on a terminal that a command still waits, how long, and for what: one line that is written again each second."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO, TypeVar

from sfmc_import.cli.output import seconds
from sfmc_import.display import one_line

T = TypeVar("T")
CLEAR = "\r\x1b[K"


def with_progress(found: Iterable[T], name_of: Callable[[T], str], stream: TextIO | None = None) -> Iterator[T]:
    """Yield what comes; on a terminal a line says meanwhile how long it takes, and the name of the newest."""
    output = sys.stderr if stream is None else stream
    if not output.isatty():
        yield from found
        return
    progress = Progress(output)
    try:
        for each in found:
            progress.clear()
            yield each
            progress.newest = name_of(each)
    finally:
        progress.stop()


class Progress(threading.Thread):
    """Writes the line until it is stopped."""

    def __init__(self, output: TextIO, every: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(name="sfmc-progress", daemon=True)
        self._writing = threading.Lock()
        self._output, self._every, self._clock = output, every, clock
        self._stopped = threading.Event()
        self._begun = clock()
        self.newest = "accepted"
        self.start()

    def run(self) -> None:
        """Write it, once in so many seconds."""
        while not self._stopped.wait(self._every):
            self.write()

    def write(self) -> None:
        """Write it now."""
        with self._writing:
            if not self._stopped.is_set():
                self._output.write(
                    f"{CLEAR}waiting for {seconds(self._clock() - self._begun)}: {one_line(self.newest)}"
                )
                self._output.flush()

    def clear(self) -> None:
        """Take the line away, so that another can be printed."""
        with self._writing:
            self._output.write(CLEAR)
            self._output.flush()

    def stop(self) -> None:
        """Take the line away for good."""
        self._stopped.set()
        self.clear()
