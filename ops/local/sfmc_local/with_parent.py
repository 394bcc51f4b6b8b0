"""A launcher: its program ends when the parent process ends. It runs as a script and uses the standard library only.

Usage: python -I -S with_parent.py PARENT_PID SIGNAL PROGRAM [ARGUMENT …]

On Linux the kernel sends SIGNAL to PROGRAM when the parent ends (prctl(2), PR_SET_PDEATHSIG).
Elsewhere a small watcher process checks twice a second and sends it.
"""

import ctypes
import os
import sys
import time

PR_SET_PDEATHSIG = 1
CHECKS_PER_SECOND = 2


def main(arguments: list[str]) -> None:
    """Become PROGRAM, which ends with the parent; do nothing if the parent has already ended."""
    parent, signal_number, program = int(arguments[0]), int(arguments[1]), arguments[2:]
    if not die_with_parent(signal_number):
        watch_parent(parent, signal_number)
    if os.getppid() != parent:
        return
    os.execvp(program[0], program)  # noqa: S606 - there is no shell to want


def die_with_parent(signal_number: int) -> bool:
    """Ask the kernel to signal this process at its parent's death; false where there is no such call."""
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0) == 0)


def watch_parent(parent: int, signal_number: int) -> None:
    """Leave a watcher behind that signals this process at its parent's death and ends with it."""
    watched = os.getpid()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            watch(parent, watched, signal_number)
        os._exit(0)
    os.wait()


def watch(parent: int, watched: int, signal_number: int) -> None:
    """Check both processes until one has ended; signal `watched` if it was the parent."""
    while is_alive(watched):
        if not is_alive(parent):
            os.kill(watched, signal_number)
            return
        time.sleep(1 / CHECKS_PER_SECOND)


def is_alive(pid: int) -> bool:
    """Tell whether a process of this user runs under `pid`."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main(sys.argv[1:])
