"""Notices that Redis lost writes it had confirmed: a thread of each worker that counts aloud; imported by Celery."""

import threading
from typing import Any
from uuid import uuid4

import structlog
from celery import signals

from worker.app import ImportApp, app
from worker.ports import Ledger, LedgerDownError

PULSE_SECONDS = 1.0
log = structlog.get_logger("worker.vigil")


class Vigil:
    """Writes a number into Redis every second; after a failover that lost the last one, starts become careful."""

    def __init__(self, ledger: Ledger, seconds: float = PULSE_SECONDS) -> None:
        self._ledger = ledger
        self._seconds = seconds
        self._who = uuid4().hex
        self._count = 1
        self._over = threading.Event()

    def start(self) -> None:
        """Begin in a thread of its own."""
        threading.Thread(target=self._run, name="vigil", daemon=True).start()

    def stop(self) -> None:
        """End it at the next pulse."""
        self._over.set()

    def beat(self) -> bool:
        """Write one number; True when the one before was lost. An absent Redis is no loss."""
        try:
            lost = self._ledger.pulse(self._who, self._count)
        except LedgerDownError:
            return False
        self._count += 1
        if lost:
            log.error("ledger_lost_writes", next="starts wait, and look for runs that the ledger does not know")
        return lost

    def _run(self) -> None:
        while not self._over.wait(self._seconds):
            self.beat()


def connect(made: ImportApp) -> None:
    """Keep vigil from the moment a worker is ready until it ends."""
    vigils: list[Vigil] = []

    def begin(**_: Any) -> None:
        vigils.append(Vigil(made.deps.ledger))
        vigils[-1].start()

    def end(**_: Any) -> None:
        for vigil in vigils:
            vigil.stop()

    signals.worker_ready.connect(begin, weak=False)
    signals.worker_shutdown.connect(end, weak=False)


connect(app)
