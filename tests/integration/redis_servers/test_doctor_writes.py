"""Doctor really writes: states of a real server in which it answers and takes no writes, each with what to do."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from sfmc_import.cli.doctor_redis import check_redis
from sfmc_import.redis_rights import RoleName, rules
from sfmc_import.redis_server import Finding
from sfmc_import.settings import load
from sfmc_local.redis_server import Valkey
from tests.support.waiting import eventually

PREFIX = "sfmc-import:"
Client = Any


@pytest.fixture
def admin(own_valkey: Valkey) -> Iterator[Client]:
    with redis_py.Redis.from_url(own_valkey.url, socket_timeout=10) as client:
        yield client
        # Else it could not end.
        client.config_set("min-replicas-to-write", 0)
        client.config_set("save", "")


def findings(url: str, role: RoleName = "worker", **environ: str) -> list[Finding]:
    return list(check_redis(load({"SFMC_REDIS_URL": url, **environ}), role))


def failed(url: str, role: RoleName = "worker", **environ: str) -> list[str]:
    """What fails; a server whose snapshot failed refuses even PING."""
    found = [one for one in findings(url, role, **environ) if one.level == "fail" and one.check in {"writes", "Redis"}]
    return [f"{one.text} | {one.fix}" for one in found]


def without_replicas(admin: Client) -> None:
    admin.config_set("min-replicas-to-write", 1)


def without_memory(admin: Client) -> None:
    admin.config_set("maxmemory", 1)


def without_snapshots(admin: Client) -> None:
    admin.config_set("save", "3600 1")
    snapshot = Path(admin.config_get("dir")["dir"], admin.config_get("dbfilename")["dbfilename"])
    snapshot.unlink(missing_ok=True)
    # A folder in the place of the file lets every snapshot fail, also for root.
    snapshot.mkdir()
    admin.bgsave()
    eventually(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err", 30, "the snapshot has failed")


def as_a_replica(admin: Client) -> None:
    admin.replicaof("127.0.0.1", 1)


@pytest.mark.parametrize(
    ("state", "text", "fix"),
    [
        (without_replicas, "min-replicas-to-write", "connect the replicas"),
        (without_memory, "has no memory left", "more memory"),
        (without_snapshots, "stop-writes-on-bgsave-error", "free space on the disk"),
        (as_a_replica, "is a replica", "set SFMC_REDIS_URL to the primary"),
    ],
)
def test_a_server_that_takes_no_writes_fails_and_it_is_said_what_to_do(
    own_valkey: Valkey, admin: Client, state: Callable[[Client], None], text: str, fix: str
) -> None:
    state(admin)

    [found] = failed(own_valkey.url)

    assert text in found
    assert fix in found.partition(" | ")[2]


def test_a_sound_server_is_written_to_and_keeps_nothing_of_it(own_valkey: Valkey, admin: Client) -> None:
    found = [one.level for one in findings(own_valkey.url) if one.check == "writes"]

    assert (found, admin.dbsize()) == (["ok"], 0)


@pytest.mark.parametrize("role", ["worker", "beat", "producer", "reader"])
def test_the_rights_of_each_role_are_enough_for_it(own_valkey: Valkey, admin: Client, role: RoleName) -> None:
    admin.execute_command("ACL", "SETUSER", "one", "reset", ">pw", *rules(role, PREFIX))

    assert failed(f"redis://one:pw@127.0.0.1:{own_valkey.port}/0", role) == []


def test_a_user_that_may_only_read_fails(own_valkey: Valkey, admin: Client) -> None:
    admin.execute_command("ACL", "SETUSER", "one", "reset", ">pw", *rules("reader", PREFIX))

    [found] = failed(f"redis://one:pw@127.0.0.1:{own_valkey.port}/0")

    assert "refused a command" in found
    assert "ops/docs/redis.md" in found


def test_the_server_of_the_broker_is_written_to_as_well(
    own_valkey: Valkey, admin: Client, redis_server: Valkey
) -> None:
    without_replicas(admin)

    [found] = failed(redis_server.url, SFMC_BROKER_URL=own_valkey.url)

    assert own_valkey.url.partition("://")[2].partition("?")[0] in found
    assert "min-replicas-to-write" in found
