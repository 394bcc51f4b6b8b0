"""Starts and stops child processes that never outlive the process that started them."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

WITH_PARENT = Path(__file__).with_name("with_parent.py")


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    output: IO[bytes] | int | None = None,
    errors: IO[bytes] | int | None = subprocess.STDOUT,
    death_signal: signal.Signals = signal.SIGTERM,
    own_group: bool = True,
) -> subprocess.Popen[bytes]:
    """Start `command` so that it gets `death_signal` when this process ends in any way, kill -9 included.

    With `own_group` a Ctrl-C at the terminal reaches only the parent, which then ends its children in order.
    Linux ties the child to the *thread* that starts it: call this from the main thread.
    """
    launcher = [sys.executable, "-I", "-S", str(WITH_PARENT), str(os.getpid()), str(int(death_signal))]
    return subprocess.Popen(
        [*launcher, *command],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=own_group,
    )


def stop(child: subprocess.Popen[bytes], *, within: float = 10.0) -> int:
    """Ask a child to end, kill it after `within` seconds; returns its exit code (negative: a signal)."""
    if child.poll() is None:
        child.terminate()
    try:
        return child.wait(within)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()
