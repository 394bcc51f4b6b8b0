"""What a person can read of the bytes of a message: the task, its body, the whole as text."""

import base64
from collections.abc import Mapping
from typing import Any, Protocol

from sfmc_transport.delivery import UndecodableEntryError, read_entry


def task_and_body(entry: bytes) -> tuple[str | None, str | None]:
    """Give the name of the task and the decoded body of a message; None for what cannot be read."""
    try:
        payload = read_entry(entry)
    except UndecodableEntryError:
        return None, None
    task = payload.get("headers", {}).get("task")
    return None if task is None else str(task), _body(payload)


def _body(payload: dict[str, Any]) -> str | None:
    body = payload.get("body", "")
    if payload["properties"].get("body_encoding") != "base64":
        return str(body)
    try:
        return text_of(base64.b64decode(body))
    except ValueError:
        return None


def text_of(raw: bytes) -> str | None:
    """Give bytes as text; None where they are none."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


class Letter(Protocol):
    """A dead letter as it is shown."""

    id: str
    reason: str


def doing(done: str, operator: str, letter: Letter, queue: str) -> dict[str, str]:
    """Give what is known of a dead letter from then on."""
    return {"done": done, "dead_letter": letter.id, "operator": operator, "reason": letter.reason, "queue": queue}


def done_with(said: Mapping[str, str]) -> str:
    """Say who did what with a dead letter; empty where that is not known."""
    if not said:
        return ""
    where = f" to {said['queue']}" if said["done"] == "replayed" else ""
    return f": {said['operator']} has {said['done']} it{where}"
