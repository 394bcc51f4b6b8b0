"""Waits for a notice of another thread or of a signal."""

from queue import Empty, SimpleQueue


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
