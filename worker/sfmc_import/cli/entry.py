"""Where the process of the command begins: Ctrl-C ends it quietly, also while everything else is still imported."""

import gc
import os
import signal
from types import FrameType

from sfmc_import.errors import INTERRUPTED


def main() -> None:
    """Run the command `sfmc-import`."""
    leave_quietly_on_ctrl_c()
    # What is imported stays: the collector would go through all of it again and again, a tenth of the start.
    gc.set_threshold(10_000, 20, 50)
    from sfmc_import.cli.main import main as run  # noqa: PLC0415 - takes a tenth of a second

    run()


def leave_quietly_on_ctrl_c() -> None:
    """Let Ctrl-C end this process at once, while there is nothing to finish; one that ignores Ctrl-C goes on to."""
    if signal.getsignal(signal.SIGINT) not in {signal.SIG_IGN, None}:
        signal.signal(signal.SIGINT, _leave)


def _leave(_number: int, _frame: FrameType | None) -> None:
    try:
        os.write(2, b"sfmc-import: stopped\n")
    finally:
        os._exit(INTERRUPTED)
