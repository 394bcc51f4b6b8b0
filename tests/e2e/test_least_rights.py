"""Each kind of process with exactly the rights that the page about Redis gives it, on a real server."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from sfmc_import.client import Client, Durability
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.watching_keys import SCHEDULE
from sfmc_import.redis_address import parse_redis_url
from sfmc_import.redis_client import connect
from sfmc_import.redis_rights import ARGUMENTS, NEWER, ROLES, UNTRIED, RoleName, rules
from sfmc_import.redis_server import check_rights
from sfmc_local.redis_server import find_server, version_of
from sfmc_producers.sources.dead_letters import SourceDeadLetters
from sfmc_transport import Keys as Transport
from sfmc_transport import dead_letters
from tests.e2e.sources.test_delivery import ROWS, SECRET, example, serve
from tests.integration.delivery.conftest import sftp_server  # noqa: F401 - a fixture
from tests.support.processes import RunningSystem, running_system
from tests.support.rights import PREFIX, refused, set_user
from tests.support.sources import example_of, use_policy
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ops" / "docs" / "redis.md").read_text()
HAS_WAITAOF = version_of(find_server()) >= (7, 2)
DURABILITY = Durability(kind="waitaof" if HAS_WAITAOF else "none")
CONFIRMED = {"SFMC_DURABILITY": DURABILITY.kind}
"""Who confirms needs the most rights."""


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningSystem]:
    with running_system(least_rights=True) as system:
        system.worker(**CONFIRMED)
        missed = Keys().name_of(SCHEDULE, "nightly")
        system.client.set(missed, int((datetime.now(UTC) - timedelta(days=3)).timestamp()), ex=600)
        system.sandbox.control.define("contacts", FileSpec="c.csv")
        system.sandbox.drop("c.csv", "Key,Value\n1,one\n")
        system.beat(**use_policy(system, example_of("schedule")), **CONFIRMED)
        yield system


def rights_of(stack: RunningSystem, user: str, role: RoleName) -> str:
    with connect(parse_redis_url(stack.url_for(user))) as client:
        return check_rights(client, role, PREFIX).text


def test_every_path_works_with_the_rights_of_its_role(stack: RunningSystem) -> None:
    stack.sandbox.control.define("asked", FileSpec="a.csv")
    stack.sandbox.control.define("submitted")
    stack.sandbox.drop("a.csv", "Key,Value\n1,one\n")
    producer = stack.url_for("producer")

    with Celery(broker=producer, backend=producer, set_as_current=False) as other:
        message = {"kwargs": {"customer_key": "asked"}, "queue": "imports", "ignore_result": False}
        asked = other.send_task("imports.start", **message)
        assert asked.get(timeout=60, disable_sync_subtasks=False)["state"] == "started"
        other.send_task("no.such.task", queue="imports", ignore_result=True)
    with Client(producer, mid="510001234", durability=DURABILITY) as client:
        client.submit(customer_key="submitted", file="a.csv")
        assert client.reject(customer_key="submitted", request_id="r1", code="preflight", text="no").state == "rejected"
        eventually(lambda: client.running().missing == (), 30, "worker and beat have said that they live")
    followed = stack.run("start", "asked", "--force", "--reason", "again", "--wait", **CONFIRMED)
    stack.await_idle()

    assert followed.returncode == 0
    assert stack.names().count("completed") == 3
    commands = (["status", "asked"], ["events"], ["dead-letters"])
    assert [stack.run(*command).returncode for command in commands] == [0] * 3
    assert refused(stack.client) == []


def test_a_source_sets_aside_what_it_cannot_read_with_the_rights_of_a_producer(stack: RunningSystem) -> None:
    keys = Transport()
    with connect(parse_redis_url(stack.url_for("producer"))) as redis:
        letters = SourceDeadLetters(redis, keys, DURABILITY)
        assert letters.add("drop", "1", b"{", "it is not JSON")
        assert letters.confirm("drop", ["1"])
        [letter] = [each for each in dead_letters.listed(stack.client, keys) if each.entry == b"{"]
        dead_letters.replay(stack.client, keys, letter.id)
        [sent_back] = letters.replayed("drop")
        letters.done("drop", sent_back)
        assert letters.replayed("drop") == []
    assert refused(stack.client) == []


def test_a_watcher_delivers_with_the_rights_of_a_producer(sftp_server: Any) -> None:  # noqa: F811
    with running_system(least_rights=True) as system:
        system.worker()
        system.beat()
        serve(sftp_server, system)
        system.sandbox.control.define("orders", FileSpec="orders_1.csv")
        folder = system.folder / "in"
        folder.mkdir()
        settings = {**use_policy(system, example(sftp_server)), **SECRET, **CONFIRMED}
        child = system.start("watch", str(folder), "--stable-seconds", "0.2", **settings)
        (folder / "orders_1.csv").write_text(ROWS)
        eventually(lambda: "completed" in system.names(), 60, "it is imported")
        child.terminate()

        assert child.wait(60) == 0
        assert refused(system.client) == []
        assert "orders_1.csv" in sftp_server.names()


@pytest.mark.parametrize("name", ROLES)
def test_doctor_says_of_a_user_with_the_rights_of_a_role_that_it_has_them(stack: RunningSystem, name: RoleName) -> None:
    assert rights_of(stack, name, name) == f"this user has the rights of a {name}"


def test_each_right_that_is_missing_is_named(stack: RunningSystem) -> None:
    for name in ROLES:
        for right in [rule for rule in rules(name, PREFIX) if rule[0] in "+~" and rule[1:] not in UNTRIED | NEWER]:
            left = [rule for rule in rules(name, PREFIX) if rule != right]
            set_user(stack.client, "poor", *left)
            assert right in rights_of(stack, "poor", name).split(), (name, right)
    set_user(stack.client, "poor", *(rule for rule in rules("reader", PREFIX) if rule != "+multi"))
    assert rights_of(stack, "poor", "reader") == "this user lacks rights of a reader: +multi"


@pytest.mark.parametrize("name", ROLES)
def test_the_page_gives_each_role_its_rules(name: str) -> None:
    [line] = re.findall(rf"^    ACL SETUSER sfmc-{name} (.*)$", PAGE, re.MULTILINE)

    assert line.split()[1:] == list(rules(name, PREFIX))


def test_every_command_of_a_script_is_one_of_a_worker() -> None:
    files = [*ROOT.glob("worker/sfmc_import/ledger/*.lua"), *ROOT.glob("worker/sfmc_transport/*.py")]
    called = {found.lower() for file in files for found in re.findall(r"redis\.call\('(\w+)'", file.read_text())}

    assert called - set(ROLES["worker"].commands) == {"xdel"}
    assert "xdel" in ROLES["operator"].commands  # who replays a dead letter


def test_every_command_of_a_role_is_tried_or_needs_no_try() -> None:
    commands = {command for role in ROLES.values() for command in role.commands}

    assert commands <= set(ARGUMENTS) | UNTRIED


def test_a_prefix_stands_before_every_key_of_a_role() -> None:
    keys = [rule for rule in rules("worker", "acme:") if rule[0] in "~&"]

    assert all(rule[1:].startswith(("acme:", "{acme:")) for rule in keys)
    assert "~acme:{acme:events}:transport:*" in keys
