"""How long one watcher takes to accept many files that lie in its folder."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis import Redis

from sfmc_harness.bench.figures import Figure, expect
from sfmc_harness.bench.processes import login, running, stand_in, wait_for
from sfmc_harness.bench.rounds import STREAM
from sfmc_local.redis_server import Valkey

FILES, PROMISED = 10_000, 100_000
_SECONDS = 600.0


def figures(files: int = FILES) -> Iterator[Figure]:
    """Count from the first accepted file to the last one, on the clock of Redis."""
    with tempfile.TemporaryDirectory() as folder, Valkey() as server, stand_in() as url:
        for number in range(files):
            (Path(folder) / f"{number:05}.csv").write_text("a\n1\n")
        settings = login(url) | {"SFMC_REDIS_URL": server.url, "SFMC_LOG_LEVEL": "warning"}
        command = ("-m", "sfmc_import", "watch", folder, "--key", "bench", "--stable-seconds", "1", "--scans", "2")
        with Redis(unix_socket_path=str(server.socket_path)) as client, running(*command, **settings):
            wait_for(lambda: _accepted(client) >= files, f"{files} accepted files", _SECONDS, pause=0.5)
            expect("files", {"accepted": files}, {"accepted": _accepted(client)})
            seconds = _milliseconds(client.xrevrange(STREAM, count=1)) - _milliseconds(client.xrange(STREAM, count=1))
    value = seconds / 1000 / files * PROMISED
    yield Figure(f"seconds to accept {PROMISED} stable files", value, 45.0, f"measured with {files}", 400.0)


def _accepted(client: "Redis") -> int:
    number: Any = client.xlen(STREAM)
    return int(number)


def _milliseconds(entries: Any) -> int:
    [(name, _)] = entries
    return int(name.split(b"-")[0])
