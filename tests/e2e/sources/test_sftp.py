"""The source `sftp`: a real SFTP server, real processes, the sandbox; the policy file is that of the page."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.processes import RunningSystem, running_system
from tests.support.sftp_server import PASSWORD, USER, SftpTestServer
from tests.support.sources import PAGES, example_of, running_source, use_policy
from tests.support.waiting import eventually

SECRET = {"SFMC_SOURCE_PARTNER_PASSWORD": PASSWORD}
STEPS = ["listing", "last look", "before the move", "after the move"]
KILLED_AT = [
    pytest.param(number, step, id=step, marks=() if step == "before the move" else pytest.mark.nightly)
    for number, step in enumerate(STEPS, start=2)
]


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with running_system(least_rights=True) as made:
        made.worker()
        made.beat()
        names = ["orders_1", *(f"orders_{number}" for number in range(2, 2 + len(STEPS))), "orders_8", "orders_9"]
        for name in names:
            made.sandbox.control.define(name.replace("_", "-"), FileSpec=f"{name}.csv")
            made.sandbox.drop(f"{name}.csv", "Key,Value\n1,one\n")
        made.sandbox.control.define("orders", FileSpec="orders_1.csv")
        yield made


@pytest.fixture
def server(tmp_path) -> Iterator[SftpTestServer]:
    (tmp_path / "in").mkdir()
    with SftpTestServer(tmp_path) as made:
        yield made


def example(server: SftpTestServer, **changes: str) -> str:
    """The example of the page at the address and with the key of this server; every time is short."""
    fingerprint = example_of("sftp").partition('host_keys = ["')[2].partition('"')[0]
    here = {'host = "sftp.example.com"': 'host = "127.0.0.1"', "port = 22": f"port = {server.port}"}
    here |= {fingerprint: server.fingerprint, 'every = "60s"': "every = 0.1", 'stable = "60s"': "stable = 0.3"}
    assert f'user = "{USER}"' in example_of("sftp")
    return example_of("sftp", **here, **changes)


def by_name(server: SftpTestServer) -> str:
    """The example with a route that gives each file its own definition."""
    return example(
        server, **{'"orders_*.csv"': '"orders_*.csv"', 'customer_key = "orders"': 'customer_key = "orders-{1}"'}
    )


def put(server: SftpTestServer, name: str) -> None:
    (server.root / "in" / name).write_text("Key,Value\n1,one\n")


def performs(system: RunningSystem, key: str) -> int:
    return len(system.sandbox.control.performs(key))


def accepted(system: RunningSystem, name: str) -> int:
    """How many requests of a file were accepted."""
    events = [event for event in system.events() if event["type"] == "sfmc.import.accepted"]
    return sum((event["data"].get("file") or {}).get("name") == name for event in events)


def completed(system: RunningSystem, key: str) -> list[dict[str, Any]]:
    events = system.events()
    return [event for event in events if (event["type"], event["subject"]) == ("sfmc.import.completed", key)]


def is_moved(server: SftpTestServer, name: str) -> bool:
    return (server.root / "done" / name).is_file() and not (server.root / "in" / name).exists()


def test_a_file_on_the_server_becomes_one_completed_import_and_is_moved(system, server) -> None:
    put(server, "orders_1.csv")
    with running_source(system, "partner", example(server), **SECRET):
        eventually(lambda: is_moved(server, "orders_1.csv"), 30, "it is moved")
        [event] = eventually(lambda: completed(system, "orders"), 30, "its import has completed")
    assert event["data"]["file"]["location"] == f"sftp://127.0.0.1:{server.port}/in"
    assert performs(system, "orders") == 1


@pytest.mark.parametrize(("number", "step"), KILLED_AT)
def test_a_source_that_is_killed_at_any_step_makes_one_request_and_moves_the_file(system, server, number, step) -> None:
    name, killed = f"orders_{number}.csv", []
    put(server, name)
    with running_source(system, "partner", by_name(server), **SECRET) as child:

        def kill(_operation: str, _path: str) -> None:
            if not killed:
                killed.append(child.pid)
                system.kill(child)

        at(server, system, step, name, kill)
        eventually(lambda: killed and child.poll() is not None, 30, "it is killed")
    with running_source(system, "partner", by_name(server), **SECRET):
        eventually(lambda: is_moved(server, name), 30, "it is moved")
        eventually(lambda: performs(system, f"orders-{number}") == 1, 30, "it is started")
    assert accepted(system, name) == 1


def at(server: SftpTestServer, system: RunningSystem, step: str, name: str, action) -> None:
    """Do this when the source reaches the step."""
    if step == "after the move":
        server.after = action
    elif step == "before the move":
        server.before = lambda operation, path: action(operation, path) if operation == "rename" else None
    elif step == "listing":
        server.before = lambda operation, path: action(operation, path) if operation == "scandir" else None
    else:
        server.before = lambda operation, path: (
            action(operation, path) if operation == "lstat" and accepted(system, name) else None
        )


@pytest.mark.nightly
def test_two_sources_take_a_file_once_when_redis_and_the_server_are_cut_meanwhile(system, server) -> None:
    with contextlib.ExitStack() as sources:
        for _ in range(2):
            sources.enter_context(running_source(system, "partner", by_name(server), **SECRET))
        eventually(lambda: server.connections >= 2, 30, "both are connected")
        system.valkey.pause()
        try:
            put(server, "orders_8.csv")
            server.drop()
            eventually(lambda: server.connections >= 4, 30, "both are connected again")
        finally:
            system.valkey.resume()
        eventually(lambda: is_moved(server, "orders_8.csv"), 60, "it is moved")
    eventually(lambda: performs(system, "orders-8") == 1, 30, "it is started")
    assert accepted(system, "orders_8.csv") == 1


def test_a_refused_login_ends_the_command_with_one_line_that_says_what_to_do(system, server) -> None:
    wrong = {"SFMC_SOURCE_PARTNER_PASSWORD": "a-wrong-password-of-this-test"}
    with running_source(system, "partner", example(server), **wrong) as child:
        assert child.wait(30) == 1
    log = system.log_of(child).read_text("utf-8")
    assert "source_stopped" in log
    assert "a-wrong-password" not in log
    assert server.logins == [("password", False)]


def test_the_page_is_in_the_list_of_sources() -> None:
    assert "[sftp](sftp.md)" in (PAGES / "README.md").read_text("utf-8")


@pytest.mark.nightly
def test_a_scan_of_the_server_submits_what_has_no_request_and_twice_submits_nothing(system, server) -> None:
    put(server, "orders_9.csv")
    policy = use_policy(system, by_name(server))
    first, second = (system.run("scan", "partner", "--json", **policy, **SECRET) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    *found, counts = map(json.loads, first.stdout.splitlines())
    assert [each["file"]["name"] for each in found] == ["orders_9.csv"]
    assert (counts["counts"]["new"], json.loads(second.stdout)["counts"]["known"]) == (1, 1)
    assert accepted(system, "orders_9.csv") == 1
    eventually(lambda: not server.open, 10, "every connection is closed")
