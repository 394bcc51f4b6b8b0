"""What people wait for: the help text, and a worker that is ready."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from sfmc_harness.bench.figures import Figure
from sfmc_harness.bench.processes import login, running, stand_in, wait_for
from sfmc_local.redis_server import Valkey


def figures() -> Iterator[Figure]:
    """Measure each in turn."""
    yield _help()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Valkey())
        url = stack.enter_context(stand_in())
        settings = login(url) | {"SFMC_REDIS_URL": server.url, "SFMC_LOG_LEVEL": "warning"}
        yield _ready(stack, folder, settings)


def _help() -> Figure:
    times = []
    for _ in range(7):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sfmc_import", "--help"], capture_output=True, check=True)
        times.append(time.perf_counter() - begun)
    return Figure("seconds of sfmc-import --help", statistics.median(times), 0.15, "median of 7", 1.0)


def _ready(stack: ExitStack, folder: Path, settings: dict[str, str]) -> Figure:
    heartbeat = folder / "heartbeat"
    own = settings | {"SFMC_HEARTBEAT_FILE": str(heartbeat)}
    begun = time.perf_counter()
    stack.enter_context(running("-m", "sfmc_import", "worker", **own))
    wait_for(lambda: heartbeat.is_file() and heartbeat.read_text().startswith("ready"), "a ready worker", 30)
    return Figure("seconds until a worker is ready", time.perf_counter() - begun, 3.0, "from its command on", 10.0)
