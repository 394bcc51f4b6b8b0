"""What is left out of a message of any Celery client, and what is refused."""

from types import SimpleNamespace
from typing import Any

import pytest

from sfmc_transport.shapes import leave_out_odd_fields, wrong_arguments

TASKS = {"probe": SimpleNamespace(typing=False)}
NEXT = {"task": "next", "args": [], "kwargs": {}, "options": {"queue": "theirs"}}
GOOD = {
    "task": "probe",
    "shadow": "nightly",
    "retries": 0,
    "group": None,
    "group_index": 3,
    "stamps": {"by": "us"},
    "stamped_headers": ["by"],
    "ignore_result": True,
    "theirs": object(),
}


def flaw(embedded: Any, *, old: bool = False) -> str | None:
    body = {"task": "probe", "args": [], **embedded} if old else [[], {}, embedded]
    headers = {} if old else {"task": "probe"}
    return wrong_arguments(TASKS, SimpleNamespace(content_encoding="utf-8", payload=body, headers=headers))


def test_headers_as_celery_writes_them_stay():
    headers = dict(GOOD)
    leave_out_odd_fields(headers)

    assert headers == GOOD


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shadow", ["nightly"]),
        ("retries", "many"),
        ("group", {"a": 1}),
        ("group_index", "first"),
        ("root_id", {}),
        ("parent_id", [1]),
        ("stamped_headers", ["unknown"]),
        ("stamped_headers", [["by"]]),
        ("stamped_headers", "by"),
        ("replaced_task_nesting", "x"),
        ("ignore_result", "x"),
        ("argsrepr", 5),
        ("kwargsrepr", {}),
        ("origin", {}),
    ],
)
def test_a_header_of_another_type_is_left_out(name: str, value: Any):
    headers = GOOD | {name: value}
    leave_out_odd_fields(headers)

    assert headers == {key: kept for key, kept in GOOD.items() if key != name}


def test_names_of_stamps_go_with_stamps_that_are_none():
    headers = GOOD | {"stamps": 5}
    leave_out_odd_fields(headers)

    assert not {"stamps", "stamped_headers"} & set(headers)


@pytest.mark.parametrize("headers", [None, "x", ["shadow"]])
def test_headers_that_are_none_are_left_alone(headers: Any):
    leave_out_odd_fields(headers)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("name", ["callbacks", "errbacks", "chain"])
@pytest.mark.parametrize(
    "value",
    ["x", 5, {"a": 1}, [5], [{}], [NEXT, None], *([NEXT | {field: 5}] for field in NEXT), [NEXT | {"args": None}]],
)
def test_what_a_sender_wants_sent_next_must_be_tasks(name: str, value: Any, old: bool):
    assert flaw({name: value}, old=old) == f"{name} is no list of tasks with their arguments"


@pytest.mark.parametrize("value", ["x", [NEXT], {"task": "next"}])
def test_a_chord_must_be_a_task(value: Any):
    assert flaw({"chord": value}) == "chord is no task with its arguments"


@pytest.mark.parametrize("old", [False, True])
def test_tasks_that_are_to_be_sent_next_are_fine(old: bool):
    named = {"callbacks": [NEXT], "errbacks": [NEXT, NEXT], "chain": [], "chord": NEXT}

    assert flaw(named, old=old) is None
    assert flaw({"callbacks": None, "chord": None}, old=old) is None
    assert flaw({}) is flaw(None) is None


def sent_to(queue: Any, name: str, task: str = "next", place: str = "queue") -> str | None:
    wanted = {**NEXT, "task": task, "options": {place: queue}}
    body = [[], {}, {name: wanted if name == "chord" else [NEXT, wanted]}]
    info = {"routing_key": "imports"}
    found = SimpleNamespace(content_encoding="utf-8", payload=body, headers={"task": "probe"}, delivery_info=info)
    return wrong_arguments(TASKS, found, ("events",))


KEYS = [
    *("{sfmc-import:events}:pauses", "events", "unacked", "imports.unacked", "acme:imports.unacked_index"),
    *("celery-task-meta-1", "acme:imports", "acme:imports:3", "a\n{b}"),
]


@pytest.mark.parametrize("place", ["queue", "routing_key", "exchange"])
@pytest.mark.parametrize("name", ["callbacks", "errbacks", "chain", "chord"])
@pytest.mark.parametrize("key", KEYS)
def test_a_task_that_would_be_written_into_a_key_that_is_no_queue_is_refused(name: str, key: str, place: str):
    assert "where its worker does not find it" in str(sent_to(key, name, place=place))
    assert sent_to(key, name, "probe", place=place) is not None


@pytest.mark.parametrize("name", ["callbacks", "errbacks", "chain", "chord"])
@pytest.mark.parametrize("queue", ["imports", "imports:3", "imports\x06\x169", "_kombu.binding.imports"])
def test_a_task_of_another_program_that_we_would_read_is_refused(name: str, queue: str):
    assert "where its worker does not find it" in str(sent_to(queue, name))


@pytest.mark.parametrize("name", ["callbacks", "errbacks", "chain", "chord"])
@pytest.mark.parametrize("queue", ["theirs", "imports-billing", "shop:events", "celery", None, 5, ""])
def test_a_task_that_goes_to_a_queue_of_another_program_is_taken(name: str, queue: Any):
    assert sent_to(queue, name) is None


def test_a_task_of_ours_may_follow_in_our_queue():
    assert sent_to("imports:3", "chain", "probe") is None
    assert sent_to("_kombu.binding.imports", "chain", "probe") is not None
