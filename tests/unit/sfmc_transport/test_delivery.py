"""Which servers carry the transport, which entries of a queue are delivered, and which become dead letters."""

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.transport.virtual import Message
from kombu.transport.virtual.base import Base64
from kombu.utils.json import dumps, loads

from sfmc_transport.delivery import (
    RETURNS_HEADER,
    UndecodableEntryError,
    count_return,
    decode,
    mark_redelivered,
    read_entry,
    read_unacked,
    without_count,
)


class Codec:
    """The part of a channel that a message asks for its body."""

    def decode_body(self, body: str, encoding: str | None) -> object:
        if encoding is None:
            return body
        return {"base64": Base64()}[encoding].decode(body)


def message(**changes):
    fields = {
        "body": base64.b64encode(b"[[], {}, {}]").decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "imports.start", "id": "1"},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": "tag",
            "delivery_info": {"exchange": "", "routing_key": "imports"},
            "priority": 0,
        },
    }
    return fields | changes


def properties(**changes):
    return message()["properties"] | changes


def encoded(payload) -> bytes:
    return json.dumps(payload).encode()


def build(payload):
    return decode(lambda: Message(payload, channel=Codec()))


def test_a_message_as_celery_writes_it_is_delivered_unchanged():
    assert read_entry(encoded(message())) == message()


@pytest.mark.parametrize("absent", ["headers", "body", "content-type"])
def test_fields_that_other_producers_leave_out_are_no_reason_to_refuse(absent):
    payload = {name: value for name, value in message().items() if name != absent}

    assert read_entry(encoded(payload)) == payload


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not JSON"),
        (b"hello", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"__type__": "no such type", "__value__": 1}', "not JSON"),
        (b"[1, 2]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{}", "no properties"),
        (encoded(message(properties=None)), "no properties"),
        (encoded(message(properties=[])), "no properties"),
        (encoded(message(headers=None)), "headers"),
        (encoded(message(headers=[])), "headers"),
        (encoded(message(body={})), "body"),
        (encoded(message(body=7)), "body"),
        (encoded(message(properties=properties(delivery_info=None))), "delivery_info"),
        (encoded(message(properties=properties(body_encoding=7))), "body_encoding"),
        (encoded(message(properties=properties(priority=float("inf")))), "priority"),
        (encoded(message(properties=properties(priority=[1]))), None),
    ],
)
def test_what_kombu_would_stumble_over_is_named(raw, reason):
    if reason is None:
        assert read_entry(raw)
        return
    with pytest.raises(UndecodableEntryError, match=reason):
        read_entry(raw)


@pytest.mark.parametrize(
    "payload",
    [
        message(body="abc"),
        message(properties=properties(body_encoding="rot13")),
        message(headers={"task": "imports.start", "compression": "application/x-gzip"}),
        message(headers={"task": "imports.start", "compression": "unheard-of"}),
    ],
    ids=["bad base64", "unknown encoding", "not compressed", "unknown compression"],
)
def test_a_body_that_cannot_be_decoded_is_found_before_the_message_is_claimed(payload):
    with pytest.raises(UndecodableEntryError, match="body"):
        build(read_entry(encoded(payload)))


def test_a_readable_body_arrives_as_its_bytes():
    assert build(read_entry(encoded(message()))).body == b"[[], {}, {}]"


@given(st.binary())
def test_any_bytes_are_read_or_refused_and_nothing_else(raw):
    with suppress(UndecodableEntryError):
        assert isinstance(read_entry(raw), dict)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=5,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(message(), json_values)))
def test_whatever_is_delivered_can_be_put_back_later(payload):
    try:
        accepted = read_entry(dumps(payload).encode())
    except UndecodableEntryError:
        return
    again = loads(dumps(mark_redelivered(accepted)))
    assert again["headers"]["redelivered"]
    assert again["properties"]["delivery_info"]["redelivered"]


def test_each_death_of_a_worker_is_counted_in_the_message():
    payload = message()

    assert [count_return(payload) for _ in range(3)] == [1, 2, 3]


def test_a_count_that_somebody_tampered_with_starts_again():
    assert count_return(message(headers={RETURNS_HEADER: "many"})) == 1


def test_a_replay_takes_the_count_off():
    payload = message()
    count_return(payload)

    assert json.loads(without_count(encoded(payload))) == message()


@pytest.mark.parametrize("raw", [b"\x00 no JSON", encoded(message())])
def test_a_replay_keeps_other_bytes_as_they_are(raw):
    assert without_count(raw) == raw


def test_what_kombu_holds_as_unacknowledged_is_read_with_its_destination():
    held = encoded([message(), None, "imports"])

    assert read_unacked(held) == (message(), "", "imports")


@pytest.mark.parametrize("held", [b"{", b"{}", b"[1, 2]", b'["text", "", "imports"]'])
def test_a_spoiled_record_of_kombu_is_named(held):
    with pytest.raises(UndecodableEntryError):
        read_unacked(held)
