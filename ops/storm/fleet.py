"""The processes of a storm: started, frozen, ended, killed and started again; chooses nothing by itself."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ops.local.children import spawn, stop

MOST_FALLS = 50
"""Processes that ended by themselves; more means that nothing can run at all."""


class StormError(RuntimeError):
    """The processes do not run even without a deed; the message quotes one of them."""


@dataclass
class Member:
    """A process that is meant to run; `busy` while something is being done to it."""

    name: str
    command: Sequence[str]
    settings: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    busy: bool = False
    lives: int = 0

    @property
    def is_running(self) -> bool:
        """Tell whether the process lives (frozen counts as living)."""
        return self.process is not None and self.process.poll() is None


@dataclass
class Fleet:
    """All members; call it from the main thread, to which the kernel ties the children."""

    folder: Path
    environment: Mapping[str, str]
    members: list[Member] = field(default_factory=list)
    fallen: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, *command: str, **settings: str) -> Member:
        """Start a Python module or program as a new member."""
        member = Member(name, command, settings)
        self.members.append(member)
        self.start(member)
        return member

    def start(self, member: Member) -> None:
        """Start a member that does not run; its output goes to a file of its name."""
        member.lives += 1
        with (self.folder / f"{member.name}.log").open("ab") as log:
            env = {**self.environment, **member.settings}
            member.process = spawn([sys.executable, *member.command], env=env, output=log, errors=log)
        member.busy = False

    def signal(self, member: Member, number: signal.Signals) -> None:
        """Send a signal to a member and its children."""
        if member.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(member.process.pid, number)

    def kill(self, member: Member) -> None:
        """End a member as a crash does."""
        self.signal(member, signal.SIGKILL)
        if member.process is not None:
            member.process.wait(10)

    def raise_fallen(self) -> None:
        """Start again what ended by itself, as a supervisor does, and note it."""
        for member in self.members:
            if not member.busy and not member.is_running:
                code = None if member.process is None else member.process.returncode
                self._note(f"{member.name} ended with {code}", member)
                self.start(member)

    def _note(self, line: str, member: Member) -> None:
        self.fallen[line] += 1
        if self.fallen.total() > MOST_FALLS:
            last = (self.folder / f"{member.name}.log").read_text(errors="replace").splitlines()[-5:]
            raise StormError(f"{line}, as others did before: {' | '.join(last)}")

    def close(self) -> None:
        """End every member."""
        for member in self.members:
            if member.process is not None:
                self.signal(member, signal.SIGCONT)
                stop(member.process, within=20)
