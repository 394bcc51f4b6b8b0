"""Several receivers of one queue in one process: while one waits for Redis or the queue, the others go on."""

import threading
import time
from collections.abc import Callable, Sequence

from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.receiving import Receiver

END_SECONDS = 8.0
"""How long the end waits for what the receivers are doing: less than the process waits for its sources."""


class ReceiverThread(threading.Thread):
    """Runs one receiver; `error` is what ended it before its time."""

    def __init__(self, receiver: Receiver, ended: Callable[[], None]) -> None:
        super().__init__(name=f"sfmc-receiver-{receiver.name}", daemon=True)
        self._receiver, self._ended = receiver, ended
        self.wakeup = Wakeup()
        self.error: Exception | None = None

    def run(self) -> None:
        """Receive until `wakeup` closes."""
        try:
            self._receiver.run(self.wakeup)
        except Exception as error:  # noqa: BLE001 - it is raised again by the source
            self.error = error
        finally:
            self._ended()


def run_parallel(receivers: Sequence[Receiver], wakeup: Wakeup) -> None:
    """Run receivers until `wakeup` closes or one of them fails: then all end, and its error is raised."""
    threads = [ReceiverThread(each, wakeup.set) for each in receivers]
    for each in threads:
        each.start()
    while not wakeup.is_closing and all(each.is_alive() for each in threads):
        wakeup.wait(1.0)
    for each in threads:
        each.wakeup.stop()
    deadline = time.monotonic() + END_SECONDS
    for each in threads:
        each.join(max(0.0, deadline - time.monotonic()))
    if errors := [each.error for each in threads if each.error is not None]:
        raise errors[0]
