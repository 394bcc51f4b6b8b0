"""Starts, signals, kills and restarts the processes of a chaos run, the sandbox among them."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

from sfmc_harness.chaos.plan import ACCOUNT_ID, Plan
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


CLIENT_ID, CLIENT_SECRET = "demo-client", "demo-secret"
FILE = "chaos.csv"

SHARES: tuple[tuple[str, str, float, Mapping[str, Any]], ...] = (
    ("Perform", "drop_before_applying", 0.2, {}),
    ("Perform", "drop_after_applying", 0.2, {}),
    ("Perform", "late_row", 0.2, {"seconds": 3.0}),
    ("Perform", "http_500", 0.1, {}),
    ("Perform", "http_500_after_applying", 0.1, {}),
    ("Perform", "fault_13", 0.1, {}),
    ("Perform", "fault_2_after_applying", 0.05, {}),
    ("Perform", "truncated", 0.05, {}),
    ("Perform", "delay_after_applying", 0.1, {"seconds": 4.0}),
    ("Perform", "slow_run", 0.2, {"seconds": 2.0}),
    ("Perform", "error_run", 0.1, {}),
    ("Retrieve", "http_500", 0.1, {}),
    ("Retrieve", "drop_before_applying", 0.1, {}),
    ("Retrieve", "fault_17", 0.1, {}),
    ("Retrieve", "delay", 0.2, {"seconds": 0.5}),
    ("Token", "http_500", 0.1, {}),
)
"""Operation, fault, and its share of the whole fault rate.

Every row appears before reconciling ends: a start that ends as unknown although its row was there is a violation.
"""


class Sandbox:
    """The process and its control API; use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        import_folder = self._folder / ACCOUNT_ID / "ExactTarget Enhanced FTP" / "Import"
        import_folder.mkdir(parents=True)
        (import_folder / FILE).write_text("Key,Value\n1,one\n2,two\n")
        command = [sys.executable, "-m", "sfmc_sandbox", "--port", "0", "--json", "--data", str(self._folder)]
        self._process = spawn(command, output=subprocess.PIPE, errors=subprocess.DEVNULL)
        assert self._process.stdout is not None
        self.port = int(json.loads(self._process.stdout.readline())["url"].rpartition(":")[2])
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            stop(self._process)

    def define(self, plan: Plan) -> None:
        """Make the definitions of a plan."""
        for key in plan.keys:
            self._ask("definitions", "POST", {"CustomerKey": key, "FileSpec": FILE, "UpdateType": "AddAndUpdate"})

    def add_faults(self, plan: Plan) -> None:
        """Let calls fail from now on, as often as the plan says."""
        for number, (operation, fault, share, more) in enumerate(SHARES):
            odds = {"probability": min(1.0, share * plan.fault_rate), "seed": plan.seed * 100 + number}
            self._ask("faults", "POST", {"operation": operation, "fault": fault, **odds, **more})

    def clear_faults(self) -> int:
        """Remove all faults; return how many calls failed because of one."""
        failed = sum(int(rule["fired"]) for rule in self._ask("faults"))
        self._ask("faults", "DELETE")
        return failed

    def performs(self) -> list[dict[str, Any]]:
        """Every applied start, oldest first."""
        return list(self._ask("performs"))

    def _ask(self, path: str, method: str = "GET", body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.port}/_sandbox/{path}"
        request = Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
        with urlopen(request, timeout=60) as reply:  # noqa: S310 - our own address
            return json.loads(reply.read())


def login(port: int) -> Iterator[tuple[str, str]]:
    """Yield the settings that lead a process to the sandbox, or to a proxy before it."""
    yield "SFMC_AUTH_URL", f"http://127.0.0.1:{port}"
    yield "SFMC_SOAP_URL", f"http://127.0.0.1:{port}/Service.asmx"
    yield "SFMC_CLIENT_ID", CLIENT_ID
    yield "SFMC_CLIENT_SECRET", CLIENT_SECRET
    yield "SFMC_ACCOUNT_ID", ACCOUNT_ID
