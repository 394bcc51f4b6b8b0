"""A process whose clock differs from that of Redis is named in every surface, until it agrees or ends."""

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sfmc_import.cli.doctor_clocks import time_of_ledger
from sfmc_import.cli.doctor_redis import check_redis
from sfmc_import.cli.overview import whole_lines
from sfmc_import.ledger.watching_keys import CLOCKS
from sfmc_import.operations.overview import overview
from sfmc_import.operations.status import status
from sfmc_import.settings import load
from tests.support.console import World, console_over


@pytest.fixture
def world(redis_server: Any) -> Iterator[World]:
    with console_over(redis_server.url) as made:
        yield made


def test_a_wrong_clock_is_said_by_status_api_console_and_doctor_until_it_agrees(world: World) -> None:
    world.client.note_clock("worker h:1", 900.4)
    said = "clock of the worker h:1 is 900 s ahead of that of Redis"
    found = [each for each in check_redis(world.access.settings, "worker") if said in each.text]

    assert [(each.level, each.check) for each in found] == [("warn", "clock")]
    assert said in " ".join(map(str, whole_lines(status(world.access))))
    assert said in world.person("viewer").see("/").text
    assert world.ask("GET", "/v1/status").json()["clocks"][0]["ahead"] == 900.4
    assert 0 < world.access.client.pttl(world.access.keys.name_of(CLOCKS)) <= 60_000

    world.client.note_clock("worker h:1", None)
    assert (status(world.access).clocks, overview(world.access).clocks) == ((), ())


def test_a_watcher_over_the_api_says_it_with_its_folders_and_takes_it_back_when_it_ends(world: World) -> None:
    for folders, clock, said in (([], -60.0, 1), ([], None, 0), ([], -60.0, 1), (None, -60.0, 0)):
        body = {"folders": folders} | ({} if clock is None else {"clock": clock})
        assert world.ask("PUT", "/v1/watchers/w", "source", json=body).status_code == 204
        assert len(status(world.access).clocks) == said


def test_what_a_process_said_last_a_minute_ago_is_forgotten(world: World) -> None:
    now, name = round(world.access.reader.now() * 1000), world.access.keys.name_of(CLOCKS)
    world.access.client.hset(name, "beat h:2", f"{now - 60_100} 5000")
    assert status(world.access).clocks == ()

    world.client.note_clock("beat h:3", 7.0)
    assert [each.process for each in status(world.access).clocks] == ["beat h:3"]
    assert world.access.client.hkeys(name) == [b"beat h:3"]


ANSWERS = {
    b"HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n",
    b"TIME": b"*2\r\n$10\r\n1900000000\r\n$6\r\n500000\r\n",
    b"PING": b"+PONG\r\n",
}


class _OtherTime(socketserver.StreamRequestHandler):
    """Answers as a Redis whose clock stands at one time."""

    def handle(self) -> None:
        while line := self.rfile.readline():
            words = [self._word() for _ in range(int(line[1:]))]
            self.wfile.write(ANSWERS.get(words[0], b"+OK\r\n"))

    def _word(self) -> bytes:
        length = int(self.rfile.readline()[1:])
        return self.rfile.read(length + 2)[:length]


@contextmanager
def redis_of_another_time() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _OtherTime) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        server.shutdown()
        thread.join(10)


def test_doctor_reckons_days_and_schedules_with_the_time_of_redis_and_without_it_with_its_own() -> None:
    with redis_of_another_time() as url:
        assert time_of_ledger(load({"SFMC_REDIS_URL": url})) == 1_900_000_000.5

    assert abs(time_of_ledger(load({"SFMC_REDIS_URL": url})) - time.time()) < 3600
