"""Tells the ledger every few seconds that this process lives, and ends a worker whose ledger belongs to another."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Literal
from uuid import uuid4

import structlog

from sfmc_import.ports import Ledger, LedgerUnavailableError
from sfmc_import.processes import Process

PRESENCE_SECONDS = 5.0
FIX = "give this deployment its own SFMC_PREFIX or Redis; to move the ledger: sfmc-import doctor --move-ledger"
log = structlog.get_logger("sfmc_import.presence")


class Presence:
    """The heartbeat of one worker or beat in the ledger, in a thread of its own; an absent Redis is waited for."""

    def __init__(
        self,
        ledger: Ledger,
        kind: Literal["worker", "beat"],
        name: str,
        account: str = "",
        seconds: float = PRESENCE_SECONDS,
    ) -> None:
        self._ledger = ledger
        self._process = Process(kind=kind, name=name, id=uuid4().hex[:12], account=account)
        self._seconds = seconds
        self._over = threading.Event()

    def announce(self) -> bool:
        """Note once that the process lives; False, with a line in the log, if the ledger is not of its account."""
        try:
            owner = self._ledger.present(self._process)
        except LedgerUnavailableError:
            return True
        account = self._process.account
        if not account or owner == account:
            return True
        log.error("ledger_of_another_account", account=account, ledger_account=owner, fix=FIX)
        return False

    def start(self, stop: Callable[[], object]) -> None:
        """Begin in a thread; `stop` is called when the ledger has come to another account."""
        threading.Thread(target=self._run, args=(stop,), name="presence", daemon=True).start()

    def end(self) -> None:
        """End it, and leave the ledger without this process."""
        self._over.set()
        with suppress(LedgerUnavailableError):
            self._ledger.absent(self._process)

    def _run(self, stop: Callable[[], object]) -> None:
        while not self._over.wait(self._seconds):
            if not self.announce():
                stop()
                return
