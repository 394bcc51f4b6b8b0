"""Connections to a target end in order: after an idle time, and when the process ends, also in the middle of a file."""

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from pydantic import SecretStr

from sfmc_import.ledger.keys import Keys
from sfmc_producers.delivery.content import LocalFile
from sfmc_producers.delivery.deliveries import Target
from sfmc_producers.delivery.job import Job
from sfmc_producers.delivery.opening import close_targets
from sfmc_producers.delivery.records import Held, Records
from sfmc_producers.delivery.sftp import SftpOptions, SftpSession
from sfmc_producers.stability import FileStat
from tests.support.sftp_server import PASSWORD, USER, SftpTestServer
from tests.support.waiting import eventually

LARGE = 64 * 1024 * 1024


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpTestServer]:
    (tmp_path / "served" / "Import").mkdir(parents=True)
    with SftpTestServer(tmp_path / "served") as made:
        yield made


@pytest.fixture
def client(redis_server: Any) -> Iterator[Any]:
    with redis_py.Redis.from_url(redis_server.url, socket_timeout=10) as made:
        yield made


@pytest.fixture
def job(tmp_path: Path) -> Job[str]:
    path = tmp_path / "orders.csv"
    path.write_text("Key\n1\n")
    return job_of(path)


def job_of(path: Path) -> Job[str]:
    seen = path.stat()
    content = partial(LocalFile, path, FileStat(path.name, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns))
    return Job("r1", "f1", "orders.csv", "sftp://there/Import", ("1", "orders"), content, lambda: "r1")


def opened(client: Any, server: SftpTestServer, **lines: Any) -> Target:
    """What one process has of the target."""
    given = {"host": "127.0.0.1", "port": server.port, "user": USER, "host_keys": (server.fingerprint,), "timeout": 30}
    options = SftpOptions.model_validate({**given, **lines})
    session = partial(SftpSession, options, SecretStr(PASSWORD))
    return Target("ftp", options, options.place, session, Records(client, Keys(), 60), lambda: 0.5, "u@127.0.0.1")


def test_a_connection_that_nothing_needs_is_closed_after_the_idle_time(client, server, job) -> None:
    target = opened(client, server, idle=0.1)
    eventually(lambda: target.take(job) == "r1", 30, "it is delivered")
    eventually(lambda: not server.open, 30, "it is closed")
    assert server.errors == [None]


def test_a_connection_is_closed_in_order_when_the_process_ends(client, server, job) -> None:
    target = opened(client, server)
    eventually(lambda: target.take(job) == "r1", 30, "it is delivered")
    assert len(server.open) == 1
    close_targets({"ftp": target}, 30)
    eventually(lambda: not server.open, 30, "it is closed")
    assert server.errors == [None]


class Gated(LocalFile):
    """Content of which all but the beginning comes when `gate` is open."""

    gate: threading.Event

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= LARGE // 2:
            self.gate.wait(60)
        return super().read(size)


def test_an_upload_stops_when_the_process_ends_and_the_next_one_goes_on_at_once(client, server, tmp_path) -> None:
    path = tmp_path / "large.csv"
    path.write_bytes(os.urandom(LARGE))
    whole, target, folder = job_of(path), opened(client, server), server.root / "Import"
    Gated.gate = threading.Event()
    gated = replace(whole, open_content=partial(Gated, *whole.open_content.args))  # type: ignore[attr-defined]
    target.take(gated)
    eventually(lambda: any(each.stat().st_size for each in folder.glob(".sfmc-*.part")), 30, "it is on its way")
    closing = threading.Thread(target=target.close, args=(60,))
    closing.start()
    eventually(lambda: target.take(gated) == Held("the program ends"), 30, "it is to end")
    Gated.gate.set()
    closing.join(60)
    assert [each.suffix for each in folder.iterdir()] == [".part"]
    eventually(lambda: not server.open, 30, "its connection is closed")
    assert server.errors == [None]

    second = opened(client, server)
    eventually(lambda: second.take(whole) == "r1", 60, "the next one has delivered it")
    assert (folder / "orders.csv").read_bytes() == path.read_bytes()
    second.close(30)


def test_no_more_connections_are_open_than_the_target_says(client, server, tmp_path) -> None:
    target, jobs = opened(client, server, connections=2), []
    for number in range(8):
        path = tmp_path / f"{number}.csv"
        path.write_text("Key\n1\n")
        name = {"request_id": f"r{number}", "fingerprint": f"f{number}", "name": path.name, "lane": ("1", path.name)}
        jobs.append(replace(job_of(path), **name))
    waiting = list(jobs)

    def are_done() -> bool:
        waiting[:] = [each for each in waiting if target.take(each) != "r1"]
        return not waiting

    eventually(are_done, 60, "all are delivered")
    target.close(30)
    assert sorted(each.name for each in (server.root / "Import").iterdir()) == sorted(each.name for each in jobs)
    assert server.peak == 2
