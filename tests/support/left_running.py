"""Threads that a module of tests left running: what they do would count as work and memory of the next one."""

import gc
import threading
import time
from collections.abc import Collection

GRACE_SECONDS = 5.0
"""How long a thread may take to end that has nothing to wait for any more."""


def left_running(before: Collection[threading.Thread], grace: float = GRACE_SECONDS) -> list[str]:
    """Name the threads that were not there `before` and do not end in `grace` seconds."""
    deadline = time.monotonic() + grace
    own = [each for each in threading.enumerate() if each not in before and each is not threading.current_thread()]
    if any(each.is_alive() for each in own):
        # A pool that is only reached by a circle of references keeps its idle threads.
        gc.collect()
    for each in own:
        each.join(max(0.0, deadline - time.monotonic()))
    return sorted(f"{each.name} ({_work_of(each)})" for each in own if each.is_alive())


def _work_of(thread: threading.Thread) -> str:
    work = getattr(thread, "_target", None) or thread.run
    return str(getattr(work, "__qualname__", work))
