"""A notification over a real server: what it remembers, what it sets aside, and what doctor says of it."""

import threading
import time
from collections.abc import Iterator

import pytest
import redis as redis_py

from sfmc_import.access import ReadAccess
from sfmc_import.cli.doctor import check_notifications
from sfmc_import.cli.notification_lines import failing_lines
from sfmc_import.client import Client
from sfmc_import.events import EventGroup, ImportEvent
from sfmc_import.notifications.channel import Channel
from sfmc_import.notifications.memory import NotifierMemory, group_of
from sfmc_import.notifications.messages import Message
from sfmc_import.notifications.outages import Outage
from sfmc_import.notifications.sending import NotSent, Sent
from sfmc_import.operations.notified import runs_now
from sfmc_import.operations.overview import overview
from sfmc_import.operations.status import status
from sfmc_import.redis_client import connect
from sfmc_import.settings import Settings, load
from sfmc_import.settings.notify_table import WebhookTable
from sfmc_local.redis_server import Valkey

OUTAGE = Outage(mid="7", id="x", since="s", code="17", text="t")


class Receiver:
    """Takes messages as the test says, and ends the channel when none is expected any more."""

    def __init__(self, stop: threading.Event, *answers: Sent | NotSent) -> None:
        self.stop, self.answers, self.sent = stop, list(answers), list[Message]()

    def send(self, message: Message) -> Sent | NotSent:
        self.sent.append(message)
        answer = self.answers.pop(0)
        if not self.answers:
            self.stop.set()
        return answer


@pytest.fixture
def settings(redis_server: Valkey, redis: redis_py.Redis) -> Settings:
    settings = load({"SFMC_REDIS_URL": redis_server.url})
    return settings.model_copy(update={"notifications": {"hook": WebhookTable(url="https://x")}})


@pytest.fixture
def memory(settings: Settings) -> Iterator[NotifierMemory]:
    with connect(settings.redis) as client:
        yield NotifierMemory(client, settings.redis, settings.prefix, "hook")


def test_an_outage_is_remembered_until_it_is_over(memory: NotifierMemory) -> None:
    memory.note(OUTAGE)
    assert memory.read() == {"7": OUTAGE}
    memory.forget(OUTAGE)
    assert memory.read() == {}


def test_events_are_sent_and_acknowledged_and_a_refused_one_is_kept(settings: Settings, memory: NotifierMemory) -> None:
    stop = threading.Event()
    receiver = Receiver(stop, NotSent("no", is_final=True), Sent("ok"))
    with EventGroup(settings.redis, group_of("hook")) as group:
        group.join()
        with Client(settings.redis.client_url, mid="7") as client:
            for number in (1, 2):
                client.reject(customer_key="k", request_id=f"r{number}", code="preflight", text="no")
        Channel("hook", WebhookTable(url="https://x"), group, receiver, memory, stop).run()
        [(place, event, reason)] = memory.aside()

        assert [each.id for each in receiver.sent] == ["r1/2/rejected", "r2/2/rejected"]
        assert (event.request_id, reason, memory.count_aside()) == ("r1", "no", 1)
        assert isinstance(event, ImportEvent)
        memory.remove_aside(place)
        assert memory.count_aside() == 0


def test_a_notifier_that_tries_a_message_again_need_be_seen_within_claim_after_alone() -> None:
    assert [runs_now(100.0, 60.0), runs_now(100.0, 120.0), runs_now(80.0, 60.0)] == [False, True, True]


def test_doctor_says_whether_a_notifier_runs(settings: Settings) -> None:
    [before] = check_notifications(settings)
    with EventGroup(settings.redis, group_of("hook")) as group:
        group.receive(block_ms=None)
        [running] = check_notifications(settings)

    assert (before.level, before.fix) == ("warn", "start sfmc-import notify run")
    assert before.text == "hook: no notifier runs, so nothing is sent"
    assert (running.level, running.text) == ("ok", "hook: a notifier runs")


def test_a_notifier_that_redis_has_forgotten_is_said_by_status_as_by_doctor(settings: Settings) -> None:
    [never] = status(ReadAccess(settings)).notifications
    with EventGroup(settings.redis, group_of("hook")) as group:
        group.join()
        [forgotten] = status(ReadAccess(settings)).notifications
        group.receive(block_ms=None)
        [running] = status(ReadAccess(settings)).notifications

    assert [each.is_idle for each in (never, forgotten, running)] == [False, True, False]
    line, to_do = failing_lines([forgotten], time.time())
    assert line.startswith("notification hook: no notifier runs; not handled: ")
    assert to_do.endswith("start a notifier: nothing is sent meanwhile: sfmc-import notify run")


def test_what_fails_is_seen_in_the_list_and_by_status_until_something_is_sent(
    settings: Settings, memory: NotifierMemory
) -> None:
    with EventGroup(settings.redis, group_of("hook")) as group, Client(settings.redis.client_url, mid="7") as client:
        group.join()
        for number in (1, 2, 3):
            client.reject(customer_key="k", request_id=f"r{number}", code="preflight", text="no")
        group.receive(2, block_ms=None)
        memory.note_try(4, "HTTP 500 \x1b[31m", memory._client.time()[0] - 60)
        [failing] = status(ReadAccess(settings)).notifications
        memory.note_try(1, "HTTP 502", memory._client.time()[0] - 5)
        [again] = status(ReadAccess(settings)).notifications
        [line, to_do] = failing_lines([failing], time.time())
        [alarm] = check_notifications(settings)
        memory.note_try(0, None, 0.0)
        [sound] = overview(ReadAccess(settings)).notifications

    assert (failing.attempts, failing.set_aside, failing.needs_somebody) == (4, 0, True)
    assert failing.backlog is not None
    assert failing.backlog >= 3
    assert "notification hook: not handled: " in line
    assert "tried 4 times in vain, failing since 20" in line
    assert to_do.endswith("tried again until its deadline: sfmc-import notify test hook")
    assert again.failing_since == failing.failing_since
    assert (alarm.level, "nothing is sent since 20" in alarm.text) == ("fail", True)
    assert alarm.fix == "find the cause with sfmc-import notify test hook"
    assert (sound.attempts, sound.needs_somebody, sound.failing_since) == (0, False, None)
    assert sound.error is not None
