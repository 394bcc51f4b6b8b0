"""Starts the processes of the demo, starts them again when they end, and ends them together."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from sfmc_local.demo_account import ANSWER_SECONDS, CLIENT_ID, CLIENT_SECRET, MID, Account
from sfmc_local.processes import spawn
from sfmc_local.redis_server import Valkey, free_port, last_line, short_temporary_folder

START_SECONDS = 30.0
END_SECONDS = 10.0
MAX_RESTARTS = 5
IMPORT_FOLDER = f"account/{MID}/ExactTarget Enhanced FTP/Import"
"""Where imports of the sandbox read, below the demo's folder; the arrivals folder is a link to it."""

QUICK = {
    "SFMC_SWEEP_SECONDS": "0.25",
    "SFMC_FOLLOW_MIN_INTERVAL": "0.25",
    "SFMC_FOLLOW_MAX_INTERVAL": "1",
    "SFMC_LEASE_SECONDS": "6",
    "SFMC_READ_TIMEOUT": "3",
    "SFMC_CONNECT_TIMEOUT": "1",
    "SFMC_CALL_RETRY_SECONDS": "1",
    "SFMC_RETRY_BACKOFF": "0.5",
    "SFMC_RESULTS_DELAY": "2",
    "SFMC_RECONCILE_DEADLINE": "10",
    "SFMC_CONCURRENCY": "8",
    "SFMC_LOG_FORMAT": "json",
}
"""Short times for a person who watches; production keeps the defaults, minutes and hours."""


SENDER_TOKEN = "demo-token-of-the-sender"  # noqa: S105 - of the demo alone
POLICY = """# Policies and routes of the demo: none. Events are posted to the source `events`.
[[source]]
name = "events"
kind = "push"
form = "cloudevents"
auth = "bearer"
"""


class PartError(RuntimeError):
    """A process could not be started or kept running; the message names its log."""


@dataclass
class Part:
    """One process: what to run, and what became of it."""

    name: str
    command: list[str]
    log: Path
    process: subprocess.Popen[bytes]
    restarts: int = 0


@dataclass
class Parts:
    """Everything that runs in a demo, below one temporary folder; use as a context manager."""

    given_redis: str | None
    folder: Path = field(
        default_factory=lambda: Path(tempfile.mkdtemp(prefix="sfmc-demo-", dir=short_temporary_folder()))
    )

    def __post_init__(self) -> None:
        self.arrivals = self.folder / "arrivals"
        self.account = Account(f"http://127.0.0.1:{free_port()}")
        self.server = f"http://127.0.0.1:{free_port()}"
        # An extra of its own: without it the demo has no push source.
        self.has_server = find_spec("fastapi") is not None and find_spec("jwt") is not None
        self._valkey: Valkey | None = None
        self._parts: list[Part] = []

    @property
    def redis_url(self) -> str:
        """The Redis of this demo, for redis-py."""
        return self._valkey.url if self._valkey else str(self.given_redis)

    @property
    def settings(self) -> dict[str, str]:
        """The settings of every process of the product."""
        return {
            **QUICK,
            "SFMC_REDIS_URL": self.redis_url,
            "SFMC_AUTH_URL": self.account.url,
            "SFMC_SOAP_URL": self.account.soap_url,
            "SFMC_CLIENT_ID": CLIENT_ID,
            "SFMC_CLIENT_SECRET": CLIENT_SECRET,
            "SFMC_ACCOUNT_ID": MID,
            "SFMC_TIME_ZONE": "UTC",
            "SFMC_CONFIG": str(self.folder / "sfmc-import.toml"),
            "SFMC_SECRETS_DIR": str(self.folder / "secrets"),
            "SFMC_SOURCE_EVENTS_SECRET": SENDER_TOKEN,
        }

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment with the demo's settings in place of the user's own."""
        return {name: value for name, value in os.environ.items() if not name.startswith("SFMC_")} | self.settings

    def __enter__(self) -> Self:
        try:
            self._lay_out()
            if not self.given_redis:
                self._valkey = Valkey(self.folder / "valkey").start()
            self._start_sandbox()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start_product(self, *, stable_seconds: float) -> None:
        """Start the worker, the beat, the folder watcher and the server of the push source."""
        self._start("worker", ["worker"])
        self._start("beat", ["beat"])
        watch = ["watch", str(self.arrivals), "--stable-seconds", str(stable_seconds), "--rescan", "0.25"]
        self._start("watcher", watch)
        if self.has_server:
            self._start("server", ["serve", "--port", self.server.rpartition(":")[2]])

    def run(self, *arguments: str) -> None:
        """Run another command of sfmc-import beside the rest; its exit code is not used."""
        self._spawn([*product(), *arguments], self.folder / "logs" / f"{arguments[0]}.log")

    def post(self, event: Mapping[str, Any]) -> bool:
        """Post an event to the push source; False while its server does not take it yet."""
        headers = {"Content-Type": "application/cloudevents+json", "Authorization": f"Bearer {SENDER_TOKEN}"}
        body = json.dumps(event).encode()
        request = urllib.request.Request(f"{self.server}/events/events", body, headers)  # noqa: S310 - our own server
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS):  # noqa: S310 - as above
                return True
        except OSError:
            return False

    def restart_ended(self) -> list[str]:
        """Start again what has ended, as a supervisor does in production; returns the names."""
        ended = [part for part in self._parts if part.process.poll() is not None]
        for part in ended:
            self._restart(part)
        names = [part.name for part in ended]
        if self._valkey and not self._valkey.is_running():
            self._valkey.start()
            names.append("valkey")
        return names

    def pids(self) -> Mapping[str, int]:
        """Return the process id of each part."""
        pids = {part.name: part.process.pid for part in self._parts}
        return pids | ({"valkey": self._valkey.pid} if self._valkey and self._valkey.is_running() else {})

    def close(self) -> None:
        """End every process, the sandbox and Valkey last, and remove the folder."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        product_parts = [part.process for part in self._parts if part.name != "sandbox"]
        end_together(product_parts)
        end_together([part.process for part in self._parts if part.name == "sandbox"])
        if self._valkey:
            self._valkey.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        signal.signal(signal.SIGINT, before)

    def _lay_out(self) -> None:
        for folder in (self.folder / "logs", self.folder / "samples", self.folder / "secrets"):
            folder.mkdir()
        (self.folder / "sfmc-import.toml").write_text(POLICY)
        imports = self.folder / IMPORT_FOLDER
        imports.mkdir(parents=True)
        # A short name for people; the other way round the sandbox would refuse a link that leads out of its folder.
        self.arrivals.symlink_to(imports)

    def _start_sandbox(self) -> None:
        port = self.account.url.rpartition(":")[2]
        options = ["--port", port, "--data", str(self.folder / "account"), "--time-zone", "UTC", "--slowdown", "1"]
        self._start("sandbox", ["sandbox", *options])
        self._wait(self.account.is_up, "sandbox")
        self.account.fill()

    def _start(self, name: str, arguments: list[str]) -> None:
        command, log = [*product(), *arguments], self.folder / "logs" / f"{name}.log"
        self._parts.append(Part(name, command, log, self._spawn(command, log)))

    def _restart(self, part: Part) -> None:
        part.restarts += 1
        if part.restarts > MAX_RESTARTS:
            raise PartError(f"the {part.name} keeps ending: {last_line(part.log)}")
        part.process = self._spawn(part.command, part.log)

    def _spawn(self, command: list[str], log: Path) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return spawn(command, env=self.environment, output=output, death_signal=signal.SIGKILL)

    def _wait(self, ready: Callable[[], bool], name: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        part = next(part for part in self._parts if part.name == name)
        while not ready():
            if part.process.poll() is not None or time.monotonic() > deadline:
                raise PartError(f"the {name} did not start: {last_line(part.log)}")
            time.sleep(0.02)


def product() -> list[str]:
    """Return the command sfmc-import of this environment."""
    return [sys.executable, "-m", "sfmc_import"]


def end_together(processes: list[subprocess.Popen[bytes]]) -> None:
    """Ask all to end, wait for all, kill what is left."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + END_SECONDS
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
