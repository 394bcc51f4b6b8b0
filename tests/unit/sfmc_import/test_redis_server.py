from typing import Any

import pytest

from sfmc_import.redis_server import Condition, Finding, Holds, check_server, is_doubtful, memory_finding

GOOD = {
    "redis_version": "7.2.4",
    "role": "master",
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "connected_slaves": 2,
    "min_slaves_good_slaves": 2,
}


def findings(
    appendfsync: str | None = "always", ahead: float = 0.0, durability: str = "none", replicas: int = 0, **info: Any
) -> dict[str, Finding]:
    condition = Condition(GOOD | info, appendfsync, ahead)
    return {finding.check: finding for finding in check_server(condition, durability=durability, replicas=replicas)}


def test_a_suitable_server_needs_no_fix() -> None:
    found = findings()

    assert {finding.level for finding in found.values()} == {"ok"}
    assert not any(finding.fix for finding in found.values())


@pytest.mark.parametrize(("version", "level"), [("6.0.16", "fail"), ("5.0", "fail"), ("6.2.0", "ok"), ("8.2.1", "ok")])
def test_redis_must_be_6_2_or_later(version: str, level: str) -> None:
    assert findings(redis_version=version)["version"].level == level


def test_confirmation_by_disk_needs_a_server_that_knows_it() -> None:
    assert findings(redis_version="7.0.15", durability="waitaof")["version"].level == "fail"
    assert findings(redis_version="7.2.0", durability="waitaof")["version"].level == "ok"


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "volatile-lru", "allkeys-random"])
def test_a_policy_that_evicts_is_refused(policy: str) -> None:
    found = findings(maxmemory_policy=policy)["eviction"]

    assert found.level == "fail"
    assert policy in found.text
    assert found.fix == "set maxmemory-policy noeviction in the configuration of Redis"


def test_a_replica_is_refused() -> None:
    assert findings(role="slave")["role"].level == "fail"


@pytest.mark.parametrize(
    ("info", "appendfsync", "durability", "level"),
    [
        ({"aof_enabled": 0}, "everysec", "none", "warn"),
        ({"aof_last_write_status": "err"}, "always", "none", "fail"),
        ({}, "everysec", "none", "warn"),
        ({}, None, "none", "warn"),
        ({"redis_version": "8.0.0"}, "everysec", "waitaof", "ok"),
        ({"redis_version": "7.4.2"}, "everysec", "waitaof", "warn"),
        ({"valkey_version": "9.1.2"}, "everysec", "waitaof", "warn"),
        ({"valkey_version": "9.1.2"}, "always", "waitaof", "ok"),
        ({}, "always", "none", "ok"),
    ],
)
def test_persistence_is_checked_with_the_setting_of_durability(
    info: dict[str, Any], appendfsync: str | None, durability: str, level: str
) -> None:
    assert findings(appendfsync, durability=durability, **info)["persistence"].level == level


@pytest.mark.parametrize(("replicas", "level"), [(1, "warn"), (0, None)])
def test_a_primary_with_replicas_that_takes_writes_without_them_is_named(replicas: int, level: str | None) -> None:
    info = {name: value for name, value in GOOD.items() if name != "min_slaves_good_slaves"}
    condition = Condition(info | {"connected_slaves": replicas}, "always", 0.0)
    found = {finding.check: finding.level for finding in check_server(condition)}

    assert found.get("failover") == level


def test_replicas_that_must_confirm_must_be_there() -> None:
    assert findings(durability="wait", replicas=3)["replicas"].level == "fail"
    assert "replicas" not in findings(durability="wait", replicas=2)
    assert "replicas" not in findings(durability="none", replicas=3)


@pytest.mark.parametrize(("ahead", "level"), [(4.0, "ok"), (-4.0, "ok"), (60.0, "warn"), (-60.0, "warn")])
def test_clocks_that_differ_are_reported(ahead: float, level: str) -> None:
    assert findings(ahead=ahead)["clock"].level == level


@pytest.mark.parametrize(("ahead", "is_named"), [(60.0, False), (-60.0, True)])
def test_what_a_clock_that_went_back_holds_is_named(ahead: float, is_named: bool) -> None:
    assert ("looked at with the next sweeps" in findings(ahead=ahead)["clock"].fix) is is_named


@pytest.mark.parametrize("info", [{"cluster_enabled": 1}, {"redis_mode": "cluster"}])
def test_a_cluster_is_refused(info: dict[str, Any]) -> None:
    assert findings(**info)["mode"].level == "fail"


@pytest.mark.parametrize(
    ("used", "limit", "machine", "level"),
    [
        (79, 100, 1000, "ok"),
        (80, 100, 1000, "warn"),
        (100, 100, 1000, "fail"),
        (90, 0, 100, "warn"),
        (100, 0, 100, "warn"),
        (90, 0, 0, "ok"),
    ],
)
def test_memory_that_runs_out_is_reported(used: int, limit: int, machine: int, level: str) -> None:
    found = findings(used_memory=used, maxmemory=limit, total_system_memory=machine)["memory"]

    assert found.level == level
    assert bool(found.fix) == (level != "ok")


MB = 2**20


@pytest.mark.parametrize(
    ("limit", "machine", "fix"),
    [
        (100, 400, "raise maxmemory of this Redis to 200 MB, in its configuration and by CONFIG SET; "),
        (100, 0, "raise maxmemory of this Redis to 200 MB"),
        (100, 399, "give the machine of this Redis more memory than its 399 MB, and raise maxmemory of this Redis to"),
        (0, 110, "give the machine of this Redis more memory than its 110 MB; "),
    ],
)
def test_what_to_raise_is_said_with_its_figure(limit: int, machine: int, fix: str) -> None:
    info = {"used_memory": 100 * MB, "maxmemory": limit * MB, "total_system_memory": machine * MB}

    assert memory_finding(info).fix.startswith(fix)


@pytest.mark.parametrize(
    ("holds", "said", "unsaid"),
    [
        ("all", ("delete no key by hand but dead letters", "SFMC_STREAM_MAXLEN"), ("queue",)),
        ("ledger", ("delete no key by hand", "SFMC_STREAM_MAXLEN"), ("dead letters", "queue")),
        ("queue", ("delete dead letters alone", "workers take what lies in the queue meanwhile"), ("SFMC_",)),
    ],
)
def test_what_may_be_deleted_depends_on_what_the_server_has(
    holds: Holds, said: tuple[str, ...], unsaid: tuple[str, ...]
) -> None:
    condition = Condition(GOOD | {"used_memory": 100, "maxmemory": 100}, "always", 0.0)
    (found,) = (each for each in check_server(condition, holds=holds) if each.check == "memory")

    assert [each in found.fix for each in said] == [True] * len(said)
    assert not any(each in found.fix for each in unsaid)


@pytest.mark.parametrize(
    "info",
    [
        {"used_memory": 80, "maxmemory": 100},
        {"aof_last_write_status": "err"},
        {"rdb_last_bgsave_status": "err"},
        {"role": "slave"},
        {"min_slaves_good_slaves": 0},
    ],
)
def test_a_server_that_may_refuse_writes_is_doubtful(info: dict[str, Any]) -> None:
    assert is_doubtful(GOOD | info)


@pytest.mark.parametrize("info", [{}, {"used_memory": 79, "maxmemory": 100}, {"used_memory": 99, "maxmemory": 0}])
def test_a_server_with_room_on_a_sound_disk_is_not(info: dict[str, Any]) -> None:
    assert not is_doubtful(GOOD | info)
