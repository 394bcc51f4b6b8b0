"""Redis loses what its disk had not: what a source has let go of is not among it where that is to be confirmed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_py
from celery import Celery

from sfmc_local.redis_server import Valkey, find_server, version_of
from tests.e2e.test_lost_writes import append_only_file, lose_writes_since
from tests.support.processes import RunningSystem, running_system
from tests.support.sources import running_source
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(version_of(find_server()) < (7, 2), reason="WAITAOF came with Redis 7.2")

FOLDER = """
[[source]]
name = "arrivals"
kind = "folder"
path = "{place}"
customer_key = "orders"
after = "delete"
stable_seconds = 0.2
rescan = 0.3
"""
STREAM = """
[[source]]
name = "arrivals"
kind = "stream"
key = "drop"
redis_url = "{place}"
customer_key = "orders"
claim_after = "1s"
"""
FILES = [f"{number}.csv" for number in range(20)]


@pytest.fixture
def system() -> Iterator[RunningSystem]:
    """Without workers: requests are recorded only."""
    with running_system() as made:
        yield made


def recorded(system: RunningSystem) -> list[str]:
    return sorted(each["data"]["file"]["name"] for each in system.events() if each["type"] == "sfmc.import.accepted")


def holds_up_its_disk(system: RunningSystem) -> int:
    """Let the server write nothing to disk for good from now on; gives how much of its file is there."""
    system.client.config_set("appendfsync", "no")
    return append_only_file(system).stat().st_size


def put(folder: Path) -> None:
    for name in FILES:
        (folder / name).write_text("id\n1\n")


def test_without_confirmation_files_that_were_deleted_are_lost_with_their_requests(
    system: RunningSystem, tmp_path: Path
) -> None:
    with running_source(system, "arrivals", FOLDER.format(place=tmp_path)):
        size = holds_up_its_disk(system)
        put(tmp_path)
        eventually(lambda: not any(tmp_path.iterdir()), 30, "the files are deleted")
        lose_writes_since(system, size)

    assert recorded(system) == []


def test_with_waitaof_files_are_deleted_when_their_requests_are_on_disk_and_none_is_lost(
    system: RunningSystem, tmp_path: Path
) -> None:
    with running_source(system, "arrivals", FOLDER.format(place=tmp_path), SFMC_DURABILITY="waitaof"):
        size = holds_up_its_disk(system)
        put(tmp_path)
        eventually(lambda: recorded(system) == sorted(FILES), 30, "the files are recorded")
        eventually(lambda: "has not confirmed" in system.run("status").stdout, 30, "why they stay is shown")
        assert len(list(tmp_path.iterdir())) == len(FILES)

        lose_writes_since(system, size)
        eventually(lambda: not any(tmp_path.iterdir()), 60, "the files are deleted after the crash")

    assert recorded(system) == sorted(FILES)


def test_with_waitaof_entries_of_another_redis_are_acknowledged_when_their_requests_are_on_disk(
    system: RunningSystem, own_valkey: Valkey
) -> None:
    with redis_py.Redis.from_url(own_valkey.url) as queue:
        source = STREAM.format(place=own_valkey.url)
        with running_source(system, "arrivals", source, SFMC_DURABILITY="waitaof"):
            eventually(lambda: queue.exists("drop") and queue.xinfo_groups("drop"), 30, "the source reads")
            size = holds_up_its_disk(system)
            for name in FILES:
                event = {"file": {"location": "/in", "name": name, "size": 1, "version": "1"}}
                queue.xadd("drop", {"event": json.dumps(event)})
            taken = eventually(lambda: recorded(system), 30, "entries are recorded")
            assert queue.xpending("drop", "sfmc-import")["pending"] >= len(taken)

            lose_writes_since(system, size)
            eventually(lambda: recorded(system) == sorted(FILES), 60, "all are recorded after the crash")
            eventually(lambda: not queue.xpending("drop", "sfmc-import")["pending"], 60, "all are acknowledged")


def test_a_message_of_another_redis_stays_there_until_its_request_is_on_disk(
    system: RunningSystem, own_valkey: Valkey
) -> None:
    apart = {"SFMC_DURABILITY": "waitaof", "SFMC_BROKER_URL": own_valkey.url}
    system.worker(**apart)
    size = holds_up_its_disk(system)
    with Celery("producer", broker=own_valkey.celery_url, set_as_current=False) as sender:
        sender.send_task("imports.start", kwargs={"customer_key": "unknown"}, queue="imports", task_id="r")
    system.await_event("rejected", "r")
    lose_writes_since(system, size)

    eventually(lambda: "accepted" in system.names("r"), 60, "its request is recorded once more")
    with redis_py.Redis.from_url(own_valkey.url) as broker:
        eventually(lambda: not list(broker.scan_iter("*inflight*")), 60, "it is acknowledged")
