"""Real Celery worker processes of the program `probe`, and what they noted."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from celery import Celery

from sfmc_local.processes import spawn, stop
from tests.support.waiting import eventually

PROGRAM = "tests.integration.transport.probe:app"


class Worker:
    """One worker process; `notes` is the file that all workers of a test write into."""

    def __init__(
        self, broker: str, notes: Path, *, pool: str = "threads", transport: str = "reliable", **settings: str
    ):
        self._notes = notes
        self._log = notes.with_suffix(".log")
        environment = {
            **os.environ,
            "PROBE_BROKER": broker,
            "PROBE_NOTES": str(notes),
            "PROBE_TRANSPORT": transport,
            **{f"PROBE_{name.upper()}": value for name, value in settings.items()},
        }
        plain = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=INFO"]
        slots = settings.get("slots", "2")
        command = [sys.executable, "-m", "celery", "-A", PROGRAM, "worker", "-P", pool, "-c", slots, *plain]
        with self._log.open("ab") as output:
            self.process: subprocess.Popen[bytes] = spawn(
                command, env=environment, output=output, death_signal=signal.SIGKILL
            )

    def ready(self) -> "Worker":
        """Wait until it consumes."""
        eventually(lambda: f"ready {self.process.pid}" in noted(self._notes), 60, "the worker is ready")
        return self

    def is_alive(self) -> bool:
        """Tell whether the process lives."""
        return self.process.poll() is None

    def is_ending(self) -> bool:
        """Tell whether a worker of this test has logged that it was asked to end."""
        return "Warm shutdown" in self._log.read_text()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the main process."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End the whole process group at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self) -> int:
        """SIGTERM, and SIGKILL if that does not help; returns the exit code."""
        self.signal(signal.SIGCONT)
        return stop(self.process, within=60)


def noted(notes: Path) -> Counter[str]:
    """Each line that the workers wrote, with how often."""
    return Counter(notes.read_text().splitlines()) if notes.exists() else Counter()


def let_end(notes: Path) -> None:
    """Let every task that lingers end."""
    notes.with_suffix(".end").touch()


def publish(broker: str, names: Iterable[str], task: str = "probe.note", *args: Any, queue: str = "imports") -> None:
    """Send one message for each name, as any Celery producer does (stock transport)."""
    with Celery(broker=broker) as app, app.connection_for_write() as connection:
        for name in names:
            app.send_task(task, [name, *args], queue=queue, connection=connection)
