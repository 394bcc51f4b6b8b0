"""What the tests look for in a running system: calls under way, what a worker wrote, how requests ended."""

import json
import subprocess
from collections.abc import Iterable

from sfmc_import.ledger.keys import Keys
from sfmc_import.states import TERMINAL
from tests.support.processes import RunningSystem
from tests.support.waiting import eventually

KEYS = Keys()


def await_sending(system: RunningSystem, request_id: str) -> None:
    """Wait until the intent is written: Perform is being sent, or is under way."""
    eventually(lambda: system.client.hget(KEYS.request(request_id), "sent") == b"1", 60, "Perform is under way")


def seconds_until_due(system: RunningSystem, request_id: str) -> float:
    """Say in how many seconds the ledger wants a request to be taken up, whatever becomes of its worker."""
    seconds, micros = system.client.time()
    return system.client.zscore(KEYS.due, request_id) / 1000 - (seconds + micros / 1e6)


def await_applied(system: RunningSystem, key: str) -> None:
    """Wait until the sandbox has applied a start of this definition."""
    eventually(lambda: system.sandbox.control.performs(key), 60, "the start is applied")


def await_ends(system: RunningSystem, request_ids: Iterable[str], within: float) -> dict[str, str]:
    """Wait until each request has its terminal event; gives how each ended."""
    wanted = set(request_ids)

    def ended() -> dict[str, str]:
        names = {e["data"].get("request_id"): e["type"].removeprefix("sfmc.import.") for e in system.events()}
        found = {request: name for request, name in names.items() if request in wanted and name in TERMINAL}
        return found if set(found) == wanted else {}

    return eventually(ended, within, f"all {len(wanted)} requests have ended")


def lines_of(system: RunningSystem, child: subprocess.Popen[bytes], event: str) -> list[dict[str, object]]:
    """The lines that a process logged for one event."""
    lines = [line for line in system.log_of(child).read_text().splitlines() if line.startswith("{")]
    return [entry for entry in map(json.loads, lines) if entry["event"] == event]
