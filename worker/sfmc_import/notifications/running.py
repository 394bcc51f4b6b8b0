"""The process of the notifications: each in a thread of its own, so that one that fails keeps no other waiting."""

import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog

from sfmc_import.events.readers import EventGroup
from sfmc_import.ledger.clock_notes import compared_with
from sfmc_import.ledger.keys import Keys
from sfmc_import.notifications.channel import Channel
from sfmc_import.notifications.memory import NotifierMemory, group_of
from sfmc_import.notifications.sending import Sender
from sfmc_import.redis_client import connect
from sfmc_import.settings import Settings
from sfmc_import.settings.notify_table import NotifyTable

END_SECONDS = 10.0
"""How long the end waits for a message that is being sent; what is left comes again at the next start."""

AGAIN_SECONDS = 5.0
ENOUGH_DELIVERIES = 1000
"""An event that comes so often ends the notifier each time. Retries of a message are no deliveries."""

log = structlog.get_logger("sfmc_import.notifications")


def run_notifications(
    settings: Settings, tables: Mapping[str, NotifyTable], senders: Mapping[str, Sender]
) -> list[int]:
    """Run them until SIGTERM or SIGINT; gives the signals received."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=_run, args=(name, table, settings, senders[name], stop), name=f"notify-{name}")
        for name, table in tables.items()
    ]
    with _signals() as received, _clock_compared(settings):
        log.info("notifier_started", notifications=list(tables))
        for each in threads:
            each.daemon = True
            each.start()
        while not received:
            # A signal handler may not set an Event: the thread that it interrupts may hold its lock.
            stop.wait(0.2)
        stop.set()
        deadline = time.monotonic() + END_SECONDS
        for each in threads:
            each.join(max(0.0, deadline - time.monotonic()))
    log.info("notifier_ended")
    return received


@contextmanager
def _clock_compared(settings: Settings) -> Iterator[None]:
    """Compare the clock of this process with that of Redis meanwhile: signed messages have its time."""
    with connect(settings.redis, retries=0) as client, compared_with(client, Keys(settings.prefix), "notifier"):
        yield


def _run(name: str, table: NotifyTable, settings: Settings, sender: Sender, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            with connect(settings.redis, retries=0) as client, open_group(name, table, settings) as group:
                memory = NotifierMemory(client, settings.redis, settings.prefix, name)
                Channel(name, table, group, sender, memory, stop).run()
        except Exception:
            # The edge of a notification: it begins anew, the others go on.
            log.exception("notification_failed", notification=name)
            stop.wait(AGAIN_SECONDS)


def open_group(name: str, table: NotifyTable, settings: Settings) -> EventGroup:
    """Open the consumer group of a notification; a new one begins with what happens from now on."""
    return EventGroup(
        settings.redis,
        group_of(name),
        prefix=settings.prefix,
        claim_after=table.claim_after,
        max_deliveries=ENOUGH_DELIVERIES,
    )


@contextmanager
def _signals() -> Iterator[list[int]]:
    received: list[int] = []
    before = {
        each: signal.signal(each, lambda number, _: received.append(number)) for each in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield received
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
