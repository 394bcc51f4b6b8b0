"""What a worker does with a message after it was asked to end, and how long it waits for a broker that is away."""

import logging
import pickle
from collections.abc import Iterator
from typing import Any

import kombu
import pytest
from celery import Celery
from celery.app.trace import build_tracer
from celery.worker import state
from redis.exceptions import ConnectionError as AwayError
from redis.exceptions import ResponseError

from sfmc_transport import consumer


class Message:
    """A delivered message that notes what becomes of it."""

    headers: dict[str, Any]
    content_encoding, payload = "utf-8", ([], {}, None)

    def __init__(self) -> None:
        self.headers = {"task": "probe"}
        self.became: list[str] = []

    def requeue(self) -> None:
        self.became.append("requeued")


@pytest.fixture
def handle(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def handler(*_: object) -> Any:
        return lambda message: message.became.append("handled")

    monkeypatch.setattr(consumer.CeleryConsumer, "create_task_handler", handler)
    with Celery("ending", broker="memory://", set_as_current=False) as app:
        worker = app.WorkController(pool_cls="solo", consumer_cls=consumer.Consumer)
        yield worker.consumer.create_task_handler()


@pytest.mark.parametrize("flag", ["should_stop", "should_terminate"])
@pytest.mark.parametrize(("value", "became"), [(None, "handled"), (False, "handled"), (0, "requeued"), (1, "requeued")])
def test_a_worker_asked_to_end_puts_a_message_back(
    handle: Any, monkeypatch: pytest.MonkeyPatch, flag: str, value: Any, became: str
) -> None:
    monkeypatch.setattr(state, flag, value)
    message = Message()
    handle(message)

    assert message.became == [became]


class ConnectionThatIsAway:
    """Takes what kombu's connection takes, with kombu's own pauses where none are asked for."""

    def __init__(self) -> None:
        self.longest_pause = 0.0

    def ensure_connection(self, _errback: Any, _max_retries: int | None, **asked: Any) -> "ConnectionThatIsAway":
        self.longest_pause = asked.get("interval_max", 30)
        return self


def test_a_worker_tries_every_few_seconds_however_long_the_outage() -> None:
    connection = ConnectionThatIsAway()
    with Celery("away", broker="memory://", set_as_current=False) as app:
        worker = app.WorkController(pool_cls="solo", consumer_cls=consumer.Consumer)
        worker.consumer.ensure_connected(connection)

    assert connection.longest_pause <= 3


@pytest.mark.parametrize(
    "error", [consumer.RefusedError("no", "it is wrong"), consumer.GivenBackError("Redis is away")]
)
def test_a_task_that_said_why_its_message_is_not_done_is_not_logged_again_with_a_traceback(
    error: consumer.Reject, caplog: pytest.LogCaptureFixture
) -> None:
    with Celery("logging", broker="memory://", set_as_current=False) as app:

        @app.task(name="failing", shared=False)
        def failing() -> None:
            raise error

        app.WorkController(pool_cls="solo", consumer_cls=consumer.Consumer)
        answer = build_tracer("failing", failing, app=app)("id", (), {}, {"id": "id", "args": (), "kwargs": {}})

    assert answer.retval.exception.exc is error
    assert [record for record in caplog.records if record.exc_info] == []


def test_an_error_that_sends_a_message_back_survives_the_way_between_processes() -> None:
    copy = pickle.loads(pickle.dumps(consumer.GivenBackError("Redis is away")))

    assert (type(copy), copy.reason, copy.requeue) == (consumer.GivenBackError, "Redis is away", True)


class Unreachable:
    """The channel of a connection that has ended."""

    def __getattr__(self, _: str) -> Any:
        def fail(*_: object, **__: object) -> None:
            raise ConnectionError("the broker connection was closed")

        return fail


@pytest.mark.parametrize("step", ["ack_log_error", "reject_log_error"])
def test_a_message_that_a_lost_connection_keeps_is_one_line_of_the_log(
    step: str, handle: Any, caplog: pytest.LogCaptureFixture
) -> None:
    message = kombu.Message(channel=Unreachable(), delivery_tag="tag")

    getattr(message, step)(logging.getLogger("celery.worker.request"), (ConnectionError,))

    [record] = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert "the broker connection was closed" in record.getMessage()


@pytest.mark.parametrize(
    "words", ["not ack %r, reason:%r", "not reject %r, reason:%r", "Frequent restarts detected: %r"]
)
def test_what_an_outage_of_redis_looks_like_is_one_line_of_the_log(words):
    error = (ValueError, ValueError("x"), None)
    record = logging.LogRecord("celery", logging.CRITICAL, "f.py", 1, words, ("a",), error)

    assert consumer._as_one_line(record)
    assert (record.exc_info, record.levelname) == (None, "WARNING")


def test_what_celery_logs_otherwise_keeps_its_traceback():
    error = (ValueError, ValueError("x"), None)
    record = logging.LogRecord("celery", logging.CRITICAL, "f.py", 1, "Unrecoverable error: %r", ("a",), error)

    assert consumer._as_one_line(record)
    assert (record.exc_info, record.levelname) == (error, "CRITICAL")


def stumble(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (KeyError("task"), "KeyError"),
        (ResponseError("OOM command not allowed"), "ResponseError"),
        (ConnectionError("away"), "GivenBackError"),
        (AwayError("away"), "GivenBackError"),
    ],
)
def test_what_celery_fails_over_in_a_thread_is_seen_and_given_back_if_redis_is_away(
    error: BaseException, name: str
) -> None:
    seen: list[object] = []
    with Celery("stumbling", broker="memory://", set_as_current=False) as app:
        pool = app.WorkController(pool_cls="threads", concurrency=1, consumer_cls=consumer.Consumer).consumer.pool
        pool.start()
        report = lambda failed, return_ok: seen.append((failed.type.__name__, return_ok))  # noqa: E731
        pool.apply_async(stumble, (error,), callback=None, error_callback=report).wait(60)
        pool.apply_async(int, ("1",), callback=seen.append, error_callback=report).wait(60)
        pool.stop()

    assert seen == [(name, True), 1]


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [
        ("Exception raised outside body: KeyError(1):\n in _dispatch_callbacks_and_chain", False),
        ("Exception raised outside body: KeyError(1):\n in a result backend", True),
        ("anything else", True),
    ],
)
def test_only_the_warning_of_what_its_dead_letter_says_is_left_out_of_the_log(text: str, *, is_kept: bool) -> None:
    record = logging.LogRecord("py.warnings", logging.WARNING, "", 0, "%s", (text,), None)

    assert consumer._is_no_second_record(record) is is_kept
