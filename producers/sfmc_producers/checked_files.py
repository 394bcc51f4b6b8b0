"""Carries out the preflight of a file: reads the description of its definition, then the beginning of the file."""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import structlog

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.faults import NotApplied
from sfmc_import.file_format import FileDescription, FileFormat, Preflight
from sfmc_import.ports import Refusal
from sfmc_import.routing import Routed
from sfmc_producers.content_errors import ContentChangedError, ContentUnavailableError
from sfmc_producers.preflight import Checked, check

OpenContent = Callable[[], BinaryIO]
"""Opens the content of a file for reading, at its beginning; a stream that cannot seek is never resumed.

It raises OSError or ContentError, and so does what it opens.
"""

log = structlog.get_logger("sfmc_producers.preflight")


class Descriptions(Protocol):
    """Says what the file of a definition should look like."""

    def description(self, mid: str, customer_key: str, *, max_age: float) -> FileDescription | Refusal:
        """Give it from memory, if not older than `max_age` seconds, or ask; code 43010 without such a definition."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A file that is refused: the ledger has its request, `rejected` with `code` (preflight, damaged and others).

    The code `known` says that it had it before the file was looked at.
    """

    request_id: str
    problems: tuple[str, ...]
    code: str = "preflight"


def say_refused(bound: Any, found: Refused) -> None:
    """Log it; `bound` is the log with what is known of the file."""
    if found.code == "known":
        bound.info("file_known", request_id=found.request_id, state="rejected")
    elif found.code == "preflight":
        bound.warning("preflight_failed", request_id=found.request_id, problems=list(found.problems))
    else:
        bound.warning("file_damaged", request_id=found.request_id, problems=list(found.problems))


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file without rows, which starts nothing: its route says so."""


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading, as `open_handle`."""
    return open(open_handle(path), "rb")


def open_handle(path: Path) -> int:
    """Open a file for reading; raises OSError for a pipe or a device, which would be waited for without end."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise OSError(errno.EINVAL, "not a regular file")


def describe(target: Routed, descriptions: Descriptions, max_age: float) -> FileDescription:
    """Say what the file should look like, or did `max_age` seconds ago.

    Raises ServiceUnavailableError where Marketing Cloud does not say it now.
    """
    found = descriptions.description(target.mid, target.customer_key, max_age=max_age)
    if isinstance(found, NotApplied):
        text = f"Cannot read how definition {target.customer_key} reads its file: {found.text} ({found.code})"
        raise ServiceUnavailableError(text)
    # Where there is no definition, or it is refused, the start finds out and says it: nothing but the encoding can be
    # said about the file, and files of other definitions do not wait for it.
    return found if isinstance(found, FileDescription) else FileDescription(FileFormat())


def look_into(open_content: OpenContent, wanted: Preflight, description: FileDescription) -> Checked | None:
    """Check a file; None where it cannot be read now, which holds up no other file.

    Raises ContentGoneError and ContentDamagedError.
    """
    try:
        with closing(open_content()) as content:
            return check(content, wanted, description)
    except OSError as error:
        reason = error.strerror or str(error)
    except (ContentUnavailableError, ContentChangedError) as error:
        reason = str(error)
    log.warning("preflight_file_unreadable", reason=reason, action="waiting")
    return None
