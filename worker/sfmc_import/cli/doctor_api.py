"""What `doctor` finds out about the HTTP API, where commands use it in the place of Redis."""

from collections.abc import Iterator

from sfmc_import.api_client import ApiClient
from sfmc_import.api_client.wire import shown
from sfmc_import.cli.doctor_addresses import is_plain_http
from sfmc_import.cli.doctor_folders import check_clocks, check_folders, check_losses, check_old_definitions
from sfmc_import.cli.doctor_starts import unanswered
from sfmc_import.cli.doctor_troubles import check_broker, check_notifications, check_pauses, check_troubles
from sfmc_import.errors import SfmcImportError
from sfmc_import.operations.status import StatusView
from sfmc_import.processes import NOT_KNOWN
from sfmc_import.redis_server import Finding

LET_IT_WRITE = "let Redis take writes again"
START_THEM = "start sfmc-import worker and sfmc-import beat there, or find out why they stand still"


def check_api(api: ApiClient) -> Iterator[Finding]:
    """Ask once what runs: the answer says whether the API is there and knows the token."""
    if is_plain_http(api.url):
        yield Finding("warn", "encryption", "SFMC_API_URL is plain http: the token is not encrypted", "use https://")
    try:
        running = api.running()
    except SfmcImportError as error:
        yield Finding("fail", "api", str(error), error.fix)
        return
    yield Finding("ok", "api", f"{shown(api.url)} answers and knows the token")
    wrong = (*running.missing, *running.late)
    if wrong:
        in_doubt = any(each.startswith(NOT_KNOWN) for each in wrong)
        yield Finding("warn", "processes", "; ".join(wrong), LET_IT_WRITE if in_doubt else START_THEM)
    else:
        yield Finding("ok", "processes", f"workers: {running.workers}, beats: {running.beats}")
    yield from _check_whole(api)


def _check_whole(api: ApiClient) -> Iterator[Finding]:
    """Say what the server has at the top of its status, and its folders; a token that only submits may not ask."""
    try:
        whole = api.status()
    except SfmcImportError:
        return
    for each in whole.servers:
        yield Finding("fail", each.check, each.text, each.fix)
    yield from check_broker(whole.broker)
    yield from check_losses(whole.losses)
    yield from _check_due(whole)
    yield from check_clocks(whole.clocks)
    yield from check_folders(whole.folders)
    yield from check_old_definitions(whole.old_definitions)
    yield from check_notifications(whole.notifications)
    yield from check_pauses(whole.paused)
    yield from check_troubles(whole.troubles)
    yield from unanswered(whole.next, whole.now.timestamp(), whole.missing)


def _check_due(whole: StatusView) -> Iterator[Finding]:
    """Say that nothing takes up what is due, where a process that would is known to be missing."""
    gone = [each.partition(": ")[0] for each in whole.missing if each.startswith(("no worker", "no beat"))]
    if whole.overdue and gone:
        count = f"{whole.overdue} request{'s are' if whole.overdue > 1 else ' is'} due"
        yield Finding("fail", "due", f"{count}, and {' and '.join(gone)}", START_THEM)
