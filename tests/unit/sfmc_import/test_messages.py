"""What the event of a dead letter says of its message, as far as that can be read, and who waits for an answer."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from celery.app.task import Context

from sfmc_import.following import FOLLOW_BATCH
from sfmc_import.messages import caller_of, read_message, rejection_of, request_ids_of
from sfmc_import.request import BadRequestError, request_id_of
from sfmc_transport.dead_letters import DeadLetter

MID = "510001234"
DELIVERY: dict[str, Any] = {"delivery_tag": "t", "delivery_info": {}}


def entry(body: object, headers: dict[str, Any] | None = None, *, encoded: bool = True) -> bytes:
    text = json.dumps(body)
    shown = base64.b64encode(text.encode()).decode() if encoded else text
    properties = {**DELIVERY, **({"body_encoding": "base64"} if encoded else {})}
    message = {"body": shown, "headers": headers or {}, "properties": properties}
    return json.dumps({"content-type": "application/json", "content-encoding": "utf-8", **message}).encode()


def letter(raw: bytes) -> DeadLetter:
    when = datetime(2026, 3, 1, tzinfo=UTC)
    return DeadLetter(id="1-0", at=when, queue="imports", reason="invalid_request", detail="no", entry=raw)


def said(raw: bytes) -> dict[str, Any]:
    return rejection_of("1-0", letter(raw), MID)


START = {"task": "imports.start", "id": "request-1"}


def test_a_start_is_named_with_its_request_and_its_definition():
    arguments = {"customer_key": "daily", "mid": 7, "source": "shop"}

    assert said(entry([[], arguments, {}], START)) == {
        "request_id": "request-1",
        "customer_key": "daily",
        "mid": "7",
        "file": None,
        "attempt": 0,
        "task": "imports.start",
        "message_id": "request-1",
        "source": "shop",
        "queue": "imports",
        "reason": "invalid_request",
        "text": "no",
        "dead_letter": "1-0",
    }


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        (entry([["daily", 7], {}, None], START), "daily"),
        (entry([["daily"], {}, None], START, encoded=False), "daily"),
        (entry({"task": "imports.start", "id": "x", "args": ["daily"], "kwargs": {}}), "daily"),
        (entry([["r"], {}, {}], {"task": "imports.wake", "request_id": "r", "customer_key": "daily"}), "daily"),
        (entry([[5], {}, {}], START), None),
        (entry([5, 6, 7], START), None),
        (entry("text", START), None),
        (entry(5, START), None),
        (entry([[], {"customer_key": ["x"]}, {}], START), None),
    ],
)
def test_the_definition_is_read_where_a_sender_may_have_written_it(raw, key):
    assert said(raw)["customer_key"] == key


def test_a_message_of_the_first_protocol_has_its_names_in_its_body():
    data = said(entry({"task": "imports.start", "id": "request-1", "args": [], "kwargs": {"customer_key": "k"}}))

    assert (data["request_id"], data["task"]) == ("request-1", "imports.start")


def test_a_wake_up_is_named_with_the_request_in_its_headers():
    headers = {"task": "imports.wake", "id": "m", "request_id": "r", "customer_key": "daily", "mid": "8"}
    data = said(entry([["r"], {}, {}], headers))

    assert (data["request_id"], data["message_id"], data["mid"]) == ("r", "m", "8")


def test_a_header_of_a_start_does_not_name_another_request():
    data = said(entry([[], {"force": True}, {}], START | {"request_id": "another"}))

    assert (data["request_id"], data["message_id"]) == ("request-1", "request-1")


@pytest.mark.parametrize("task", ["imports.stop", "imports.follow", "other.task", None])
def test_a_message_that_is_no_request_names_none(task):
    data = said(entry([[], {}, {}], {"task": task, "id": "m", "request_id": "another"}))

    assert (data["request_id"], data["message_id"]) == (None, "m")


@pytest.mark.parametrize(
    ("given", "shown"),
    [("007", "7"), (7, "7"), ("0", MID), (True, MID), ("1" * 21, MID), (["8"], MID), (-8, MID), (None, MID)],
)
def test_the_business_unit_of_an_event_is_one_that_can_be(given, shown):
    assert said(entry([[], {"mid": given}, {}], START))["mid"] == shown


def test_an_id_that_cannot_name_a_request_is_shown_beside_the_one_that_it_gets():
    data = said(entry([[], {}, {}], {"task": "imports.start", "id": "a b"}))

    assert (data["message_id"], data["request_id"]) == ("a b", request_id_of("a b"))


@pytest.mark.parametrize("broken", [{"properties": None}, {"properties": []}, {"properties": {"delivery_info": 5}}])
def test_a_message_that_no_worker_can_take_is_named_by_what_can_be_read_of_it(broken):
    raw = json.dumps({**json.loads(entry([[], {"customer_key": "daily"}, {}], START)), **broken}).encode()

    data = said(raw)

    assert (data["request_id"], data["message_id"], data["customer_key"]) == ("request-1", "request-1", "daily")


def test_a_message_that_a_worker_held_is_named_too():
    held = b"[" + entry([[], {"customer_key": "daily"}, {}], START) + b',"",5,6]'

    assert (said(held)["request_id"], said(held)["customer_key"]) == ("request-1", "daily")


@pytest.mark.parametrize("broken", [{"body": 5}, {"body": "%"}, {"body": None, "properties": 7}])
def test_a_message_without_a_readable_body_is_named_by_its_headers(broken):
    raw = json.dumps({**json.loads(entry([[], {"customer_key": "daily"}, {}], START)), **broken}).encode()

    assert (said(raw)["request_id"], said(raw)["customer_key"]) == ("request-1", None)


@pytest.mark.parametrize("raw", [b"", b"\x80", b"[]", b'{"body": 1}', entry([[], {}, {}])[:-5]], ids=repr)
def test_bytes_that_no_one_can_read_are_still_an_event(raw):
    data = said(raw)

    assert (data["request_id"], data["customer_key"], data["mid"]) == (None, None, MID)
    assert (data["reason"], data["dead_letter"]) == ("invalid_request", "1-0")
    assert read_message(raw) == ({}, {})


def test_a_dead_letter_that_is_gone_is_still_an_event():
    data = rejection_of("1-0", None, MID)

    assert (data["reason"], data["dead_letter"], data["text"]) == ("unknown", "1-0", "no longer kept")


def test_texts_are_cut_and_can_be_written_as_json():
    data = said(entry([[], {"customer_key": "\udc80" + "x" * 5000, "mid": "\udc80"}, {}], START))

    assert data["customer_key"].startswith("?x")
    assert len(data["customer_key"]) == 1024
    assert data["mid"] == MID
    json.dumps(data).encode()


@pytest.mark.parametrize("headers", [{}, {"callbacks": [{"task": "x"}]}, {"chord": {"task": "x"}}, {"chain": [{}]}])
def test_a_sender_who_chained_something_does_not_wait_for_the_outcome(headers: dict[str, object]) -> None:
    context = Context(id="task-1", ignore_result=False, **headers)

    assert caller_of(context) == (None if headers else "task-1")
    assert caller_of(Context(id="task-1", ignore_result=True)) is None
    assert caller_of(Context(id="task-1")) is None


def test_request_ids_of_a_message_of_our_own_are_read():
    ids = [f"request-{number}" for number in range(FOLLOW_BATCH)]

    assert request_ids_of(ids) == ids


@pytest.mark.parametrize(
    "named",
    [None, 5, "abc", {}, {"a": 1}, [], [5], [None], [""], [["x"]], ["a", {}], ["x" * 1025], ["\ud83d"], ["x"] * 201],
)
def test_what_names_no_requests_is_refused(named: object):
    with pytest.raises(BadRequestError, match="request ids must be 1 to 200 texts of up to 1024 characters"):
        request_ids_of(named)
