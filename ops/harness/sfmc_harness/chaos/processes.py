"""Starts, signals, kills and restarts the processes of a chaos run."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sfmc_local.processes import spawn, stop

MAX_RESTARTS = 50
"""Processes that ended by themselves; more means that nothing can run at all."""


class ChaosError(RuntimeError):
    """Processes keep ending without an injected fault; the message quotes the log of one."""


@dataclass
class Process:
    """A process that should run; `busy` while a fault is applied to it."""

    name: str
    command: Sequence[str]
    settings: Mapping[str, str]
    child: subprocess.Popen[bytes] | None = None
    busy: bool = False
    lives: int = 0

    @property
    def is_running(self) -> bool:
        """Tell whether the process lives (frozen counts as living)."""
        return self.child is not None and self.child.poll() is None


@dataclass
class ProcessGroup:
    """All processes; call it from the main thread, because children end with the thread that started them."""

    folder: Path
    environment: Mapping[str, str]
    all: list[Process] = field(default_factory=list)
    unexpected_ends: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, *command: str, **settings: str) -> Process:
        """Start a Python module or program as a new process."""
        process = Process(name, command, settings)
        self.all.append(process)
        self.start(process)
        return process

    def start(self, process: Process) -> None:
        """Start a process that does not run; its output goes to a file of its name."""
        process.lives += 1
        with (self.folder / f"{process.name}.log").open("ab") as log:
            env = {**self.environment, **process.settings}
            process.child = spawn([sys.executable, *process.command], env=env, output=log, errors=log)
        process.busy = False

    def signal(self, process: Process, number: signal.Signals) -> None:
        """Send a signal to a process and its children."""
        if process.child is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.child.pid, number)

    def kill(self, process: Process) -> None:
        """End a process as a crash does."""
        self.signal(process, signal.SIGKILL)
        if process.child is not None:
            process.child.wait(10)

    def restart_dead(self) -> None:
        """Start again each process that ended by itself, as a supervisor does, and count it."""
        for process in self.all:
            if not process.busy and not process.is_running:
                code = None if process.child is None else process.child.returncode
                self._note(f"{process.name} ended with {code}", process)
                self.start(process)

    def _note(self, line: str, process: Process) -> None:
        self.unexpected_ends[line] += 1
        if self.unexpected_ends.total() > MAX_RESTARTS:
            last = (self.folder / f"{process.name}.log").read_text(errors="replace").splitlines()[-5:]
            raise ChaosError(f"{line}, as others did before: {' | '.join(last)}")

    def close(self) -> None:
        """End every process."""
        for process in self.all:
            if process.child is not None:
                self.signal(process, signal.SIGCONT)
                stop(process.child, within=20)
