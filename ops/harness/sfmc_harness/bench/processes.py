"""Starts the processes that are measured and reads their CPU time."""

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil

from sfmc_harness.bench.stand_in import CERTIFICATE
from sfmc_local.processes import spawn, stop

ACCOUNT_ID = "510001234"


@contextmanager
def running(*command: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python module or command for the length of a block, silent."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("SFMC_")} | settings
    child = spawn([sys.executable, *command], env=env, output=subprocess.DEVNULL, errors=subprocess.DEVNULL)
    try:
        yield child
    finally:
        stop(child, within=15)


@contextmanager
def sandbox() -> Iterator[str]:
    """Run a sandbox and give its address."""
    child = spawn([sys.executable, "-m", "sfmc_sandbox", "--port", "0", "--json"], output=subprocess.PIPE, errors=None)
    try:
        assert child.stdout is not None
        with child.stdout as printed:
            yield str(json.loads(printed.readline())["url"])
    finally:
        stop(child)


@contextmanager
def stand_in() -> Iterator[str]:
    """Run the stand-in for Marketing Cloud and give its address."""
    child = spawn([sys.executable, "-m", "sfmc_harness.bench.stand_in"], output=subprocess.PIPE, errors=None)
    try:
        assert child.stdout is not None
        with child.stdout as printed:
            yield printed.readline().decode().strip()
    finally:
        stop(child)


def ask(url: str, method: str = "GET", body: Mapping[str, Any] | None = None) -> Any:
    """Call the control API of the sandbox or of the stand-in."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = Request(url, data=data, method=method, headers=headers)  # noqa: S310 - always a server of this machine
    trust = ssl.create_default_context(cafile=CERTIFICATE) if url.startswith("https:") else None
    with urlopen(request, timeout=30, context=trust) as reply:  # noqa: S310 - always a server of this machine
        return json.loads(reply.read())


def login(url: str) -> dict[str, str]:
    """The settings that lead a worker to the sandbox or to the stand-in."""
    return {
        "SFMC_AUTH_URL": url,
        "SFMC_SOAP_URL": f"{url}/Service.asmx",
        "SFMC_CLIENT_ID": "demo-client",
        "SFMC_CLIENT_SECRET": "demo-secret",
        "SFMC_ACCOUNT_ID": ACCOUNT_ID,
        "SFMC_CA_BUNDLE": str(CERTIFICATE),
        # The vendor's advice would be the limit of most figures.
        "SFMC_CALLS_PER_MINUTE": "0",
    }


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children so far."""
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    return float(sum(times.user + times.system for times in (one.cpu_times() for one in family)))


def run_seconds(pid: int) -> float:
    """Give the CPU time of the threads that a process has now, by the scheduler's own count where there is one.

    Linux charges the time that `cpu_seconds` gives in ticks of 10 ms to who runs at a tick: too coarse for what wakes
    some times a second for a moment.
    """
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    try:
        counts = [task / "schedstat" for one in family for task in Path(f"/proc/{one.pid}/task").iterdir()]
        return sum(int(count.read_text().split()[0]) for count in counts) / 1e9
    except (OSError, ValueError, IndexError):
        return cpu_seconds(pid)


def wait_for(done: Callable[[], bool], what: str, seconds: float = 120.0, *, pause: float = 0.002) -> float:
    """Wait until `done` and give the seconds it took; ends the measurement when it takes too long."""
    begun = time.perf_counter()
    while not done():
        if time.perf_counter() - begun > seconds:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(pause)
    return time.perf_counter() - begun
