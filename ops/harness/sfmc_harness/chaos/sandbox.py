"""The sandbox of a chaos run: its process, its definitions and files, and the faults of its calls."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

from sfmc_harness.chaos.midnight import ZONE
from sfmc_harness.chaos.plan import ANY_FILE, DATED_FILE, EXACT_FILE, FIRST, SECOND, Midnight, Plan
from sfmc_local.processes import spawn, stop

CLIENT_ID, CLIENT_SECRET = "demo-client", "demo-secret"
ROWS = "Key,Value\n1,one\n2,two\n"
RESULTS = {"object_type": "ImportResultsSummary"}
SLOW, BOMB = {"bytes_per_second": 40.0}, {"megabytes": 300}

SHARES: tuple[tuple[str, str, str, float, Mapping[str, Any]], ...] = (
    ("calls", "Perform", "drop_before_applying", 0.2, {}),
    ("calls", "Perform", "drop_after_applying", 0.2, {}),
    ("calls", "Perform", "late_row", 0.2, {"seconds": 3.0}),
    ("calls", "Perform", "http_500", 0.1, {}),
    ("calls", "Perform", "http_500_after_applying", 0.1, {}),
    ("calls", "Perform", "fault_13", 0.1, {}),
    ("calls", "Perform", "fault_2_after_applying", 0.05, {}),
    ("calls", "Perform", "truncated", 0.05, {}),
    ("calls", "Perform", "delay_after_applying", 0.1, {"seconds": 4.0}),
    ("calls", "Perform", "slow_run", 0.2, {"seconds": 2.0}),
    ("calls", "Perform", "error_run", 0.1, {}),
    ("calls", "Retrieve", "http_500", 0.1, {}),
    ("calls", "Retrieve", "drop_before_applying", 0.1, {}),
    ("calls", "Retrieve", "fault_17", 0.1, {}),
    ("calls", "Retrieve", "delay", 0.2, {"seconds": 0.5}),
    ("calls", "Token", "http_500", 0.1, {}),
    ("hang", "Perform", "hang", 0.05, {}),
    ("hang", "Perform", "hang_after_applying", 0.1, {}),
    ("hang", "Retrieve", "hang", 0.05, {}),
    ("hang", "Token", "hang", 0.1, {}),
    ("trickle", "Perform", "trickle", 0.1, SLOW),
    ("trickle", "Perform", "trickle_all", 0.05, SLOW),
    ("trickle", "Retrieve", "trickle", 0.05, SLOW),
    ("trickle", "Token", "trickle_all", 0.1, SLOW),
    ("bomb", "Perform", "gzip_bomb", 0.1, BOMB),
    ("bomb", "Retrieve", "gzip_bomb", 0.05, BOMB),
    ("bomb", "Token", "gzip_bomb", 0.1, BOMB),
    ("slow-polls", "Retrieve", "delay", 0.2, {**RESULTS, "seconds": 2.0}),
    ("slow-polls", "Retrieve", "slow_drip", 0.1, {**RESULTS, "seconds": 6.0}),
)
"""Which of FAULTS it belongs to, operation, fault, and its share of the whole fault rate.

Every row appears before reconciling ends: a start that ends as unknown although its row was there is a violation.
"""

OUTAGES: Mapping[str, Mapping[str, Any]] = {
    "token-refused": {"operation": "Token", "fault": "token_refused"},
    "account-wide": {"operation": "*", "fault": "account_wide", "retry_after": "1"},
    "slow-polls": {"operation": "Retrieve", "fault": "delay", **RESULTS, "seconds": 4.0},
}
"""What hits every such call for a while."""


class Sandbox:
    """The process and its control API; use as a context manager. `zones` is the folder of its time zone."""

    def __init__(self, folder: Path, zones: Path, midnight: Midnight) -> None:
        self._folder, self._zones, self._midnight = folder, zones, midnight
        self._process: subprocess.Popen[bytes] | None = None
        self._fired: Counter[str] = Counter()
        self.port = 0

    def __enter__(self) -> Self:
        for deployment in (FIRST, SECOND):
            self._fill(self._folder / deployment.account_id / "ExactTarget Enhanced FTP" / "Import")
        command = [sys.executable, "-m", "sfmc_sandbox", "--port", "0", "--json", "--data", str(self._folder)]
        command += ["--account-id", FIRST.account_id, "--account-id", SECOND.account_id, "--time-zone", ZONE]
        env = {**os.environ, "PYTHONTZPATH": str(self._zones)}
        self._process = spawn(command, env=env, output=subprocess.PIPE, errors=subprocess.DEVNULL)
        assert self._process.stdout is not None
        self.port = int(json.loads(self._process.stdout.readline())["url"].rpartition(":")[2])
        return self

    def _fill(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        dated = [DATED_FILE.replace("%%YEAR%%%%MONTH%%%%DAY%%", day) for day in self._midnight.days]
        for name in (ANY_FILE, EXACT_FILE, *dated):
            (folder / name).write_text(ROWS)

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            stop(self._process)

    def define(self, plan: Plan) -> None:
        """Make the definitions of a plan, in the business unit of each deployment."""
        for deployment in plan.deployments:
            for key, spec in plan.file_specs.items():
                definition = {"CustomerKey": key, "FileSpec": spec, "UpdateType": "AddAndUpdate"}
                self._ask("definitions", "POST", {**definition, "mid": int(deployment.account_id)})

    def add_faults(self, plan: Plan) -> None:
        """Let calls fail from now on, as often as the plan says."""
        for number, (group, operation, fault, share, more) in enumerate(SHARES):
            odds = {"probability": min(1.0, share * plan.fault_rate), "seed": plan.seed * 100 + number}
            if plan.has(group):
                self._ask("faults", "POST", {"operation": operation, "fault": fault, **odds, **more})

    def begin_outage(self, name: str) -> int:
        """Let every call of one of OUTAGES fail; gives the number by which it is ended."""
        return int(self._ask("faults", "POST", OUTAGES[name])["id"])

    def end_outage(self, number: int) -> None:
        """End one outage that was begun; what `clear_faults` has ended is no error."""
        rules = self._ask("faults")
        found = [rule for rule in rules if rule["id"] == number]
        if found:
            self._ask(f"faults/{number}", "DELETE")
            self._fired += _fired(found)

    def clear_faults(self) -> Counter[str]:
        """Remove all faults; return how many calls failed because of each since the last time."""
        failed = self._fired + _fired(self._ask("faults"))
        self._fired = Counter()
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


def _fired(rules: list[dict[str, Any]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for rule in rules:
        found[f"{rule['operation']}: {rule['fault']}"] += int(rule["fired"])
    return +found


def login(port: int) -> Iterator[tuple[str, str]]:
    """Yield the settings that lead a process to the sandbox, or to a proxy before it."""
    yield "SFMC_AUTH_URL", f"http://127.0.0.1:{port}"
    yield "SFMC_SOAP_URL", f"http://127.0.0.1:{port}/Service.asmx"
    yield "SFMC_CLIENT_ID", CLIENT_ID
    yield "SFMC_CLIENT_SECRET", CLIENT_SECRET
    yield "SFMC_TIME_ZONE", ZONE
