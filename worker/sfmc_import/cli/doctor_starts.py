"""What `doctor` says of starts that Marketing Cloud does not answer."""

from collections.abc import Iterator, Sequence

from sfmc_import.access import ReadAccess
from sfmc_import.cli.output import seconds
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.operations import requests
from sfmc_import.operations.fixing import fix_for
from sfmc_import.operations.in_doubt import missing as missing_processes
from sfmc_import.operations.in_trouble import LONG_SECONDS
from sfmc_import.operations.views import RequestView
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.redis_server import Finding
from sfmc_import.settings import Settings

LOOKED_AT = 200
"""How many of the requests that are due next are looked at."""

NO_WORKER = "start sfmc-import worker: none runs that waits for the answer"
TAKEN_UP = "nothing for the requests: another worker goes on with them; find out why it ended, if it shall run"


def check_starts(settings: Settings) -> Iterator[Finding]:
    """Warn of starts without an answer for long; nothing where Redis does not say it."""
    access = ReadAccess(settings)
    try:
        yield from unanswered(requests.unfinished(access, LOOKED_AT), access.reader.now(), missing_processes(access))
    except (LedgerUnavailableError, ServiceUnavailableError):
        return


def unanswered(views: Sequence[RequestView], now: float, missing: Sequence[str] = ()) -> Iterator[Finding]:
    """Say how many attempts have had no answer for long, and the oldest; `missing` are processes that do not run."""
    lost = [each for each in views if each.worker is not None and each.worker.is_gone]
    asked = [each.attempting for each in views if each.attempting and each not in lost]
    late = [each.since.timestamp() for each in asked if each.since and now - each.since.timestamp() >= LONG_SECONDS]
    is_none_left = any(each.startswith("no worker") for each in missing)
    if late:
        text = f"{len(late)} start{'s have' if len(late) > 1 else ' has'} had no answer for {seconds(now - min(late))}"
        fix = NO_WORKER if is_none_left else fix_for("read_timeout", "")
        yield Finding("warn", "starts", f"{text}: sfmc-import status has them", fix)
    yield from _of_lost(lost, NO_WORKER if is_none_left else TAKEN_UP)


def _of_lost(views: Sequence[RequestView], fix: str) -> Iterator[Finding]:
    """Say which requests a worker had that is gone, by the first of them."""
    first = next((each.worker for each in views if each.worker), None)
    if first is not None:
        text = f"{len(views)} request{'s have' if len(views) > 1 else ' has'} a worker that is gone"
        yield Finding("warn", "starts", f"{text}: {first.text}", fix)
