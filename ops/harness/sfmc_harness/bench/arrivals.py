"""How long a stable file waits for its Perform, in a folder of few files and in one of many."""

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from redis import Redis

from sfmc_harness.bench.figures import Figure
from sfmc_harness.bench.processes import ask, login, running, stand_in, wait_for
from sfmc_harness.bench.rounds import STREAM, make_known
from sfmc_harness.bench.stand_in import HISTORY, file_of
from sfmc_import.request import QUEUE
from sfmc_local.redis_server import Valkey
from sfmc_transport.queues import lists_of

FILES, FEW, MANY = 30, 20, 20_000
STABLE_SECONDS = 0.3
_SECONDS = 300.0
_POLICY = '[[route]]\npattern = "old-*.csv"\ncustomer_key = "old"\n'


def figures(files: int = FILES, many: int = MANY) -> Iterator[Figure]:
    """Write files one by one and compare their times with the stand-in's record of the starts."""
    yield _first_perform(files, FEW, 10.0)
    yield _first_perform(files, many, 15.0)


def _first_perform(files: int, old: int, goal: float) -> Figure:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Valkey())
        url = stack.enter_context(stand_in())
        client = stack.enter_context(Redis(unix_socket_path=str(server.socket_path)))
        _start(stack, client, folder, login(url) | {"SFMC_REDIS_URL": server.url}, old)
        ask(f"{url}/set?definitions={files}")
        delays = [_delay(folder / "in", url, number) for number in range(files)]
        taken = _accepted_after(client, folder / "in", files)
    # The first files pay for connections and tokens that every later one finds open.
    median = statistics.median(sorted(delays)[: files - 3])
    detail = f"median of {files}, least {min(delays):.0f}; accepted after {taken:.0f}; {HISTORY} rows of history, HTTPS"
    return Figure(f"ms from a stable file to Perform, in a folder of {old} files", median, goal, detail, 400.0)


def _start(stack: ExitStack, client: "Redis", folder: Path, settings: dict[str, str], old: int) -> None:
    """Start a watcher over files that are accepted already, and a worker that has nothing to do."""
    make_known(client)
    (folder / "in").mkdir()
    for number in range(old):
        (folder / "in" / f"old-{number:05}.csv").write_text("a\n1\n")
    policy, heartbeat = folder / "policy.toml", folder / "heartbeat"
    policy.write_text(_POLICY)
    own = settings | {"SFMC_LOG_LEVEL": "warning", "SFMC_CONFIG": str(policy), "SFMC_HEARTBEAT_FILE": str(heartbeat)}
    options = ("--stable-seconds", str(STABLE_SECONDS), "--scans", "2")
    stack.enter_context(running("-m", "sfmc_import", "watch", str(folder / "in"), *options, **own))
    wait_for(lambda: _length(client) >= old, f"{old} accepted files", _SECONDS, pause=0.1)
    time.sleep(1.0)
    client.delete(*lists_of(QUEUE))
    stack.enter_context(running("-m", "sfmc_import", "worker", **own))
    wait_for(lambda: heartbeat.is_file() and heartbeat.read_text().startswith("ready"), "a ready worker", 60)


def _delay(arrivals: Path, url: str, number: int) -> float:
    key, written = f"file-{number}", time.time()
    (arrivals / file_of(key)).write_text("Key,Value\n1,one\n")

    def performs() -> list[float]:
        return [moment for started, moment in ask(f"{url}/performs") if started == key]

    wait_for(lambda: bool(performs()), f"the start of file {number}", 60, pause=0.02)
    return (performs()[0] - written - STABLE_SECONDS) * 1000


def _accepted_after(client: "Redis", folder: Path, files: int) -> float:
    """Give the median milliseconds from a stable file to its event `accepted`."""
    entries: Any = client.xrevrange(STREAM, count=20 * files)
    events = [(int(name.split(b"-")[0]), json.loads(fields[b"event"])) for name, fields in entries]
    accepted = [(at, event["subject"]) for at, event in events if event["type"] == "sfmc.import.accepted"]
    ours = [(at, folder / file_of(key)) for at, key in accepted if key.startswith("file-")]
    return statistics.median(at - (path.stat().st_ctime + STABLE_SECONDS) * 1000 for at, path in ours)


def _length(client: "Redis") -> int:
    number: Any = client.xlen(STREAM)
    return int(number)
