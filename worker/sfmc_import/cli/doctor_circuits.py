"""What `doctor` finds out about calls that are not made, or starts that wait, because calls to Marketing Cloud fail."""

from collections.abc import Iterator

from sfmc_import.access import ReadAccess
from sfmc_import.cli.doctor_troubles import check_pauses, check_troubles
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.operations.fixing import fix_for, login_of
from sfmc_import.operations.pausing import pauses
from sfmc_import.operations.troubles import troubles
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.redis_server import Finding
from sfmc_import.settings import Settings


def fix_of(code: str, settings: Settings) -> str:
    """Say what a person can do about a call that failed."""
    return fix_for(code, login_of(settings))


def check_circuits(settings: Settings) -> Iterator[Finding]:
    """Say what is paused, and for what starts wait because calls fail, as the top of `status` does."""
    access = ReadAccess(settings)
    try:
        found, paused = troubles(access), pauses(access)
    except (LedgerUnavailableError, ServiceUnavailableError):
        return
    yield from check_pauses(paused)
    # What Redis does not confirm is said where Redis itself is asked.
    yield from check_troubles([each for each in found if each.reason != "redis_unsure"])
