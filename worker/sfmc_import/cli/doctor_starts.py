"""What `doctor` says of starts that Marketing Cloud does not answer."""

from collections.abc import Iterator, Sequence

from sfmc_import.access import ReadAccess
from sfmc_import.cli.output import seconds
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.operations import requests
from sfmc_import.operations.fixing import fix_for
from sfmc_import.operations.in_doubt import missing as missing_processes
from sfmc_import.operations.views import RequestView
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.redis_server import Finding
from sfmc_import.settings import Settings

LOOKED_AT = 200
"""How many of the requests that are due next are looked at."""

LONG_SECONDS = 30.0
"""Marketing Cloud answers a start within seconds."""

NO_WORKER = "start sfmc-import worker: none runs that waits for the answer"


def check_starts(settings: Settings) -> Iterator[Finding]:
    """Warn of starts without an answer for long; nothing where Redis does not say it."""
    access = ReadAccess(settings)
    try:
        yield from unanswered(requests.unfinished(access, LOOKED_AT), access.reader.now(), missing_processes(access))
    except (LedgerUnavailableError, ServiceUnavailableError):
        return


def unanswered(views: Sequence[RequestView], now: float, missing: Sequence[str] = ()) -> Iterator[Finding]:
    """Say how many attempts have had no answer for long, and the oldest; `missing` are processes that do not run."""
    begun = [each.attempting.since.timestamp() for each in views if each.attempting and each.attempting.since]
    late = [at for at in begun if now - at >= LONG_SECONDS]
    if late:
        text = f"{len(late)} start{'s have' if len(late) > 1 else ' has'} had no answer for {seconds(now - min(late))}"
        is_worker_gone = any(each.startswith("no worker") for each in missing)
        fix = NO_WORKER if is_worker_gone else fix_for("read_timeout", "")
        yield Finding("warn", "starts", f"{text}: sfmc-import status has them", fix)
