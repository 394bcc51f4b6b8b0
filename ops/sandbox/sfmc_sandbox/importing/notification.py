"""Writes the notification mail about a run into a file."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import structlog

from sfmc_sandbox.importing.outcome import Outcome
from sfmc_sandbox.importing.rows import BadRow, RowStore
from sfmc_sandbox.private_files import make_private_folder, write_private

_ALWAYS = ("", "Always", "OnConversationComplete", "OnCallComplete")
_ON_ERROR = ("OnError", "OnConversationError")
_SHOWN = 20
# The standard library's reader of addresses fails on some texts that are none ("<"), so they go elsewhere.
_ADDRESS = re.compile(r"[\w.+'-]+@[\w.-]+", re.ASCII)
_log = structlog.get_logger(__name__)


def is_wanted(notification: Mapping[str, Any] | None, outcome: Outcome) -> bool:
    """Return whether a Notification wants a mail about this outcome; an import with bad rows counts as an error."""
    if not notification or not notification.get("ResponseAddress"):
        return False
    if (notification.get("ResponseType") or "None") == "None":
        return False
    when = notification.get("RespondWhen") or ""
    failed = outcome.status == "Error" or outcome.errors > 0
    return when in _ALWAYS or (when in _ON_ERROR and failed)


def compose(
    notification: Mapping[str, Any], key: str, task_id: int, outcome: Outcome, bad: Sequence[BadRow], now: datetime
) -> EmailMessage:
    """Return the mail; `bad` are the rows to show if IncludeResults is set."""
    mail = EmailMessage()
    mail["From"] = "sandbox@sfmc-import.invalid"
    address = _line(notification["ResponseAddress"]).strip()
    mail["To" if _ADDRESS.fullmatch(address) else "X-Response-Address"] = address
    mail["Subject"] = f"Import {_line(key)}: {outcome.status}"
    mail["Date"] = format_datetime(now)
    mail["X-Response-Type"] = _line(notification["ResponseType"])
    mail["X-Task-ID"] = str(task_id)
    mail.set_content("\n".join(_lines(outcome, bad if notification.get("IncludeResults") else ())))
    return mail


def _line(value: object) -> str:
    """Return text that fits one header: nothing in it can end the line."""
    return "".join(letter if letter.isprintable() else " " for letter in str(value))


def _lines(outcome: Outcome, bad: Sequence[BadRow]) -> list[str]:
    lines = [
        outcome.message,
        f"File: {outcome.file or 'none'}",
        f"Destination: {outcome.destination_id} ({outcome.import_type})",
        f"Successful: {outcome.successful}",
        f"Duplicated: {outcome.duplicated}",
        f"Restricted: {outcome.restricted}",
        f"Errors: {outcome.errors}",
        f"Total: {outcome.total}",
    ]
    return lines + [f"Line {row.line} of {row.file}: {row.reason}" for row in bad]


def notify(
    definition: Mapping[str, Any], files: Path, task_id: int, outcome: Outcome, store: RowStore, now: datetime
) -> None:
    """Write the mail a definition's Notification asks for; if the file cannot be written, that is logged."""
    notification, key = definition.get("Notification"), str(definition.get("CustomerKey") or "")
    if not is_wanted(notification, outcome):
        return
    mail = compose(notification or {}, key, task_id, outcome, store.bad_rows(task_id, limit=_SHOWN), now)
    path = notification_file(files, task_id)
    try:
        write(mail, path)
    except OSError as error:
        _log.warning("import_notification_failed", task_id=task_id, path=str(path), error=str(error))
    else:
        _log.info(
            "import_notification_written", task_id=task_id, path=str(path), to=mail["To"] or mail["X-Response-Address"]
        )


def notification_file(files: Path, task_id: int) -> Path:
    """Return where the mail of a run is written: beside the file transfer locations."""
    return files.parent / "notifications" / f"{task_id}.eml"


def write(mail: EmailMessage, path: Path) -> None:
    """Write a mail; it appears whole or not at all."""
    make_private_folder(path.parent)
    unfinished = path.with_suffix(".part")
    write_private(unfinished, bytes(mail))
    unfinished.replace(path)
