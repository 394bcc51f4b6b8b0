"""Says whether a message of a Celery client has the shape that Celery takes for granted; drops what only describes it.

Any program may write one. Over odd fields Celery fails in the thread of a task, where nothing sees it: the message
would keep a place of the worker for ever.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from sfmc_transport.queues import lists_of

_FIELDS: Mapping[str, type] = {
    "shadow": str,
    "retries": int,
    "group": str,
    "group_index": int,
    "root_id": str,
    "parent_id": str,
    "stamps": dict,
    "stamped_headers": list,
    "replaced_task_nesting": int,
    "ignore_result": bool,
    "argsrepr": str,
    "kwargsrepr": str,
    "origin": str,
}
"""Headers that say how a task is shown or grouped, and their types; none of them says what is asked for."""

_AFTER = ("callbacks", "errbacks", "chain")
_SIGNATURE: Mapping[str, type] = {"task": str, "args": list, "kwargs": dict, "options": dict}


def leave_out_odd_fields(headers: Any) -> None:
    """Take out of the headers of a message what has another type than Celery writes."""
    if not isinstance(headers, dict):
        return
    for name, kind in _FIELDS.items():
        if not isinstance(headers.get(name), kind | None):
            del headers[name]
    stamps = headers.get("stamps") or {}
    if not all(isinstance(name, str) and name in stamps for name in headers.get("stamped_headers") or ()):
        del headers["stamped_headers"]


def wrong_arguments(tasks: Any, message: Any, reserved: Collection[str] = ()) -> str | None:
    """Say why the arguments of a message (of either protocol of Celery) do not fit its task; None if they do.

    Nor may it name one of these `reserved` keys as a queue for what is sent after it.

    A body that cannot be read, and a task that is unknown, are Celery's to report. Raises TypeError for an encoding
    that is no text: the thread of the task would fail over it unseen, and keep its place for ever.
    """
    if not isinstance(message.content_encoding, str | None):
        raise TypeError("the content encoding is no text")
    try:
        body = message.payload
    except Exception:  # noqa: BLE001 - Celery decodes it again and reports through the hooks above
        return None
    named = message.headers.get("task")
    old = isinstance(body, dict) and ("args" in body or not named)
    task = tasks.get(named or (body.get("task") if old else None))
    if task is None:
        return None
    problem = _misfit_of_first_protocol(task, body) if old else _misfit(task, body)
    if problem:
        return problem
    embedded = body if old else body[2] or {}
    return _odd_callbacks(embedded) or _lost_callbacks(embedded, tasks, message, reserved)


def _misfit(task: Any, body: Any) -> str | None:
    shapes = [type(part) for part in body] if isinstance(body, list) else []
    if shapes[:2] != [list, dict] or len(shapes) != 3 or shapes[2] not in {dict, type(None)}:
        return "the body is not [arguments, keyword arguments, options]"
    return _no_call(task, body[0], body[1])


def _misfit_of_first_protocol(task: Any, body: Mapping[str, Any]) -> str | None:
    args, kwargs = body.get("args", []), body.get("kwargs", {})
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        return "args is no list, or kwargs is no object"
    return _no_call(task, args, kwargs)


def _odd_callbacks(named: Mapping[str, Any]) -> str | None:
    """Say which of the tasks that a message wants sent after its own are none: Celery fails over them too late."""
    for name in _AFTER:
        wanted = named.get(name) or []
        if not isinstance(wanted, list) or not all(map(_is_signature, wanted)):
            return f"{name} is no list of tasks with their arguments"
    chord = named.get("chord")
    return "chord is no task with its arguments" if chord and not _is_signature(chord) else None


_PLACES = ("queue", "routing_key", "exchange")
_NO_QUEUE = re.compile(r".*[{}].*|(_kombu\.|celery-task).*|(.*[.:])?unacked(_index|_mutex)?", re.DOTALL)
"""Keys of kombu, of results and of ours; what has braces is one of several keys of a slot."""


def _lost_callbacks(named: Mapping[str, Any], tasks: Any, message: Any, reserved: Collection[str]) -> str | None:
    """Say which of the tasks after its own would be lost: sent to a list that we read, or into a key that is no queue.

    We send them with our own rights: such a key would be spoiled.
    """
    single = (named["chord"],) if named.get("chord") else ()
    after = [*(one for name in _AFTER for one in named.get(name) or ()), *single]
    if not after:
        return None
    queue = (getattr(message, "delivery_info", None) or {}).get("routing_key")
    ours = set(lists_of(str(queue))) if queue else set()
    for each in after:
        for target in filter(None, map(each["options"].get, _PLACES)):
            is_taken = isinstance(target, str) and _is_no_queue(target, ours, reserved)
            if is_taken or (target in ours and each["task"] not in tasks):
                return f"{each['task'][:100]} would be sent to {target[:100]}, where its worker does not find it"
    return None


def _is_no_queue(target: str, ours: Collection[str], reserved: Collection[str]) -> bool:
    """Tell whether a name is that of another key; also of a queue as ours, under the prefix of another deployment."""
    if target in reserved or _NO_QUEUE.fullmatch(target):
        return True
    return target not in ours and any(target.endswith(f":{name}") for name in ours)


def _is_signature(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(value.get(name), kind) for name, kind in _SIGNATURE.items())


def _no_call(task: Any, args: list[Any], kwargs: dict[str, Any]) -> str | None:
    """Say why a task cannot be called with these arguments; one without `typing` says it itself."""
    header = getattr(task, "__header__", None) if task.typing else None
    try:
        _ = header and header(*args, **kwargs)
    except TypeError as problem:
        return str(problem)
    return None
