"""Where the process of `sfmc-sandbox` begins: Ctrl-C ends it quietly, also while everything else is still imported."""

import os
import signal
from types import FrameType

INTERRUPTED = 130
"""What a shell reports for a program that Ctrl-C (SIGINT, 2) ended: 128 and the number."""


def main() -> None:
    """Run the command `sfmc-sandbox`."""
    if signal.getsignal(signal.SIGINT) not in {signal.SIG_IGN, None}:
        signal.signal(signal.SIGINT, _leave)
    from sfmc_sandbox.cli import main as run  # noqa: PLC0415 - takes a third of a second

    run()


def _leave(_number: int, _frame: FrameType | None) -> None:
    try:
        os.write(2, b"sfmc-sandbox: stopped\n")
    finally:
        os._exit(INTERRUPTED)
