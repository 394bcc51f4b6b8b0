"""Whatever a stock Celery client may write into the queue ends in the events of a request, or in message_rejected."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery

from sfmc_import.request import UNACKED, UNACKED_INDEX
from tests.support.event_schema import problems_in
from tests.support.processes import RunningSystem, running_system
from tests.support.waiting import eventually

ROWS = "Key,Value\n1,one\n"


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningSystem]:
    with running_system() as made:
        made.worker()
        made.beat()
        yield made
        assert problems_in(made.client) == []


@contextmanager
def sender(stack: RunningSystem) -> Iterator[Celery]:
    url = stack.valkey.celery_url
    with Celery("somebody-else", broker=url, backend=url, set_as_current=False) as app:
        yield app


@pytest.fixture
def client(stack: RunningSystem) -> Iterator[Celery]:
    with sender(stack) as app:
        yield app


def define(stack: RunningSystem, key: str, **properties: Any) -> None:
    stack.sandbox.control.define(key, FileSpec=f"{key}.csv", **properties)
    stack.sandbox.drop(f"{key}.csv", ROWS)


def send(client: Celery, *args: object, key: str | None = None, options: dict[str, Any] | None = None, **more) -> str:
    kwargs = more if key is None else {"customer_key": key, **more}
    return str(client.send_task("imports.start", args=args, kwargs=kwargs, queue="imports", **(options or {})).id)


def rejection(stack: RunningSystem, **data: object) -> dict[str, Any]:
    """The one event about a message that has these data."""

    def found() -> list[dict[str, Any]]:
        rejected = (event for event in stack.events() if event["type"].endswith(".message_rejected"))
        return [event for event in rejected if data.items() <= {**dict.fromkeys(data), **event["data"]}.items()]

    (event,) = eventually(found, 30, f"a message is rejected with {data}")
    return event


def dead_letter(stack: RunningSystem, event: dict[str, Any]) -> dict[str, Any]:
    shown = stack.run("dead-letters", "show", event["data"]["dead_letter"], "--json")
    return json.loads(shown.stdout)


def performs(stack: RunningSystem, key: str) -> int:
    return len(stack.sandbox.control.performs(key))


def test_messages_of_every_priority_are_started(stack: RunningSystem, client: Celery) -> None:
    keys = {priority: f"priority-{priority}" for priority in range(10)}
    for key in keys.values():
        define(stack, key)

    sent = [send(client, key=key, options={"priority": priority}) for priority, key in keys.items()]

    for request in sent:
        stack.await_event("completed", request)
    assert [performs(stack, key) for key in keys.values()] == [1] * 10


def test_a_message_with_a_countdown_is_recorded_at_once_and_starts_when_it_is_over(
    stack: RunningSystem, client: Celery
) -> None:
    define(stack, "countdown")

    request = send(client, key="countdown", options={"countdown": 3})
    accepted = stack.await_event("accepted", request)
    eventually(lambda: not stack.client.hlen(UNACKED), 30, "the worker holds no message")
    started = stack.await_event("started", request)

    waited = datetime.fromisoformat(started["time"]) - datetime.fromisoformat(accepted["time"])
    assert timedelta(seconds=2) < waited < timedelta(seconds=20)
    stack.await_event("completed", request)


def test_a_message_with_an_eta_of_next_year_is_in_the_ledger_and_nowhere_else(
    stack: RunningSystem, client: Celery
) -> None:
    request = send(client, key="next-year", options={"eta": datetime.now(UTC) + timedelta(days=365)})

    stack.await_event("accepted", request)

    shown = json.loads(stack.run("show", request, "--json").stdout)
    assert shown["state"] == "accepted"
    assert shown["waiting"]["reason"] == "not_before"
    assert shown["waiting"]["until"] == shown["not_before"]
    assert datetime.fromisoformat(shown["not_before"]) > datetime.now(UTC) + timedelta(days=300)
    eventually(lambda: not stack.client.hlen(UNACKED), 30, "the worker holds no message")


def test_a_message_that_expired_ends_in_an_event(stack: RunningSystem, client: Celery) -> None:
    define(stack, "expired")

    before = send(client, key="expired", options={"expires": datetime.now(UTC) - timedelta(hours=1)})
    waiting = send(client, key="expired", options={"expires": 2, "countdown": 3600})

    for request in (before, waiting):
        stack.await_event("expired", request)
        assert stack.names(request) == ["accepted", "expired"]
    assert performs(stack, "expired") == 0


def test_a_message_of_the_first_protocol_is_taken_with_its_times(stack: RunningSystem, client: Celery) -> None:
    define(stack, "old")
    client.conf.task_protocol = 1

    request = send(client, "old", options={"countdown": 1, "priority": 5})
    expired = send(client, "old", options={"expires": datetime.now(UTC) - timedelta(hours=1)})

    stack.await_event("expired", expired)
    stack.await_event("completed", request)


def test_a_time_limit_of_the_sender_does_not_end_a_start(stack: RunningSystem, client: Celery) -> None:
    define(stack, "limited")

    request = send(client, key="limited", options={"time_limit": 0.001, "soft_time_limit": 0.0005, "retries": 3})

    stack.await_event("completed", request)


def test_unknown_arguments_are_ignored_and_named_in_the_log(stack: RunningSystem, client: Celery) -> None:
    define(stack, "wide")
    file = {"name": "wide.csv", "colour": "red"}

    request = send(client, "wide", None, file, tenant="seven", self=1, task_id="x")

    stack.await_event("completed", request)
    (log,) = [path for path in stack.folder.glob("worker-*.log") if "arguments_ignored" in path.read_text()]
    (line,) = [json.loads(each) for each in log.read_text().splitlines() if "arguments_ignored" in each]
    assert (line["level"], line["request_id"]) == ("warning", request)
    assert line["names"] == ["task_id", "tenant", "file.colour"]


def test_headers_of_any_kind_do_no_harm(stack: RunningSystem, client: Celery) -> None:
    define(stack, "headers")
    odd = {"headers": "text", "get": 1, "customer_key": ["x"], "sfmc_asked_times": 5, "stamped_headers": "ab"}

    request = send(client, key="headers", options={"headers": odd})

    stack.await_event("completed", request)


def test_a_second_message_under_one_task_id_is_refused_and_the_first_goes_on(
    stack: RunningSystem, client: Celery
) -> None:
    for key in ("one", "two"):
        define(stack, key, MaxImportFrequency=1)
    task_id = str(uuid4())

    send(client, key="one", options={"task_id": task_id})
    send(client, key="one", options={"task_id": task_id})
    stack.await_event("completed", task_id)
    send(client, key="two", options={"task_id": task_id})
    send(client, key="one", force=True, reason="mine", options={"task_id": task_id})

    first = rejection(stack, request_id=task_id, customer_key="two")
    second = rejection(stack, request_id=task_id, customer_key="one")
    assert {event["data"]["reason"] for event in (first, second)} == {"id_taken"}
    assert dead_letter(stack, first)["task"] == "imports.start"
    assert (performs(stack, "one"), performs(stack, "two")) == (1, 0)
    assert [name for name in stack.names(task_id) if name != "message_rejected"][-1] == "completed"


def test_messages_that_another_celery_app_holds_stay_with_it(stack: RunningSystem) -> None:
    held = json.dumps([{"body": "", "headers": {"id": "theirs"}, "properties": {}}, "", "theirs"]).encode()
    stack.client.hset("unacked", "theirs", held)
    stack.client.zadd("unacked_index", {"theirs": 0})
    request = json.loads(stack.run("start", "no-such-key", "--json").stdout)["request_id"]

    # A worker looks for what the dead left whenever it looks for messages.
    stack.await_event("rejected", request)

    assert stack.client.hget("unacked", "theirs") == held
    assert stack.client.zscore("unacked_index", "theirs") == 0
    stack.client.delete("unacked", "unacked_index")


def test_what_cannot_be_accepted_is_a_dead_letter_and_an_event(stack: RunningSystem, client: Celery) -> None:
    refused = send(client, key="k" * 37, mid="north", file=[1], force="yes", reason=7)
    forced = send(client, key="forced", force=True)
    no_key = send(client, 5)
    unknown = client.send_task("imports.stop", kwargs={"customer_key": "one"}, queue="imports").id
    pickled = client.send_task("imports.start", ["one"], queue="imports", serializer="pickle").id
    chained = client.send_task("celery.chain", kwargs={"customer_key": "one"}, queue="imports").id
    stack.client.lpush("imports", b"not a message")

    event = rejection(stack, request_id=refused)
    for word in ("37 characters", "mid", "file", "force", "reason"):
        assert word in event["data"]["text"]
    assert event["data"]["reason"] == "invalid_request"
    assert "force needs a reason" in rejection(stack, request_id=forced)["data"]["text"]
    assert "it is a number" in rejection(stack, request_id=no_key)["data"]["text"]
    assert rejection(stack, message_id=unknown)["data"]["reason"] == "unknown_task"
    assert rejection(stack, message_id=chained)["data"]["reason"] == "unknown_task"
    assert rejection(stack, message_id=pickled)["data"]["reason"] == "invalid_task"
    garbage = rejection(stack, reason="undecodable")
    assert dead_letter(stack, garbage)["entry"] == "not a message"


def test_what_looks_like_a_message_of_a_worker_is_a_dead_letter_and_no_traceback(
    stack: RunningSystem, client: Celery
) -> None:
    queues = {"imports.wake": "imports", "imports.follow": "imports.upkeep", "imports.sweep": "imports.upkeep"}
    odd = [([], {"colour": "red"}), ([[5]], {}), ([{"a": 1}], {}), (["\ud83d"], {}), ([1, 2], {})]
    for protocol in (1, 2):
        client.conf.task_protocol = protocol
        for task, queue in [*queues.items(), ("celery.backend_cleanup", "imports")]:
            sent = [client.send_task(task, args, kwargs, queue=queue).id for args, kwargs in odd]
            for each in sent:
                assert rejection(stack, message_id=each)["data"]["reason"] == "wrong_arguments"
    client.send_task("imports.wake", ["no such request"], queue="imports", headers={"attempt": "9" * 5000})

    request = send(client, key="after-ours")

    stack.await_event("rejected", request)
    logs = "".join(path.read_text() for path in stack.folder.glob("worker-*.log"))
    assert "request_not_in_ledger" in logs
    assert "Traceback" not in logs


def test_more_odd_messages_than_a_worker_has_threads_hold_up_no_other(stack: RunningSystem, client: Celery) -> None:
    for key in ("odd-name", "after-odd"):
        define(stack, key)
    stack.worker("--concurrency", "2")
    named = [send(client, key="odd-name", options={"shadow": ["nightly"]}) for _ in range(40)]
    template = client.send_task("imports.start", kwargs={"customer_key": "odd-name"}, queue="elsewhere").id
    raw = stack.client.lpop("elsewhere")
    odd = [str(uuid4()) for _ in range(40)]
    for each in odd:
        message = json.loads(raw.replace(template.encode(), each.encode()))
        stack.client.lpush("imports", json.dumps(message | {"content-encoding": 7}))
    chained = [send(client, key="odd-name", options={"chain": [number]}) for number in range(40)]

    request = send(client, key="after-odd")

    stack.await_event("completed", request)
    for each in named:
        eventually(lambda each=each: "accepted" in stack.names(each), 30, "a message with an odd name is accepted")
    for each in odd:
        assert rejection(stack, message_id=each)["data"]["reason"] == "invalid_task"
    for each in chained:
        assert rejection(stack, message_id=each)["data"]["reason"] == "wrong_arguments"


def test_more_messages_whose_failure_redis_does_not_let_pass_on_than_threads_hold_up_no_other() -> None:
    with running_system() as stack, sender(stack) as client:
        for key in ("part", "after-parts"):
            define(stack, key)
        stack.worker("--concurrency", "2")
        stack.beat()
        stack.client.set("no-list", "x")
        stack.client.set("celery-taskset-meta-g.j", "x")
        after = client.signature("theirs", options={"queue": "no-list"})
        failed = [send(client, key=7, options={"link_error": after}) for _ in range(20)]
        chord = {"group_id": "g", "chord": {**after, "chord_size": 2}}
        parts = [send(client, key="part", options=chord) for _ in range(20)]

        request = send(client, key="after-parts")

        stack.await_event("completed", request)
        for each in failed:
            assert rejection(stack, message_id=each)["data"]["reason"] == "invalid_request"
        for each in parts:
            eventually(lambda each=each: "accepted" in stack.names(each), 30, "a part of a chord is accepted")


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "lzma"])
def test_a_packed_message_is_started_and_one_that_is_huge_unpacked_is_refused(
    stack: RunningSystem, client: Celery, compression: str
) -> None:
    define(stack, compression)
    options = {"compression": compression}

    huge = send(client, key=compression, padding=" " * 50_000_000, options=options)
    request = send(client, key=compression, options=options)

    stack.await_event("completed", request)
    event = rejection(stack, message_id=huge)
    assert event["data"]["reason"] == "too_large"
    assert event["data"]["text"] == "its body has more than 1048576 bytes unpacked"
    assert dead_letter(stack, event)["task"] == "imports.start"


def test_a_message_that_is_huge_as_it_is_is_refused(stack: RunningSystem, client: Celery) -> None:
    send(client, key="huge", padding=" " * 2_000_000)

    assert "more than 1048576" in rejection(stack, reason="too_large", message_id=None)["data"]["text"]


def test_a_caller_that_waits_learns_why_its_message_was_refused(stack: RunningSystem, client: Celery) -> None:
    sent = client.send_task("imports.start", kwargs={"force": True}, queue="imports", ignore_result=False)

    with pytest.raises(Exception, match="customer_key is missing"):
        sent.get(timeout=30, disable_sync_subtasks=False)


def test_a_caller_that_waits_gets_the_outcome_of_the_start_when_it_is_known(
    stack: RunningSystem, client: Celery
) -> None:
    define(stack, "asked")
    options = {"queue": "imports", "ignore_result": False}

    later = client.send_task("imports.start", ["asked"], countdown=2, **options)
    never = client.send_task("imports.start", ["asked"], countdown=3600, expires=1, **options)

    outcome = later.get(timeout=30, disable_sync_subtasks=False)
    # The short import may have ended when the sweep looks for what to answer.
    assert outcome["state"] in {"started", "completed"}
    assert outcome["request_id"] == later.id
    assert outcome["task_id"] == stack.sandbox.control.performs("asked")[0]["task_id"]
    assert never.get(timeout=30, disable_sync_subtasks=False) == {"request_id": never.id, "state": "expired"}


def test_what_follows_an_import_is_sent_to_the_queue_that_its_sender_names(
    stack: RunningSystem, client: Celery
) -> None:
    define(stack, "followed")
    start = client.signature("imports.start", ["followed"], queue="imports")
    link = client.signature("theirs.linked", ["by link"], queue="theirs", priority=5, immutable=True)
    step = client.signature("theirs.chained", ["by chain"], queue="theirs", immutable=True)

    start.link(link)
    (start | step).apply_async()

    with client.connection_for_read() as connection, connection.SimpleQueue("theirs") as theirs:
        found = [theirs.get(timeout=30) for _ in range(2)]
        assert sorted(message.headers["task"] for message in found) == ["theirs.chained", "theirs.linked"]
        for message in found:
            message.ack()


UNUSABLE: list[dict[str, Any]] = [
    {"serializer": "nonsense"},
    {"countdown": 1e308},
    {"compression": "nonsense"},
    {"stamped_headers": 5},
    {"task_id": []},
]


def test_what_cannot_be_sent_after_an_import_is_said_without_tracebacks(stack: RunningSystem, client: Celery) -> None:
    define(stack, "unsent")
    step = {"task": "theirs.task", "args": [], "kwargs": {}, "immutable": True}
    unusable = [{**step, "options": {"queue": "nobodys", **options}} for options in UNUSABLE]
    odd_kind = {**step, "options": {"queue": "nobodys"}, "subtask_type": "nonsense"}

    sent = [send(client, key="unsent", options={"link": [each]}) for each in (*unusable[:-1], odd_kind)]
    send(client, key="unsent", options={"link": [unusable[-1]]})

    for each in sent:
        assert "the task is done, but what its sender wants" in rejection(stack, message_id=each)["data"]["text"]
    assert len(stack.sandbox.control.performs("unsent")) == 1
    stack.await_event("completed", send(client, key="unsent", force=True, reason="the worker lives"))
    logs = "".join(path.read_text() for path in stack.folder.glob("worker-*.log"))
    assert "raised unexpected" not in logs
    assert "Traceback" not in logs


def test_a_forced_start_is_an_event_that_says_why(stack: RunningSystem, client: Celery) -> None:
    define(stack, "forced", MaxImportFrequency=1)
    stack.await_event("completed", send(client, key="forced"))

    request = send(client, key="forced", force=True, reason="the file was wrong")

    started = stack.await_event("started", request)
    assert (started["data"]["force"], started["data"]["reason"]) == (True, "the file was wrong")


@pytest.mark.nightly
def test_a_request_with_an_eta_survives_the_worker_that_took_it() -> None:
    with running_system() as stack, Celery(broker=stack.valkey.celery_url, set_as_current=False) as client:
        define(stack, "late")
        worker = stack.worker()
        stack.beat()
        request = send(client, key="late", options={"countdown": 4, "priority": 9})
        stack.await_event("accepted", request)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        stack.worker()

        stack.await_event("completed", request)

        assert performs(stack, "late") == 1
        assert stack.names(request)[:3] == ["accepted", "starting", "started"]


@pytest.mark.nightly
def test_doctor_fails_while_messages_of_any_priority_wait_and_no_worker_takes_them() -> None:
    with running_system() as stack, sender(stack) as client:
        stack.sandbox.control.define("daily", FileSpec="daily.csv")
        for priority in (0, 7):
            send(client, options={"priority": priority}, customer_key="daily")
        unread, status = stack.run("doctor"), stack.run("status")
        held = json.dumps([{"body": "", "headers": {}, "properties": {}}, "", "imports"])
        stack.client.hset(UNACKED, "left", held)
        stack.client.zadd(UNACKED_INDEX, {"left": 1})
        left = stack.run("doctor")
        stack.client.delete(UNACKED, UNACKED_INDEX)
        stack.beat()
        worker = stack.worker()
        eventually(lambda: stack.run("doctor").returncode == 0, 60, "the worker has taken all")
        worker.send_signal(signal.SIGSTOP)
        send(client, options={"priority": 3}, customer_key="daily")
        stands = eventually(lambda: (done := stack.run("doctor")).returncode == 1 and done, 60, "doctor says so")
        worker.send_signal(signal.SIGCONT)

        assert unread.returncode == 1
        assert "2 messages in the queue, and no worker runs" in unread.stdout
        assert "no worker runs, and nothing is taken" in status.stdout
        assert "1 message of workers that died is taken up by none" in left.stdout
        assert "FAIL  queue" in stands.stdout
