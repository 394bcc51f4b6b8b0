"""The command `start` as a real process; the test plays the worker by taking its steps in the real ledger."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
import redis as redis_py

from sfmc_import.faults import Rejected
from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_import.policy import Policy
from sfmc_import.processes import Process
from sfmc_import.runs import Accepted, Run
from sfmc_local.processes import spawn, stop
from sfmc_local.redis_server import free_port
from tests.support.processes import running_system
from tests.support.producer_processes import Place
from tests.support.waiting import eventually


@pytest.fixture
def place(tmp_path, redis_server):
    return Place(tmp_path, redis_server)


class Worker:
    """One worker's steps for the only request there is."""

    def __init__(self, client):
        self.ledger, self._client = RedisLedger(client, LedgerSettings()), client
        self.ledger.present(Process(kind="worker", name="the-test", id="w"))
        self.ledger.present(Process(kind="beat", name="the-test", id="b"))

    def claim(self):
        [request_id] = eventually(lambda: self._client.zrange(self.ledger.keys.due, 0, -1), 60, "a request is recorded")
        self.request = self.ledger.load(request_id.decode())
        self.lease = self.ledger.claim(self.request, "the-test", Policy()).lease

    def reject(self):
        self.claim()
        self.ledger.reject(self.lease, Rejected(code="43000", text="no such definition"))

    def complete(self):
        self.claim()
        self.ledger.record_intent(self.lease, [])
        self.ledger.started(self.lease, Accepted(task_id="77"), 0.0, Policy())
        [run] = self.ledger.followed([self.request.request_id])
        result = Run(task_id="77", customer_key="contacts", status="Completed", successful=3, total=3)
        self.ledger.ended(run, "completed", result, Policy())


@pytest.fixture
def worker(redis, redis_server):
    with redis_py.Redis.from_url(redis_server.url, socket_timeout=10) as client:
        yield Worker(client)


@contextmanager
def starting(place, *options):
    command = [sys.executable, "-m", "sfmc_import", "start", "contacts", *options]
    child = spawn(command, env=place.env, output=subprocess.PIPE, errors=subprocess.PIPE)
    try:
        yield child
    finally:
        stop(child)
        child.stdout.close()
        child.stderr.close()


def test_start_returns_when_the_request_is_recorded(place, redis):
    (place.folder / "a.csv").write_text("id\n")
    ended = place.run(
        "start", "contacts", "--file", str(place.folder / "a.csv"), "--event-id", "e1", "--json", "--record-only"
    )

    result = json.loads(ended.stdout)
    assert (ended.returncode, result["customer_key"], result["is_new"]) == (0, "contacts", True)
    [[_, fields]] = redis.xrange("sfmc-import:events")
    data = json.loads(fields["event"])["data"]
    assert (data["request_id"], data["event_id"], data["source"]) == (result["request_id"], "e1", "command")
    assert (data["file"]["name"], data["file"]["location"], data["file"]["size"]) == ("a.csv", str(place.folder), 3)


def test_the_same_command_with_the_same_id_is_one_request_and_another_one_is_refused(place, redis):
    first, again = (place.run("start", "contacts", "--request-id", "2026/a", "--json", "--record-only") for _ in "12")
    other = place.run("start", "orders", "--request-id", "2026/a", "--record-only")

    answers = [json.loads(ended.stdout) for ended in (first, again)]
    assert [(each["request_id"], each["is_new"]) for each in answers] == [("2026/a", True), ("2026/a", False)]
    assert (again.returncode, redis.zcard("{sfmc-import:events}:due")) == (0, 1)
    assert (other.returncode, "2026/a was accepted with other content" in other.stderr) == (2, True)


def test_a_start_that_is_only_recorded_says_what_does_not_run_and_ends_with_1(place, redis):
    nothing_runs = place.run("start", "contacts", "--json")
    with redis_py.Redis.from_url(place.env["SFMC_REDIS_URL"]) as client:
        Worker(client)
    all_runs = place.run("start", "contacts", "--json")

    assert (nothing_runs.returncode, all_runs.returncode) == (1, 0)
    assert [json.loads(ended.stdout)[name] for ended in (nothing_runs, all_runs) for name in ("workers", "beats")] == [
        0, 0, 1, 1,
    ]  # fmt: skip
    said = [line.partition(" (")[0] for line in nothing_runs.stderr.splitlines()]
    assert said == ["no worker runs", "no beat runs"]
    assert redis.zcard("{sfmc-import:events}:due") == 2


@pytest.mark.nightly
def test_a_start_says_how_long_ago_its_frozen_worker_was_seen():
    with running_system() as stack:
        worker = stack.worker()
        stack.beat()
        os.kill(worker.pid, signal.SIGSTOP)
        try:
            late = eventually(lambda: stack.run("start", "contacts").stderr, 60, "the worker is late")
            gone = eventually(lambda: (ended := stack.run("start", "contacts")).returncode and ended, 60, "it is gone")
        finally:
            os.kill(worker.pid, signal.SIGCONT)

    assert late.startswith(("the newest heartbeat of a worker is", "no worker runs (the last one was seen"))
    assert gone.stderr.startswith("no worker runs (the last one was seen")


def test_a_program_submits_with_one_call_and_the_settings_of_its_environment(place, redis):
    program = "from sfmc_import.client import submit; print(submit(customer_key='contacts').request_id)"
    ended = subprocess.run([sys.executable, "-c", program], env=place.env, capture_output=True, text=True, check=True)

    [[_, fields]] = redis.xrange("sfmc-import:events")
    assert json.loads(fields["event"])["data"]["request_id"] == ended.stdout.strip()
    assert redis.llen("imports") == 1


def test_a_forced_start_keeps_its_reason(place, redis):
    ended = place.run("start", "contacts", "--force", "--reason", "the file was wrong", "--record-only")

    assert ended.returncode == 0
    [[_, fields]] = redis.xrange("sfmc-import:events")
    data = json.loads(fields["event"])["data"]
    assert (data["force"], data["reason"]) == (True, "the file was wrong")


def test_start_with_wait_follows_to_a_completed_import_and_ends_with_0(place, worker):
    with starting(place, "--wait", "--timeout", "30") as child:
        worker.complete()

        assert child.wait(60) == 0
        lines = child.stdout.read().decode().splitlines()
    assert [line.split(",")[0] for line in lines[1:-1]] == ["accepted", "starting", "started", "completed"]
    assert lines[-1] == f"request {worker.request.request_id}: completed (completed)"


def test_start_with_wait_ends_with_1_and_the_reason_when_marketing_cloud_refuses(place, worker):
    with starting(place, "--wait", "--json") as child:
        worker.reject()

        assert child.wait(60) == 1
        printed = [json.loads(line) for line in child.stdout.read().splitlines()]
        shown = child.stderr.read().decode().splitlines()
    assert printed[-1]["data"]["text"] == "no such definition"
    assert shown == [f"request {worker.request.request_id}: not completed (rejected)"]


def test_start_with_wait_gives_up_waiting_after_its_timeout_and_the_request_continues(place, redis):
    ended = place.run("start", "contacts", "--wait", "--timeout", "0.5")

    assert ended.returncode == 1
    assert "no end within 0.5 s; how it goes on: sfmc-import show" in ended.stdout.splitlines()[-1]
    assert redis.zcard("{sfmc-import:events}:due") == 1


def test_an_outage_during_start_with_wait_is_one_line_for_a_person(tmp_path, own_valkey):
    place = Place(tmp_path, own_valkey)
    with starting(place, "--wait", "--timeout", "20") as child:
        printed = iter(child.stdout.readline, b"")
        assert next(line for line in printed if line.startswith(b"accepted"))
        own_valkey.stop()
        shown = next(line for line in iter(child.stderr.readline, b"") if b"answer" in line).decode()

    assert shown.startswith("sfmc-import: no answer (")
    assert shown.endswith("); waiting until there is one\n")


def test_a_message_that_is_not_sent_because_the_broker_alone_is_away_is_one_line_for_a_person(place, redis):
    away = f"redis://127.0.0.1:{free_port()}/0"
    ended = place.run("start", "contacts", "--record-only", SFMC_BROKER_URL=away)
    for_a_program = place.run("start", "contacts", "--record-only", "--json", SFMC_BROKER_URL=away)

    [said] = [line for line in ended.stderr.splitlines() if "not sent" in line]
    assert said.startswith("sfmc-import: request ")
    assert " is recorded, its message was not sent (" in said
    assert said.endswith("); the sweep sends it")
    assert ended.returncode == 0
    assert json.loads(for_a_program.stderr.splitlines()[0])["event"] == "message_not_sent"


def test_start_without_a_business_unit_says_what_gives_one(place, redis):
    ended = place.run("start", "contacts", SFMC_ACCOUNT_ID="")

    assert ended.returncode == 2
    assert "no business unit; set SFMC_ACCOUNT_ID or give --mid MID" in ended.stderr
    assert redis.keys() == []


def test_start_with_wait_ends_in_one_line_when_its_user_may_not_read_events(tmp_path, own_valkey):
    with redis_py.Redis.from_url(own_valkey.url, socket_timeout=10) as admin:
        admin.execute_command("ACL", "SETUSER", "limited", "on", ">word", "~*", "&*", "+@all", "-xread")
    limited = own_valkey.tcp_url.replace("//", "//limited:word@", 1)
    ended = Place(tmp_path, own_valkey).run("start", "contacts", "--wait", SFMC_REDIS_URL=limited)

    assert ended.returncode == 1
    assert f"\nsfmc-import: Redis at {own_valkey.tcp_url} refused a command: " in ended.stderr
    advice = "give its user the rights of ops/docs/redis.md; see each one that is missing: sfmc-import doctor"
    assert ended.stderr.splitlines()[-1:] == [f"  {advice}"]


@pytest.mark.nightly
def test_doctor_fails_when_due_work_has_no_worker_and_not_before():
    with running_system() as stack:
        stack.sandbox.control.define("daily", FileSpec="daily.csv")
        fresh = stack.run("doctor")
        stack.run("start", "daily")
        waiting = eventually(
            lambda: "FAIL  processes" in (done := stack.run("doctor")).stdout and done, 60, "the request is due"
        )

        assert fresh.returncode == 0, fresh.stdout
        assert "warn  processes" in fresh.stdout
        assert waiting.returncode == 1
        assert "a request that is due has waited for" in waiting.stdout
