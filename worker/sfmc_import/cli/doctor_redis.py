"""What `doctor` finds out about Redis: the server, the rights of this user, the ledger and its processes."""

import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import click
from redis import Redis
from redis.exceptions import RedisError

from sfmc_import.access import redis_errors
from sfmc_import.cli.doctor_folders import check_clocks, check_folders, check_losses, check_old_definitions
from sfmc_import.cli.output import seconds
from sfmc_import.errors import SINCE_WHEN
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.operations.budgets import with_budgets_of_watchers
from sfmc_import.operations.causes import with_cause_of
from sfmc_import.operations.clocks import wrong_clocks
from sfmc_import.operations.fixing import login_of
from sfmc_import.operations.folders import folders
from sfmc_import.operations.in_doubt import doubted
from sfmc_import.operations.lost_writes import losses
from sfmc_import.operations.outdated import old_definitions
from sfmc_import.operations.servers import check_writes
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.processes import Running
from sfmc_import.redis_client import connect
from sfmc_import.redis_errors import trouble
from sfmc_import.redis_rights import RoleName
from sfmc_import.redis_server import Finding, Holds, check_rights, check_server, inspect_server
from sfmc_import.request import QUEUE, UNACKED_INDEX
from sfmc_import.settings import RedisAddress, Settings
from sfmc_transport import queues

MAX_OVERDUE = 60.0
MOVE = "if this deployment shall have it: sfmc-import doctor --move-ledger; else give it its own SFMC_PREFIX or Redis"
NOT_MOVED = {
    "workers": "its workers still run; stop them, wait 20 seconds, and move it then",
    "unfinished": "it has unfinished requests of another business unit; let its workers finish them first",
}


def check_redis(settings: Settings, role: RoleName) -> Iterator[Finding]:
    """Check ledger and broker, one server or two, for a user of this role."""
    with connect(settings.redis, retries=0) as client:
        is_alone = settings.broker == settings.redis
        answered = yield from _server("Redis", client, settings.redis, "SFMC_REDIS_URL", settings, is_alone=is_alone)
        if answered:
            if settings.broker == settings.redis:
                yield check_rights(client, role, settings.prefix)
            takes_writes = yield from _writes(client, role, settings)
            yield from _ledger(client, settings, takes_writes=takes_writes)
            if role == "worker" and settings.broker == settings.redis:
                yield from _queue(client, settings, takes_writes=takes_writes)
    if settings.broker != settings.redis:
        with connect(settings.broker, retries=0) as client:
            answered = yield from _server(
                "broker", client, settings.broker, "SFMC_BROKER_URL", settings, is_alone=False
            )
            if answered and role != "reader":
                queue = f"{settings.broker_prefix}{QUEUE}:"
                yield check_writes(client, queue, settings.broker, "SFMC_BROKER_URL")
            if answered and role == "worker":
                yield from _queue(client, settings)


def _writes(client: Redis, role: RoleName, settings: Settings) -> Generator[Finding, None, bool]:
    """Tell whether the ledger takes writes; who only reads does not find out."""
    if role == "reader":
        return True
    found = check_writes(client, Keys(settings.prefix).tag, settings.redis, "SFMC_REDIS_URL")
    yield found
    return found.level != "fail"


def _server(
    name: str, client: Redis, place: RedisAddress, variable: str, settings: Settings, *, is_alone: bool
) -> Generator[Finding, None, bool]:
    try:
        condition = inspect_server(client)
    except (RedisError, OSError) as error:
        wrong = trouble(error, place, variable, probe=True)
        since = _away_since(settings) if name == "broker" else ""
        more = f"; {SINCE_WHEN}" if wrong.is_away and not since else ""
        yield Finding("fail", name, f"{wrong.text}{since}", f"{wrong.fix}{more}")
        return False
    yield Finding("ok", name, f"{place.shown} answers")
    holds: Holds = "all" if is_alone else "queue" if name == "broker" else "ledger"
    found = check_server(condition, durability=settings.durability, replicas=settings.wait_replicas, holds=holds)
    # Of two servers each line says which one it is about.
    which = "" if is_alone else f"{'broker' if name == 'broker' else 'ledger'}: "
    yield from (replace(each, text=f"{which}{each.text}") for each in found)
    # A server that is too old is asked nothing else.
    return len(found) > 1


def _away_since(settings: Settings) -> str:
    """Say since when a beat cannot reach the broker; empty where none has noted it."""
    with connect(settings.redis, retries=0) as client:
        try:
            since = LedgerReader(client, Keys(settings.prefix)).broker_away_since()
        except LedgerUnavailableError:
            return ""
    return "" if since is None else f", since {datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _ledger(client: Redis, settings: Settings, *, takes_writes: bool) -> Iterator[Finding]:
    reader = LedgerReader(client, Keys(settings.prefix))
    try:
        owner, running, overdue = reader.account(), reader.running(), reader.longest_overdue()
        lost = losses(reader, settings)
        clocks = wrong_clocks(reader)
        watched = with_cause_of(client, settings, folders(reader, login_of(settings)))
        watched = with_budgets_of_watchers(watched, reader.now(), settings.time_zone)
        old = old_definitions(reader, login_of(settings), settings.time_zone)
    except LedgerUnavailableError as error:
        yield Finding("fail", "ledger", f"cannot be read: {error}", "see the findings above")
        return
    yield from check_losses(lost)
    yield check_account(owner, settings.account)
    yield check_processes(running, overdue, takes_writes=takes_writes)
    yield check_overdue(overdue)
    yield from check_clocks(clocks)
    yield from check_folders(watched if takes_writes else doubted(watched))
    yield from check_old_definitions(old)


def _queue(broker: Redis, settings: Settings, *, takes_writes: bool = True) -> Iterator[Finding]:
    """Look at the messages that wait, twice if a worker runs: one that is first both times is not taken."""
    queue = f"{settings.broker_prefix}{QUEUE}"
    try:
        with connect(settings.redis, retries=0) as client:
            workers = LedgerReader(client, Keys(settings.prefix)).running().workers
        left = int(
            broker.zcount(f"{settings.broker_prefix}{UNACKED_INDEX}", 0, broker.time()[0] - 2 * settings.lease_seconds)
        )
        waiting, first, unread = queues.length(broker, queue), queues.first(broker, queue), queues.unread(broker, queue)
        if first is not None and workers:
            time.sleep(LOOK_AGAIN_SECONDS)
            first = first if queues.first(broker, queue) == first else None
    except (LedgerUnavailableError, RedisError) as error:
        yield Finding("fail", "queue", f"cannot be read: {error}", "see the findings above")
        return
    if workers or takes_writes:
        yield check_queue(waiting, is_taken=first is None, workers=workers)
    if left:
        yield check_left(left)
    if unread:
        yield check_unread(unread)


LOOK_AGAIN_SECONDS = 3.0


def check_queue(waiting: int, *, is_taken: bool, workers: int) -> Finding:
    """Say how many messages wait for a worker; a failure when none takes them."""
    count = f"{waiting} message{'s' * (waiting != 1)} in the queue"
    if is_taken:
        return Finding("ok", "queue", f"{count}, and workers take them" if waiting else "no message waits")
    if not workers:
        return Finding("fail", "queue", f"{count}, and no worker runs", "start sfmc-import worker")
    text = f"{count}; the first was not taken in {LOOK_AGAIN_SECONDS:.0f} s, though {workers} workers run"
    return Finding("fail", "queue", text, "see the logs of the workers: they are busy or stand still")


def check_left(count: int) -> Finding:
    """Say how many messages workers took and left when they died; a worker that runs gives them back to the queue."""
    text = f"{count} message{'s' * (count != 1)} of workers that died {'is' if count == 1 else 'are'} taken up by none"
    return Finding("fail", "queue", text, "start sfmc-import worker")


def check_unread(unread: Mapping[str, int]) -> Finding:
    """Name the lists of the queue that no worker reads: a sender has an option of kombu that is not understood."""
    names = ", ".join(repr(key) for key in unread)
    count = sum(unread.values())
    text = f"{count} message{'s' * (count != 1)} in {names}, which no worker reads"
    return Finding(
        "fail", "queue", text, "take `sep` out of broker_transport_options of the sender, and send them again"
    )


def check_account(owner: str, account: str) -> Finding:
    """Compare the account of the ledger with that of the settings."""
    if not owner:
        return Finding("ok", "account", "the ledger belongs to no account yet; its first worker makes it its own")
    if not account or owner == account:
        return Finding("ok", "account", f"the ledger belongs to {owner}")
    text = f"the ledger belongs to {owner}, but these settings are for {account}: workers refuse to start"
    return Finding("fail", "account", text, MOVE)


def check_processes(running: Running, overdue: float = 0.0, *, takes_writes: bool = True) -> Finding:
    """Say which processes carry requests on; a failure when a request is due, for so many seconds, that none takes.

    Without one it is a warning: before the first worker starts, an installation may be sound.
    """
    fix = _start(running)
    if running.missing and not takes_writes:
        return Finding("warn", "processes", "; ".join(running.unknown), "see the findings above")
    if running.missing and overdue > 0:
        text = f"{'; '.join(running.missing)}; a request that is due has waited for {seconds(overdue)}"
        return Finding("fail", "processes", text, fix)
    wrong = (*running.missing, *running.late)
    if wrong:
        return Finding("warn", "processes", "; ".join(wrong), fix)
    seen = f"last heartbeats {running.worker_seen:.0f} and {running.beat_seen:.0f} s ago"
    return Finding("ok", "processes", f"workers: {running.workers}, beats: {running.beats}, {seen}")


def _start(running: Running) -> str:
    """Say which processes to start, and of which to look why they stand still."""
    gone = [
        f"sfmc-import {kind}" for kind, number in (("worker", running.workers), ("beat", running.beats)) if not number
    ]
    start = f"start {' and '.join(gone)}" if gone else ""
    late = "find out why those that are late stand still" if running.late else ""
    return ", and ".join(each for each in (start, late) if each)


def check_overdue(longest: float) -> Finding:
    """Say how long the oldest request that is due has waited."""
    if longest <= MAX_OVERDUE:
        return Finding("ok", "due", "nothing that is due waits long")
    text = f"the oldest request that is due has waited for {seconds(longest)}"
    return Finding("warn", "due", text, "see that a beat and enough workers run: sfmc-import status")


def move_ledger(settings: Settings) -> str:
    """Give the ledger to the account of these settings; raise ClickException with the reason if it must stay."""
    if not settings.account:
        raise click.UsageError("the account is SFMC_ACCOUNT_ID at the host of SFMC_SOAP_URL; set both")
    with redis_errors(settings.redis, "SFMC_REDIS_URL"):
        answer = open_ledger(settings).take_over(settings.account)
    if answer != "taken":
        raise click.ClickException(f"the ledger was not moved: {NOT_MOVED[answer]}")
    return f"the ledger belongs to {settings.account} now"
