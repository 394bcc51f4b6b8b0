"""Who is answered is read from the message; what is sent, tried again and dropped by the sweep."""

from typing import Any

import pytest
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from structlog.testing import capture_logs

from sfmc_import.replies import GIVEN_UP_SECONDS, send_replies
from sfmc_import.request import BadRequestError, celery_headers, read_request
from sfmc_import.states import Reply


class Box:
    """The replies of a ledger, and what became of them."""

    def __init__(self, *ages: float) -> None:
        self.found = [reply(f"r{number}", age) for number, age in enumerate(ages)]
        self.done: list[str] = []

    def replies(self, limit: int, pause: float) -> list[Reply]:
        assert (limit, pause) == (100, 10)
        return self.found

    def reply_sent(self, sent: Reply, proof: str = "") -> None:
        assert proof == f"proof of {sent.request_id}" or sent.age > GIVEN_UP_SECONDS
        self.done.append(sent.request_id)


def reply(request_id: str, age: float) -> Reply:
    return Reply(request_id=request_id, task="t", queue="q", event={"id": request_id}, age=age, stored=b"")


def run(box: Box, *errors: Exception | None) -> tuple[int, list[str], list[Any]]:
    left, sent = list(errors), []

    def send(each: Reply) -> str:
        sent.append(each.request_id)
        if left and (error := left.pop(0)):
            raise error
        return f"proof of {each.request_id}"

    with capture_logs() as logs:
        count = send_replies(box, send, 10)  # type: ignore[arg-type]
    return count, sent, [(line["event"], line["request_id"]) for line in logs]


def test_what_is_sent_is_noted() -> None:
    box = Box(0, 1)

    assert run(box) == (2, ["r0", "r1"], [])
    assert box.done == ["r0", "r1"]


def test_a_broker_that_is_away_is_not_asked_for_each_of_them() -> None:
    box = Box(0, 1, 2)

    assert run(box, OperationalError("away")) == (0, ["r0"], [("reply_not_sent", "r0")])
    assert box.done == []


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_queue_that_may_not_be_written_keeps_no_other_waiting(*, wrapped: bool) -> None:
    box, error = Box(0, 1), ResponseError("WRONGTYPE")
    raised: Exception = error
    if wrapped:
        raised = OperationalError(str(error))
        raised.__cause__ = error

    assert run(box, raised) == (1, ["r0", "r1"], [("reply_not_sent", "r0")])
    assert box.done == ["r1"]


def test_what_could_not_be_sent_for_a_day_is_dropped_and_logged() -> None:
    box = Box(GIVEN_UP_SECONDS + 1, 5)

    assert run(box, RedisConnectionError("x"), RedisConnectionError("x")) == (
        0,
        ["r0", "r1"],
        [("reply_given_up", "r0"), ("reply_not_sent", "r1")],
    )
    assert box.done == ["r0"]


# --- What a message may say.


def test_who_is_answered_is_read_and_written_into_the_message() -> None:
    given = {"customer_key": "k", "reply_to": "app.tasks.done", "reply_queue": "billing-1"}
    found = read_request("r", "7", given)

    assert (found.reply_to, found.reply_queue) == ("app.tasks.done", "billing-1")
    assert found.as_message() == {**given, "mid": "7"}
    assert "billing-1" in celery_headers(found)["kwargsrepr"]


@pytest.mark.parametrize("queue", ["imports-billing", "importsx", "my-imports", "imports_done", "IMPORTS", "celery"])
def test_a_queue_whose_name_is_only_like_ours_is_taken(queue: str) -> None:
    assert read_request("r", "7", {"customer_key": "k", "reply_to": "t", "reply_queue": queue}).reply_queue == queue


def test_who_is_answered_makes_no_other_request() -> None:
    plain = read_request("r", "7", {"customer_key": "k"})
    answered = read_request("r", "7", {"customer_key": "k", "reply_to": "t", "reply_queue": "q"})

    assert plain.content == answered.content
    assert plain.reply_to is plain.reply_queue is None


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"reply_to": "t"}, "reply_queue is missing"),
        ({"reply_queue": "q"}, "reply_to is missing"),
        ({"reply_to": "imports.start", "reply_queue": "q"}, "reply_to must not be one of ours"),
        ({"reply_to": "celery.chain", "reply_queue": "q"}, "reply_to must not be one of ours or of Celery"),
        ({"reply_to": "t", "reply_queue": "imports"}, "reply_queue must not be one of ours"),
        ({"reply_to": "t", "reply_queue": "imports.upkeep"}, "reply_queue must not be one of ours"),
        ({"reply_to": "t", "reply_queue": "imports:3"}, "reply_queue must not be one of ours"),
        ({"reply_to": "t", "reply_queue": "imports-9"}, "reply_queue must not be one of ours"),
        ({"reply_to": "t", "reply_queue": "imports::9"}, "reply_queue must not be one of ours"),
        ({"reply_to": "t", "reply_queue": "imports:other"}, "reply_queue must not be one of ours"),
        ({"reply_to": "t", "reply_queue": "sfmc-import:events"}, "reply_queue must not be one of ours"),
        ({"reply_to": "t", "reply_queue": "_kombu.binding.imports"}, "reply_queue must not be one of ours"),
        ({"reply_to": "t" * 256, "reply_queue": "q"}, "reply_to must be the name of your task: 1 to 255"),
        ({"reply_to": "t", "reply_queue": "q" * 129}, "reply_queue must be the queue"),
        ({"reply_to": "", "reply_queue": "q"}, "reply_to must be"),
        ({"reply_to": 5, "reply_queue": ["q"]}, "reply_to must be"),
        ({"reply_to": "t", "reply_queue": "{sfmc-import:events}:due"}, "reply_queue must be"),
        ({"reply_to": "t\n", "reply_queue": "q\x06\x163"}, "reply_queue must be"),
    ],
)
def test_a_reply_that_cannot_be_sent_is_refused_with_its_message(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadRequestError, match=complaint):
        read_request("r", "7", {"customer_key": "k", **given})


def test_an_error_of_ours_with_one_reply_keeps_no_other_waiting() -> None:
    box = Box(0, 1, 2)

    assert run(box, OverflowError("odd")) == (2, ["r0", "r1", "r2"], [("reply_not_sent", "r0")])
    assert box.done == ["r1", "r2"]
