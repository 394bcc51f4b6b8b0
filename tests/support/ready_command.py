"""Commands without the time of their imports: a process that has imported the product forks one for each.

Each is a process of its own, with its own environment, folder, output and exit code. Only what imports do is left out,
for which the tests of the start of a process use a new one.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from sfmc_local.processes import spawn
from sfmc_local.with_parent import die_with_parent

PROGRAM = "sfmc_import"
IMPORTED = ("sfmc_import.cli", "sfmc_import.operations", "sfmc_producers", "celery.bin.worker", "celery.beat")
"""Packages and modules that are there before a command is asked for."""

AT_THE_START = ("COVERAGE", "PYTHON", "LC_", "LANG", "LD_")
"""How the variables begin that count only for a new interpreter."""


def run_command(
    command: Sequence[str], *, env: Mapping[str, str], cwd: Path, seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run `sfmc-import COMMAND …` to its end; raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        if wants_new_interpreter(env):
            program = [sys.executable, "-m", PROGRAM, *command]
            code = subprocess.run(program, env=env, cwd=cwd, stdout=output, stderr=errors, timeout=seconds).returncode  # noqa: PLW1510 - tests look at the code
        else:
            started = _parent().start(command, env, cwd, output, errors)
            try:
                code = started.wait(seconds)
            finally:
                started.kill()
                started.wait()
        return subprocess.CompletedProcess(["sfmc-import", *command], code, _text(output), _text(errors))


def start_command(command: Sequence[str], *, env: Mapping[str, str], output: IO[bytes]) -> Any:
    """Start `sfmc-import COMMAND …` in a session of its own; gives what can be used as a Popen."""
    if wants_new_interpreter(env):
        return spawn([sys.executable, "-m", PROGRAM, *command], env=env, output=output, errors=output)
    return _parent().start(command, env, Path.cwd(), output, output)


def wants_new_interpreter(env: Mapping[str, str]) -> bool:
    """Tell whether the environment has what counts at the start of an interpreter, and ours has not."""
    if any(name.startswith("COVERAGE") for name in os.environ):
        return True
    return any(name.startswith(AT_THE_START) and os.environ.get(name) != value for name, value in env.items())


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


@functools.cache
def _parent() -> "Parent":
    made = Parent()
    atexit.register(made.close)
    return made


class Started:
    """A command that runs; it has the methods of a Popen."""

    def __init__(self, line: socket.socket) -> None:
        self._line, self._answers = line, line.makefile("rb")
        self._lock = threading.Lock()
        self.pid = int(self._answers.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Give the exit code if it has ended."""
        with self._lock:
            if self.returncode is None and select.select([self._line], [], [], 0)[0]:
                # Nothing comes when the process was killed that waits for it: then this one was too.
                self.returncode = int(self._answers.readline() or -signal.SIGKILL)
                self._answers.close()
                self._line.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises subprocess.TimeoutExpired."""
        if self.returncode is None and not select.select([self._line], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class Parent:
    """The process that forks, as the test process sees it: it ends with this one."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sfmc-")
        self._address = f"{self._folder.name}/s"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self._address)
            listener.listen(64)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.ready_command", str(listener.fileno())],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )

    def start(
        self, command: Sequence[str], env: Mapping[str, str], cwd: Path, output: IO[bytes], errors: IO[bytes]
    ) -> Started:
        """Let it fork a command."""
        line = socket.socket(socket.AF_UNIX)
        line.connect(self._address)
        socket.send_fds(line, [b"."], [output.fileno(), errors.fileno()])
        line.sendall(json.dumps({"command": list(command), "env": dict(env), "cwd": str(cwd)}).encode())
        line.shutdown(socket.SHUT_WR)
        return Started(line)

    def close(self) -> None:
        """End it, and what it forked."""
        self._process.communicate(timeout=10)
        self._folder.cleanup()


def main() -> None:
    """Import everything, and fork for each connection; returns in the process of a command, to become it."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    for name in IMPORTED:
        package = importlib.import_module(name)
        for each in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{name}."):
            importlib.import_module(each.name)
    gc.collect()
    gc.freeze()
    # Those that waited for a command are gone without being waited for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        if 0 in select.select([0, listener], [], [])[0]:
            os._exit(0)
        line, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            return wait_for_command(line)
        line.close()


def wait_for_command(line: socket.socket) -> None:
    """Fork a command and wait for its end; returns in its process."""
    die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, files, _, _ = socket.recv_fds(line, 1, 2)
    with line.makefile("rb") as asking:
        asked = json.load(asking)
    if (pid := os.fork()) == 0:
        return become(asked, files, line)
    for each in files:
        os.close(each)
    _, status = os.waitpid(pid, 0)
    line.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def become(asked: Mapping[str, Any], files: Sequence[int], line: socket.socket) -> None:
    """Take on what a new process would have, then tell that it runs."""
    os.setsid()
    die_with_parent(signal.SIGTERM)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    for number, file in enumerate(files, 1):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    os.chdir(asked["cwd"])
    sys.path[0] = asked["cwd"]
    sys.argv[1:] = asked["command"]
    with line:
        line.sendall(b"%d\n" % os.getpid())


if __name__ == "__main__":
    main()
    runpy.run_module(PROGRAM, run_name="__main__", alter_sys=True)
