"""What a person can read of the bytes of a message: the task, its body, the whole as text."""

import base64
from typing import Any

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
