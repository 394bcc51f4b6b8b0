"""The primary dies and Sentinel makes its replica the new one: workers and beat go on there by themselves."""

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis as redis_py
from celery import Celery

from sfmc_harness.chaos.faults import Proxy
from sfmc_local.processes import spawn, stop
from sfmc_local.redis_server import Valkey, find_server, free_port
from tests.support.processes import RunningSystem, running_system
from tests.support.sources import running_source
from tests.support.waiting import eventually

MASTER = "imports-master"


@pytest.fixture
def replica() -> Iterator[Valkey]:
    with Valkey(tcp=True) as server:
        yield server


def follow_primary(primary: Valkey, replica: Valkey) -> None:
    with redis_py.Redis(port=primary.port) as client:
        client.config_set("repl-diskless-sync-delay", 0)
    with redis_py.Redis(port=replica.port) as client:
        client.replicaof("127.0.0.1", str(primary.port))
        eventually(lambda: client.info("replication")["master_link_status"] == "up", 60, "the replica follows")


def start_sentinel(stack: ExitStack, primary: Valkey, folder: Path) -> int:
    port = free_port()
    lines = [f"port {port}", "bind 127.0.0.1", f"dir {folder}", f"sentinel monitor {MASTER} 127.0.0.1 {primary.port} 1"]
    lines += [f"sentinel down-after-milliseconds {MASTER} 1000", f"sentinel failover-timeout {MASTER} 6000"]
    settings = folder / "sentinel.conf"
    settings.write_text("\n".join(lines) + "\n")
    with (folder / "sentinel.log").open("wb") as log:
        process = spawn([str(find_server()), str(settings), "--sentinel"], output=log, death_signal=signal.SIGKILL)
    stack.callback(stop, process)
    return port


def knows_replica(port: int) -> bool:
    with redis_py.Redis(port=port, socket_timeout=5) as client:
        try:
            return bool(client.sentinel_slaves(MASTER))
        except redis_py.RedisError:
            return False


def fail_over(stack: RunningSystem, port: int, replica: Valkey) -> None:
    """Kill the primary and wait until the replica has its place; from then on the stack looks there."""
    stack.valkey.kill()
    with redis_py.Redis(port=port, socket_timeout=5) as client:
        eventually(lambda: client.sentinel_get_master_addr_by_name(MASTER)[1] == replica.port, 60, "a new primary")
    stack.client = redis_py.Redis(port=replica.port, socket_timeout=10)


@pytest.mark.nightly
def test_after_a_failover_runs_are_followed_on_and_new_requests_start_once(replica: Valkey) -> None:
    with running_system() as stack, ExitStack() as more:
        follow_primary(stack.valkey, replica)
        port = start_sentinel(more, stack.valkey, stack.folder)
        eventually(lambda: knows_replica(port), 60, "the sentinel knows the replica")
        address = {"SFMC_REDIS_URL": f"sentinel://127.0.0.1:{port}/0?master_name={MASTER}"}
        worker, beat = stack.worker(**address), stack.beat(**address)
        stack.sandbox.control.define("before", FileSpec="a.csv")
        stack.sandbox.control.define("after")
        stack.sandbox.drop("a.csv", "Key,Value\n1,one\n")
        stack.sandbox.control.add_fault("slow_run", customer_key="before", seconds=6, count=1)
        assert stack.run("start", "before", **address).returncode == 0
        stack.await_event("started")

        fail_over(stack, port, replica)
        eventually(lambda: stack.run("start", "after", **address).returncode == 0, 60, "Redis is available again")

        stack.await_event("completed")
        stack.await_event("started", count=2)
        stack.await_idle()
        assert len(stack.sandbox.control.performs("before")) == 1
        assert len(stack.sandbox.control.performs("after")) == 1
        assert (worker.poll(), beat.poll()) == (None, None)


def switch(proxy: Proxy, old: Valkey, new: Valkey, *waiting: str) -> None:
    """Promote the replica; who waits for messages goes on there, and keeps its connections of the ledger."""
    with redis_py.Redis(port=old.port) as before, redis_py.Redis(port=new.port) as client:
        client.replicaof("no", "one")
        eventually(lambda: client.info("replication")["role"] == "master", 60, "it is promoted")
        proxy.forward_to(new.port)
        for each in (one for one in before.client_list() if one["cmd"] in waiting):
            before.client_kill_filter(_id=each["id"])
        eventually(lambda: client.info("clients")["blocked_clients"], 60, "messages are waited for there")


@pytest.mark.nightly
def test_a_message_whose_request_went_to_the_old_primary_is_not_forgotten_by_the_new_one(replica: Valkey) -> None:
    with running_system() as stack, ExitStack() as more:
        stack.sandbox.control.define("orders", FileSpec="a.csv")
        stack.sandbox.drop("a.csv", "Key,Value\n1,one\n")
        assert stack.run("pause", "--all", "--reason", "a failover").returncode == 0
        follow_primary(stack.valkey, replica)
        proxy = more.enter_context(Proxy(stack.valkey.port))
        address = {"SFMC_REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"}
        worker = stack.worker(**address)
        switch(proxy, stack.valkey, replica, "blmove", "blpop")
        with Celery(broker=replica.celery_url, set_as_current=False) as sender:
            sender.send_task("imports.start", kwargs={"customer_key": "orders"}, queue="imports", task_id="r1")
        accepted = stack.await_event("accepted")["data"]["request_id"]
        eventually(lambda: b"message_kept" in stack.log_of(worker).read_bytes(), 60, "the message is kept")

        stack.valkey.kill()
        stack.client = more.enter_context(redis_py.Redis(port=replica.port, socket_timeout=10))
        assert stack.names("r1") == []
        stack.beat(**address)
        stack.await_event("accepted", "r1")
        assert stack.run("resume", "--all", **address).returncode == 0
        stack.await_event("completed", "r1")

        assert (accepted, len(stack.sandbox.control.performs("orders"))) == ("r1", 1)


BESIDE_LEDGER = """
[[source]]
name = "arrivals"
kind = "stream"
key = "drop"
claim_after = "1s"
"""


@pytest.mark.nightly
def test_the_event_that_a_file_starts_nothing_is_not_lost_with_the_old_primary(replica: Valkey) -> None:
    with running_system() as stack, ExitStack() as more:
        stack.sandbox.control.define("orders", FileSpec="a.csv")
        follow_primary(stack.valkey, replica)
        proxy = more.enter_context(Proxy(stack.valkey.port))
        address = {"SFMC_REDIS_URL": f"redis://127.0.0.1:{proxy.port}/0"}
        queue = more.enter_context(redis_py.Redis(port=replica.port, socket_timeout=10))
        before = more.enter_context(redis_py.Redis(port=stack.valkey.port, socket_timeout=10))
        with running_source(stack, "arrivals", BESIDE_LEDGER, **address):
            announce(before, "a.csv")
            stack.await_event("accepted")
            await_handled(before)
            switch(proxy, stack.valkey, replica, "xreadgroup")
            announce(queue, "b.csv")
            stack.await_event("unrouted")

            stack.valkey.kill()
            stack.client = queue
            await_handled(queue)
            [said] = [each for each in stack.events() if each["type"] == "sfmc.import.unrouted"]
        assert said["data"]["file"]["name"] == "b.csv"


STREAM = """
[[source]]
name = "arrivals"
kind = "stream"
key = "drop"
redis_url = "{url}"
customer_key = "orders"
claim_after = "1s"
"""


def announce(queue: redis_py.Redis, name: str) -> None:
    event = {"file": {"location": "/in", "name": name, "size": 1, "version": "1"}}
    queue.xadd("drop", {"event": json.dumps(event)})


@pytest.mark.nightly
def test_with_wait_no_entry_that_a_source_acknowledged_is_lost_with_the_old_primary(
    replica: Valkey, own_valkey: Valkey
) -> None:
    with running_system() as stack, ExitStack() as more:
        queue = more.enter_context(redis_py.Redis.from_url(own_valkey.url))
        follow_primary(stack.valkey, replica)
        port = start_sentinel(more, stack.valkey, stack.folder)
        eventually(lambda: knows_replica(port), 60, "the sentinel knows the replica")
        wait = {"SFMC_DURABILITY": "wait", "SFMC_WAIT_REPLICAS": "1"}
        wait |= {"SFMC_REDIS_URL": f"sentinel://127.0.0.1:{port}/0?master_name={MASTER}"}
        with running_source(stack, "arrivals", STREAM.format(url=own_valkey.url), **wait):
            announce(queue, "before.csv")
            stack.await_event("accepted")
            stack.client = more.enter_context(redis_py.Redis(port=replica.port, socket_timeout=10))
            sentinel = more.enter_context(redis_py.Redis(port=port))
            # The source stays with the old primary until that is made a replica.
            sentinel.execute_command("SENTINEL", "FAILOVER", MASTER)
            eventually(lambda: stack.client.info("replication")["role"] == "master", 60, "it is promoted")
            for number in range(50):
                announce(queue, f"{number}.csv")
            await_handled(queue)

        names = {each["data"]["file"]["name"] for each in stack.events() if each["type"] == "sfmc.import.accepted"}
        assert names == {"before.csv", *(f"{number}.csv" for number in range(50))}


def await_handled(queue: redis_py.Redis) -> None:
    """Wait until every entry is acknowledged."""

    def is_handled() -> bool:
        [group] = queue.xinfo_groups("drop")
        return not group["pending"] and not group["lag"]

    eventually(is_handled, 120, "all entries are acknowledged")
