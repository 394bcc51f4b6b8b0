"""Redis stops in every way it can and comes back: workers, beat and watcher go on by themselves."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import redis

from tests.support.processes import RunningSystem
from tests.support.waiting import eventually

Send = Callable[..., str]
PAUSE_MS = 2000


@dataclass(frozen=True)
class Running:
    system: RunningSystem
    worker: subprocess.Popen[bytes]
    watcher: subprocess.Popen[bytes]


@pytest.fixture
def running(system: RunningSystem) -> Iterator[Running]:
    folder = system.folder / "in"
    folder.mkdir(exist_ok=True)
    for key in ("sent", "watched"):
        system.sandbox.control.define(key)
    worker = system.worker()
    watcher = system.start(
        "watch", str(folder), "--stable-seconds", "0.1", "--rescan", "0.2", "--json", "--key", "watched"
    )
    eventually(lambda: "watch_started" in system.log_of(watcher).read_text(), 60, "the watcher scans")
    yield Running(system, worker, watcher)
    for file in folder.iterdir():
        file.unlink()


def is_noticed(running: Running) -> bool:
    log = running.system.log_of(running.worker).read_text()
    return "Error" in log or "got no reply" in log


def restart(running: Running) -> None:
    running.system.valkey.restart()


def crash(running: Running) -> None:
    running.system.valkey.kill()
    eventually(lambda: is_noticed(running), 60, "the worker has met an error")
    running.system.valkey.start()


def freeze(running: Running) -> None:
    running.system.valkey.pause()
    try:
        eventually(lambda: is_noticed(running), 60, "the worker misses its answer")
    finally:
        running.system.valkey.resume()


def pause_clients(running: Running) -> None:
    running.system.client.client_pause(PAUSE_MS)


def cut_connections(running: Running) -> None:
    running.system.client.client_kill_filter(_type="normal", skipme=True)


def send_when_possible(send: Send, key: str) -> str:
    sent: list[str] = []

    def try_to_send() -> bool:
        try:
            sent.append(send(key))
        except (redis.RedisError, OSError):
            return False
        return True

    eventually(try_to_send, 60, "a message can be sent")
    return sent[0]


def started_files(system: RunningSystem) -> set[str]:
    events = [event for event in system.events() if event["type"] == "sfmc.import.started"]
    return {event["data"]["file"]["name"] for event in events if event["data"]["file"]}


LONGER = [pytest.param(outage, marks=pytest.mark.nightly) for outage in (restart, freeze, pause_clients)]


@pytest.mark.parametrize("outage", [crash, cut_connections, *LONGER])
def test_workers_beat_and_watcher_recover_by_themselves(
    running: Running, send: Send, outage: Callable[[Running], None]
) -> None:
    system = running.system
    (system.folder / "in" / f"during-{outage.__name__}.csv").write_text("Key\n1\n")

    outage(running)

    file = f"after-{outage.__name__}.csv"
    (system.folder / "in" / file).write_text("Key\n1\n")
    request = send_when_possible(send, "sent")
    system.await_event("started", request)
    eventually(lambda: file in started_files(system), 60, "the watched file is started")
    system.await_idle()
    assert running.worker.poll() is None
    assert running.watcher.poll() is None
