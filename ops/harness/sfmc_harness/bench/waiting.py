"""What people and files wait for: the help text, a worker that is ready, a stable file until its Perform."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from sfmc_harness.bench.figures import Figure
from sfmc_harness.bench.processes import ask, login, running, stand_in, wait_for
from sfmc_harness.bench.stand_in import HISTORY, file_of
from sfmc_local.redis_server import Valkey

FILES = 30
STABLE_SECONDS = 0.2


def figures() -> Iterator[Figure]:
    """Measure each in turn."""
    yield _help()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Valkey())
        url = stack.enter_context(stand_in())
        settings = login(url) | {"SFMC_REDIS_URL": server.url, "SFMC_LOG_LEVEL": "warning"}
        yield _ready(stack, folder, settings)
        yield _first_perform(stack, folder / "arrivals", url, settings)


def _help() -> Figure:
    times = []
    for _ in range(7):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sfmc_import", "--help"], capture_output=True, check=True)
        times.append(time.perf_counter() - begun)
    return Figure("seconds of sfmc-import --help", statistics.median(times), 0.3, "median of 7", 1.0)


def _ready(stack: ExitStack, folder: Path, settings: dict[str, str]) -> Figure:
    heartbeat = folder / "heartbeat"
    own = settings | {"SFMC_HEARTBEAT_FILE": str(heartbeat)}
    begun = time.perf_counter()
    stack.enter_context(running("-m", "sfmc_import", "worker", **own))
    wait_for(lambda: heartbeat.is_file() and heartbeat.read_text().startswith("ready"), "a ready worker", 30)
    return Figure("seconds until a worker is ready", time.perf_counter() - begun, 3.0, "from its command on", 10.0)


def _first_perform(stack: ExitStack, arrivals: Path, url: str, settings: dict[str, str]) -> Figure:
    """Write files one by one and compare their time with the stand-in's record of the start."""
    arrivals.mkdir()
    ask(f"{url}/set?definitions={FILES}")
    options = ("--stable-seconds", str(STABLE_SECONDS), "--scans", "2")
    stack.enter_context(running("-m", "sfmc_import", "watch", str(arrivals), *options, **settings))
    delays = [_delay(arrivals, url, number) for number in range(FILES)]
    # The first files pay for connections and tokens that every later one finds open.
    median = statistics.median(sorted(delays)[: FILES - 3])
    detail = f"median of {FILES}, least {min(delays):.0f}; {HISTORY} rows of history, HTTPS"
    return Figure("ms from a stable file to Perform", median, 10.0, detail, 500.0)


def _delay(arrivals: Path, url: str, number: int) -> float:
    key, written = f"file-{number}", time.time()
    (arrivals / file_of(key)).write_text("Key,Value\n1,one\n")

    def performs() -> list[float]:
        return [moment for started, moment in ask(f"{url}/performs") if started == key]

    wait_for(lambda: bool(performs()), f"the start of file {number}", 60, pause=0.02)
    return (performs()[0] - written - STABLE_SECONDS) * 1000


if __name__ == "__main__":
    for figure in figures():
        print(figure)
