"""Child processes as real processes: they end with their parent, whatever ends it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sfmc_local.processes import WITH_PARENT, spawn, stop
from tests.support.waiting import eventually

STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while True:
    signal.pause()
"""
SLEEPER = [sys.executable, "-c", "import signal; signal.pause()"]

BY_THE_KERNEL = (
    "import sys; from sfmc_local.processes import spawn; print(spawn(sys.argv[1:]).pid, flush=True); input()"
)
BY_A_WATCHER = """
import importlib.util, os, signal, sys
spec = importlib.util.spec_from_file_location("with_parent", sys.argv[1])
with_parent = importlib.util.module_from_spec(spec)
spec.loader.exec_module(with_parent)
parent, child = os.getpid(), os.fork()
if child == 0:
    with_parent.watch_parent(parent, signal.SIGTERM)
    os.execvp(sys.argv[2], sys.argv[2:])
print(child, flush=True)
input()
"""


def has_ended(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize(
    "program", [[BY_THE_KERNEL], [BY_A_WATCHER, str(WITH_PARENT)]], ids=["by the kernel", "by a watcher"]
)
def test_a_child_ends_when_its_parent_is_killed(program):
    command = [sys.executable, "-W", "ignore", "-c", *program, *SLEEPER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)

    eventually(lambda: has_ended(pid), within=60, description="the child has ended")


def test_a_child_that_ignores_the_request_to_end_is_killed():
    child = spawn([sys.executable, "-c", STUBBORN], output=subprocess.PIPE)
    with child.stdout:
        child.stdout.readline()
        code = stop(child, within=0.1)

    assert code == -signal.SIGKILL


def test_a_child_that_has_ended_keeps_its_exit_code():
    child = spawn([sys.executable, "-c", "raise SystemExit(3)"])
    child.wait(60)

    assert stop(child) == 3


def test_the_threads_of_a_worker_share_arenas_where_the_c_library_can() -> None:
    program = (
        "import platform; from sfmc_import.worker_process import share_arenas; "
        "print(platform.libc_ver()[0] or 'other', share_arenas({}))"
    )
    answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()

    assert answer[1] == str(answer[0] == "glibc")
