"""Messages that no worker can handle: set aside with their bytes, while the worker goes on with the others."""

import base64
import json
from typing import Any

import pytest
import redis

from sfmc_transport import dead_letters
from tests.integration.transport.conftest import KEYS
from tests.integration.transport.workers import noted
from tests.support.waiting import eventually


def entry(body: Any = ((), {}, {}), **changes: Any) -> bytes:
    """A message as Celery writes it, but for `changes`; `body` is encoded as JSON unless it is bytes."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {
        "body": base64.b64encode(text).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "probe.note", "id": "1"},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": "tag",
            "delivery_info": {"exchange": "", "routing_key": "imports"},
        },
    }
    return json.dumps(fields | changes).encode()


def first_protocol(**fields: Any) -> bytes:
    """A message of Celery's first protocol."""
    return entry({"task": "probe.note", "id": "1", **fields}, headers={})


GOOD = entry((["good"], {}, {}))
OLD = first_protocol(args=["good"], kwargs={})

POISON = {
    "not JSON": (b"{not JSON", "undecodable"),
    "arbitrary bytes": (b"\x80\x04\x95pickle?", "undecodable"),
    "a JSON number": (b"42", "undecodable"),
    "no properties": (b'{"body": "e30="}', "undecodable"),
    "empty body": (entry(b""), "wrong_arguments"),
    "cut base64": (entry().replace(b'"body": "', b'"body": "x'), "undecodable"),
    "null headers": (entry(headers=None), "undecodable"),
    "not compressed": (entry(headers={"task": "probe.note", "id": "1", "compression": "gzip"}), "undecodable"),
    "refused by its task": (entry((["no"], {}, {}), headers={"task": "probe.refuse", "id": "1"}), "refused_by_task"),
    "unknown task": (entry(headers={"task": "probe.nothing", "id": "1"}), "unknown_task"),
    "unknown task without id": (entry(headers={"task": "probe.nothing"}), "unknown_task"),
    "task name of a strange type": (entry((["x"], {}, {}), headers={"task": ["x"], "id": "1"}), "invalid_task"),
    "no task name": (entry((["x"], {}, {}), headers={}), "no_task_name"),
    "no headers, body no JSON": (entry(b"{", headers={}), "unreadable_body"),
    "no id": (entry((["x"], {}, {}), headers={"task": "probe.note"}), "invalid_task"),
    "bad eta": (entry((["x"], {}, {}), headers={"task": "probe.note", "id": "1", "eta": "soon"}), "invalid_task"),
    "bad time limit": (
        entry((["x"], {}, {}), headers={"task": "probe.note", "id": "1", "timelimit": 5}),
        "invalid_task",
    ),
    "refused content type": (
        entry(b"\x80\x04N.", **{"content-type": "application/x-python-serialize"}),
        "invalid_task",
    ),
    "unheard-of content type": (entry(b"?", **{"content-type": "image/png"}), "invalid_task"),
    "body no JSON": (entry(b"[[1], {"), "unreadable_body"),
    "body a number": (entry(5), "wrong_arguments"),
    "body of two": (entry(([], {})), "wrong_arguments"),
    "arguments no list": (entry((5, {}, {})), "wrong_arguments"),
    "options no object": (entry(([], {"name": "x"}, "x")), "wrong_arguments"),
    "argument missing": (entry(([], {}, {})), "wrong_arguments"),
    "argument unknown": (entry((["x"], {"colour": "red"}, {})), "wrong_arguments"),
    "callbacks no list": (entry((["x"], {}, {"callbacks": "x"})), "wrong_arguments"),
    "chain of a number": (entry((["x"], {}, {"chain": [5]})), "wrong_arguments"),
    "chord without a task": (entry((["x"], {}, {"chord": {"args": []}})), "wrong_arguments"),
    "callbacks no list, first protocol": (first_protocol(args=["x"], kwargs={}, callbacks="x"), "wrong_arguments"),
    "body an object": (entry({"name": "x"}), "wrong_arguments"),
    "body an object with kwargs": (entry({"kwargs": {"name": "x"}}), "wrong_arguments"),
    "argument unknown, both protocols": (entry({"args": ["x"], "kwargs": {"colour": "red"}}), "wrong_arguments"),
    "argument missing, first protocol": (first_protocol(), "wrong_arguments"),
    "argument unknown, first protocol": (first_protocol(args=["x"], kwargs={"colour": "red"}), "wrong_arguments"),
    "arguments no list, first protocol": (first_protocol(args="x"), "wrong_arguments"),
    "no keyword arguments, first protocol": (first_protocol(args=["x"], kwargs=None), "wrong_arguments"),
}


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_poison_is_set_aside_with_its_bytes_and_reason_and_the_worker_goes_on(
    own_valkey, valkey_client: redis.Redis, start_worker, notes, pool
):
    worker = start_worker(own_valkey.celery_url, pool=pool).ready()
    for raw, _ in POISON.values():
        valkey_client.lpush("imports", raw)
    valkey_client.lpush("imports", OLD, GOOD)

    eventually(lambda: noted(notes)["good"] == 2, 60, "the messages behind the poison ran")

    letters = {letter.entry: letter.reason for letter in dead_letters.listed(valkey_client, KEYS)}
    found = {name: letters.get(raw) for name, (raw, _) in POISON.items()}
    assert found == {name: reason for name, (_, reason) in POISON.items()}
    assert noted(notes).total() == 3, "nothing but the good messages ran"
    assert worker.is_alive()
    eventually(lambda: not valkey_client.exists("imports", "unacked", "unacked_index"), 60, "nothing is held")


def test_a_replayed_message_runs(own_valkey, valkey_client: redis.Redis, start_worker, notes):
    own = entry((["again"], {}, {}))
    letter = valkey_client.xadd(KEYS.dead_letters, {"entry": own, "queue": "imports", "reason": "unknown_task"})
    start_worker(own_valkey.celery_url).ready()

    dead_letters.replay(valkey_client, KEYS, letter.decode())

    eventually(lambda: noted(notes)["again"] == 1, 60, "the replayed message ran")
