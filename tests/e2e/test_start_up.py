"""How commands start: wrong settings, a Redis that is unavailable or too old, and the help of each command."""

import re
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis

from sfmc_import.errors import SINCE_WHEN
from sfmc_import.request import UPKEEP_QUEUE
from sfmc_local.processes import spawn, stop
from sfmc_local.redis_server import Valkey
from tests.support.waiting import eventually

LOGIN = {
    "SFMC_AUTH_URL": "http://127.0.0.1:9",
    "SFMC_SOAP_URL": "http://127.0.0.1:9/Service.asmx",
    "SFMC_CLIENT_ID": "id",
    "SFMC_CLIENT_SECRET": "geheim-1",
    "SFMC_ACCOUNT_ID": "510001234",
}
HEAVY = ("celery", "redis", "zeep", "pydantic", "structlog", "lxml", "kombu", "rich", "starlette")


def run(folder: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sfmc_import", *command],
        env={"PATH": "/usr/bin:/bin", **settings},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("command", ["worker", "beat", "status", "events", "follow", "doctor", "watch", "start"])
def test_wrong_settings_end_every_command_with_a_line_for_each(command: str, tmp_path: Path) -> None:
    argument = {"follow": ["1"], "watch": ["."], "start": ["key"]}.get(command, [])
    done = run(tmp_path, command, *argument, SFMC_REDIS_URL="nonsense", SFMC_CONCURENCY="3")

    shown = done.stdout + done.stderr
    assert done.returncode == (1 if command == "doctor" else 2)
    assert "SFMC_REDIS_URL: not an address of Redis" in shown
    assert "did you mean SFMC_CONCURRENCY?" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("command", ["status", "events", "follow", "dead-letters", "start"])
def test_a_redis_that_is_away_is_one_clear_line_with_the_way_out(command: str, tmp_path: Path) -> None:
    argument = {"follow": ["1", "--mid", "7"], "start": ["orders", "--mid", "7"]}.get(command, [])
    done = run(tmp_path, command, *argument, SFMC_REDIS_URL="redis://:geheim-1@127.0.0.1:9/0")

    assert done.returncode == 1
    assert done.stderr.startswith("sfmc-import: Redis at redis://127.0.0.1:9/0 does not answer")
    assert done.stderr.splitlines()[1:] == ["  start it, or set SFMC_REDIS_URL", f"  {SINCE_WHEN}"]
    assert "geheim-1" not in done.stderr


def test_a_worker_without_a_login_says_all_that_is_missing(tmp_path: Path) -> None:
    done = run(tmp_path, "worker")

    assert done.returncode == 2
    assert done.stderr.startswith("sfmc-import: 5 settings are wrong")


def test_wrong_settings_end_celerys_own_command_without_a_traceback(tmp_path: Path) -> None:
    celery = [sys.executable, "-m", "celery", "-A", "sfmc_import.celery_app", "worker"]
    wrong = {"PATH": "/usr/bin:/bin", "SFMC_REDIS_URL": "nonsense", "SFMC_CONCURENCY": "3"}
    done = subprocess.run(celery, env=wrong, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert "SFMC_REDIS_URL: not an address of Redis" in done.stderr
    assert "did you mean SFMC_CONCURRENCY?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["worker", "beat"])
def test_a_redis_that_evicts_is_refused_in_one_line(command: str, tmp_path: Path) -> None:
    with Valkey(options={"maxmemory-policy": "allkeys-lru", "maxmemory": "50mb"}) as server:
        done = run(tmp_path, command, **LOGIN, SFMC_REDIS_URL=server.url)

    refusals = [line for line in done.stderr.splitlines() if "redis_check_failed" in line]
    assert done.returncode == 1
    assert len(refusals) == 1
    assert "allkeys-lru" in refusals[0]
    assert "set maxmemory-policy noeviction" in refusals[0]
    assert "Traceback" not in done.stderr


@contextmanager
def older_than_it_is(server: Valkey) -> Iterator[str]:
    """Yield the address of a server that reports Redis 6.0.9, and is `server` otherwise."""

    class Pretender(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", server.port)) as real:
                threading.Thread(target=pipe, args=(self.request, real), daemon=True).start()
                pipe(real, self.request)

    def pipe(source: socket.socket, drain: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                drain.sendall(re.sub(rb"redis_version:\d\.\d\.\d", b"redis_version:6.0.9", data))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Pretender) as pretender:
        pretender.daemon_threads = True
        threading.Thread(target=pretender.serve_forever, daemon=True).start()
        yield f"redis://127.0.0.1:{pretender.server_address[1]}/0"
        pretender.shutdown()


@pytest.mark.parametrize("command", ["worker", "beat", "doctor"])
def test_a_redis_older_than_6_2_is_refused_in_one_line(command: str, tmp_path: Path, own_valkey: Valkey) -> None:
    with older_than_it_is(own_valkey) as address:
        done = run(tmp_path, command, **LOGIN, SFMC_REDIS_URL=address)

    shown = done.stdout + done.stderr
    assert done.returncode == 1
    assert [line.count("too old") for line in shown.splitlines() if "too old" in line] == [1]
    assert "6.2" in shown
    assert "Traceback" not in shown


def test_a_worker_waits_for_a_redis_that_is_away_and_then_begins(tmp_path: Path, own_valkey: Valkey) -> None:
    own_valkey.kill()
    heartbeat, log = tmp_path / "heart", tmp_path / "log"
    environment = {**LOGIN, "SFMC_REDIS_URL": own_valkey.tcp_url, "SFMC_HEARTBEAT_FILE": str(heartbeat)}
    with log.open("wb") as output:
        command = [sys.executable, "-m", "sfmc_import", "worker"]
        worker = spawn(command, env={"PATH": "/usr/bin:/bin", **environment}, output=output, errors=output)
    eventually(lambda: "redis_unreachable" in log.read_text(), 60, "the worker says that it waits")
    alive_while_waiting = heartbeat.read_text()
    own_valkey.restart()
    eventually(lambda: heartbeat.read_text().startswith("ready"), 60, "the worker takes messages")
    code = stop(worker, within=60)

    assert alive_while_waiting.startswith("starting")
    assert code == 0
    assert "Traceback" not in log.read_text()


def test_beat_leaves_nothing_on_disk(tmp_path: Path, own_valkey: Valkey) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "sfmc_import", "beat"],
        env={"PATH": "/usr/bin:/bin", "SFMC_REDIS_URL": own_valkey.tcp_url},
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    ) as beat:
        try:
            with redis.Redis.from_url(own_valkey.url, socket_timeout=10) as client:
                eventually(lambda: client.llen(UPKEEP_QUEUE), 60, "beat sends sweeps")
        finally:
            beat.terminate()

    assert beat.returncode == 0
    assert list(tmp_path.iterdir()) == []


def loaded_by(*arguments: str) -> list[str]:
    """The heavy libraries that a process has loaded when a command has ended."""
    code = f"""
import sys
from sfmc_import.cli.main import cli
try:
    cli.main({list(arguments)!r}, standalone_mode=False)
except SystemExit:
    pass
print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stderr.split()


def test_help_loads_no_heavy_library() -> None:
    assert loaded_by("--help") == []


def test_health_loads_no_heavy_library(tmp_path: Path) -> None:
    (tmp_path / "heart").write_text("ready 0\n")

    assert loaded_by("health", "--file", str(tmp_path / "heart")) == []


COMMANDS = ["worker", "beat", "watch", "start", "follow", "status", "events", "doctor", "dead-letters", "health"]
COMMANDS += ["resolve", "demo", "sandbox"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, tmp_path: Path) -> None:
    done = run(tmp_path, command, "--help")

    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: sfmc-import {command}")
    assert len(done.stdout.splitlines()) > 8


def test_the_help_lists_every_command(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")

    assert done.returncode == 0
    assert all(f"\n  {command} " in done.stdout for command in COMMANDS)


def test_a_mistyped_command_is_guessed(tmp_path: Path) -> None:
    done = run(tmp_path, "wroker")

    assert done.returncode == 2
    assert "Did you mean 'worker'?" in done.stderr
