"""Who is answered when a request has ended: a task of the sender's own, in a queue of its own; pure."""

import re
from collections.abc import Mapping
from typing import Any

OURS = "imports"
_OF_US = re.compile(
    r"(.*:)?imports([.:].*|[^A-Za-z0-9]*[0-9]?)|(celery\.|celery-task|_kombu\.|sfmc-import:).*|(.*[.:])?unacked(_index|_mutex)?"
)
"""Names that our worker reads (a queue with a separator and a priority too), or that hold what is ours or the broker's:
an answer there would be lost."""

MAX_TASK, MAX_QUEUE = 255, 128
_TASK = re.compile(rf"[A-Za-z0-9_.:/@+-]{{1,{MAX_TASK}}}")
_QUEUE = re.compile(rf"[A-Za-z0-9_.:/@+-]{{1,{MAX_QUEUE}}}")


def read_reply(message: Mapping[str, Any], problems: list[str]) -> dict[str, str | None]:
    """Read `reply_to`, the name of a task, and `reply_queue`, which it needs; what is wrong is added to `problems`."""
    task, queue = message.get("reply_to"), message.get("reply_queue")
    if task is None and queue is None:
        return {"reply_to": None, "reply_queue": None}
    wrong = [*_problems_of("reply_to", task, _TASK, MAX_TASK), *_problems_of("reply_queue", queue, _QUEUE, MAX_QUEUE)]
    problems += wrong
    return {"reply_to": None, "reply_queue": None} if wrong else {"reply_to": task, "reply_queue": queue}


def _problems_of(name: str, value: object, pattern: re.Pattern[str], most: int) -> list[str]:
    what = "the name of your task" if name == "reply_to" else "the queue that your worker takes it from"
    if value is None:
        return [f"{name} is missing: give reply_to and reply_queue, {what}"]
    if not isinstance(value, str) or not pattern.fullmatch(value):
        return [f"{name} must be {what}: 1 to {most} letters, digits or . _ : / @ + -"]
    if _OF_US.fullmatch(value):
        return [f"{name} must not be one of ours or of Celery: {value}"]
    return []
