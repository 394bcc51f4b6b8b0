"""Since when Redis takes nothing, and that a pause had ended: a command that has just begun says it too."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from redis import Redis

from sfmc_import.access import ReadAccess
from sfmc_import.cli.main import cli
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.ledger.operator_keys import PAUSES
from sfmc_import.operations.status import status
from sfmc_import.outage_memory import OutageMemory
from sfmc_import.processes import LATE_SECONDS, Process
from sfmc_import.settings import load
from tests.support.console import MID, World, console_over

WORKER = Process(kind="worker", name="one@host", id="one", account="")


@pytest.fixture
def world(redis_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("SFMC_REDIS_URL", redis_server.url)
    monkeypatch.setenv("SFMC_ACCOUNT_ID", MID)
    with console_over(redis_server.url) as made:
        yield made


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    # With a trouble of Redis it ends with an exit code of its own.
    with suppress(SystemExit):
        cli.main(list(words), "sfmc-import", standalone_mode=False)
    return " ".join(capsys.readouterr().out.split())


def test_since_when_redis_is_full_is_known_by_the_heartbeats_that_it_takes_all_the_same(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = open_ledger(world.access.settings)
    ledger.present(WORKER)
    assert world.access.reader.full_since() is None
    person = world.person("viewer")
    world.access.client.config_set("maxmemory", 1)
    try:
        ledger.present(WORKER)
        shown, page = said(capsys, "status"), person.see("/").text
        [found] = status(ReadAccess(world.access.settings)).servers
    finally:
        world.access.client.config_set("maxmemory", 0)

    assert found.since is not None
    assert found.since.timestamp() == world.access.reader.full_since()
    since = f", since {found.since:%Y-%m-%d %H:%M:%S} UTC or before"
    assert (since in shown, since in page) == (True, True)
    ledger.present(WORKER)
    assert world.access.reader.full_since() is None


def test_since_when_a_server_is_a_replica_is_known_by_the_last_heartbeat_that_it_took(
    own_valkey: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load({"SFMC_REDIS_URL": own_valkey.url, "SFMC_ACCOUNT_ID": MID})
    access = ReadAccess(settings)
    open_ledger(settings).present(WORKER)
    taken = access.reader.now() - LATE_SECONDS - 60
    access.client.zadd(access.keys.processes, {WORKER.as_text(): taken * 1000})
    monkeypatch.setenv("SFMC_REDIS_URL", own_valkey.url)
    monkeypatch.setenv("SFMC_ACCOUNT_ID", MID)
    with Redis.from_url(own_valkey.url) as client:
        client.replicaof("127.0.0.1", 9)
        try:
            shown = said(capsys, "status")
            [first] = status(ReadAccess(settings)).servers
            status(access)
            [again] = status(access).servers
        finally:
            client.replicaof("NO", "ONE")

    assert first.not_before is not None
    assert first.not_before.timestamp() == pytest.approx(taken, abs=0.01)
    begun = f", since {first.not_before:%Y-%m-%d %H:%M:%S} UTC"
    assert (first.since, f"{begun} or later: then it took the last heartbeat of a process" in shown) == (None, True)
    assert (again.not_before, again.since is not None) == (first.not_before, True)


def test_what_was_met_before_the_last_heartbeat_is_no_begin_of_what_keeps_redis_from_writes_now(
    own_valkey: Any,
) -> None:
    settings = load({"SFMC_REDIS_URL": own_valkey.url, "SFMC_ACCOUNT_ID": MID})
    access = ReadAccess(settings)
    open_ledger(settings).present(WORKER)
    taken = access.reader.now() - LATE_SECONDS - 60
    access.client.zadd(access.keys.processes, {WORKER.as_text(): taken * 1000})
    access.__dict__["outages"] = OutageMemory(iter([taken - 180, *(taken + 70 + each for each in range(9))]).__next__)
    access.outages.failed("writes of Redis")
    with Redis.from_url(own_valkey.url) as client:
        client.replicaof("127.0.0.1", 9)
        try:
            [first], [again] = status(access).servers, status(access).servers
        finally:
            client.replicaof("NO", "ONE")

    assert first.not_before is not None
    assert first.not_before.timestamp() == pytest.approx(taken, abs=0.01)
    assert (first.since, again.since is not None and again.since > first.not_before) == (None, True)


def ended(world: World, scope: str) -> str:
    """Let a pause have ended a minute ago; gives that time as it is shown."""
    at = round((world.access.reader.now() - 60) * 1000)
    pause = {"operator": "ann", "reason": "new columns", "since": at - 1000, "until": at}
    world.access.client.hset(world.access.keys.name_of(PAUSES), scope, json.dumps(pause))
    shown = str(world.ask("DELETE", "/v1/pauses/all", "operator").json()["had_ended"])
    return f"{shown[:10]} {shown[11:19]} UTC"


def test_a_pause_that_had_ended_by_itself_is_not_said_to_be_ended_by_who_resumes_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ended(world, "all")
    person = world.person("operator")
    answer = person.send("/resume", {}, of="/pause")
    page = person.see(answer.headers["location"]).text

    assert f"all is not paused: its pause had ended by itself at {at}" in said(capsys, "resume", "--all")
    assert (answer.status_code, "The pause had ended by itself before; nothing was done." in page) == (303, True)
    assert world.access.client.xlen(world.access.keys.stream) == 0
