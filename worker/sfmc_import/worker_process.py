"""A worker's own health: looks at Redis before it starts and leaves a heartbeat for containers; imported by Celery."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog
from celery import signals
from redis.exceptions import RedisError

from sfmc_import.celery_app import ImportApp, app
from sfmc_import.ports import Ledger, LedgerUnavailableError
from sfmc_import.redis_server import Finding, check_server, connect, inspect_server
from sfmc_import.retrying import CONNECT, NO_JITTER
from sfmc_import.settings import RedisAddress, Settings, SettingsError, load

BEAT_SECONDS = 5.0
log = structlog.get_logger("sfmc_import.worker_process")


class Heartbeat:
    """Touches a file while the process lives; it says `starting` until `ready` was called.

    A thread does it, not Celery's timer: that one stops while the broker is down,
    and every worker would be restarted in every outage.
    """

    def __init__(self, file: Path, seconds: float = BEAT_SECONDS) -> None:
        self._file = file
        self._seconds = seconds
        self._word = "starting"
        self._over = threading.Event()

    def start(self) -> None:
        """Begin; the first beat is there on return."""
        self._beat()
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def ready(self) -> None:
        """Say from now on that the worker takes messages."""
        self._word = "ready"
        self._beat()

    def stop(self) -> None:
        """End the heartbeat and remove the file: a worker that left must not look alive."""
        self._over.set()
        with suppress(OSError):
            self._file.unlink()

    def _run(self) -> None:
        while not self._over.wait(self._seconds):
            self._beat()

    def _beat(self) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(f"{self._word} {time.time():.0f}\n", encoding="ascii")
        except OSError as error:
            log.warning("heartbeat_not_written", file=str(self._file), error=str(error))


def wait_for_redis(
    address: RedisAddress, settings: Settings, pause: Callable[[float], object] = time.sleep
) -> list[Finding]:
    """Wait until this Redis answers, and say what is wrong with it; waiting is logged and has no end."""
    client = connect(address, retries=0)
    waited = 0
    while True:
        try:
            found = check_server(
                inspect_server(client), durability=settings.durability, replicas=settings.wait_replicas
            )
        except (RedisError, OSError) as error:
            waited += 1
            seconds = CONNECT.pause(waited, NO_JITTER)
            log.warning("redis_unreachable", redis=address.shown, error=str(error), next_try_in=seconds)
            pause(seconds)
        else:
            client.close()
            return found


class WorkerHealth:
    """What one worker or beat process does for its health, hung on Celery's signals by `connect`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._heartbeat: Heartbeat | None = None

    def connect(self) -> None:
        """Take part in the life of this process: after its logs are set up, before it connects."""
        signals.celeryd_after_setup.connect(self._before_worker, weak=False)
        signals.beat_init.connect(self._before_beat, weak=False)
        signals.worker_ready.connect(self._say_ready, weak=False)
        signals.worker_shutdown.connect(self._end, weak=False)

    def _before_worker(self, **_: Any) -> None:
        self._begin(self._settings(marketing_cloud=True))

    def _before_beat(self, **_: Any) -> None:
        self._begin(self._settings(marketing_cloud=False))
        self._say_ready()

    def _settings(self, *, marketing_cloud: bool) -> Settings:
        try:
            return load(self._environ, marketing_cloud=marketing_cloud)
        except SettingsError as error:
            for problem in error.problems:
                log.error("setting_invalid", problem=problem)
            raise SystemExit(2) from None

    def _begin(self, settings: Settings) -> None:
        if settings.heartbeat_file is not None:
            self._heartbeat = Heartbeat(settings.heartbeat_file)
            self._heartbeat.start()
        places = {place.client_url: place for place in (settings.redis, settings.broker)}
        found = [(finding, place) for place in places.values() for finding in wait_for_redis(place, settings)]
        for finding, place in found:
            _log_finding(finding, place)
        if any(finding.level == "fail" for finding, _ in found):
            raise SystemExit(1)

    def _say_ready(self, **_: Any) -> None:
        if self._heartbeat is not None:
            self._heartbeat.ready()

    def _end(self, **_: Any) -> None:
        if self._heartbeat is not None:
            self._heartbeat.stop()


def _log_finding(finding: Finding, place: RedisAddress) -> None:
    facts = {"redis": place.shown, "check": finding.check, "detail": finding.text, "fix": finding.fix}
    if finding.level == "fail":
        log.error("redis_check_failed", **facts)
    elif finding.level == "warn":
        log.warning("redis_check_warning", **facts)


WorkerHealth(os.environ).connect()


PROBE_SECONDS = 1.0


class WriteLossWatch:
    """Writes a number into Redis every second; after a failover that lost the last one, starts become careful."""

    def __init__(self, ledger: Ledger, seconds: float = PROBE_SECONDS) -> None:
        self._ledger = ledger
        self._seconds = seconds
        self._who = uuid4().hex
        self._count = 1
        self._over = threading.Event()

    def start(self) -> None:
        """Begin in a thread of its own."""
        threading.Thread(target=self._run, name="vigil", daemon=True).start()

    def stop(self) -> None:
        """End it at the next pulse."""
        self._over.set()

    def beat(self) -> bool:
        """Write one number; True when the one before was lost. An absent Redis is no loss."""
        try:
            lost = self._ledger.write_probe(self._who, self._count)
        except LedgerUnavailableError:
            return False
        self._count += 1
        if lost:
            log.error("write_loss_detected", detail="for 15 minutes starts look for runs that the ledger does not have")
        return lost

    def _run(self) -> None:
        while not self._over.wait(self._seconds):
            self.beat()


def connect_write_loss_watch(made: ImportApp) -> None:
    """Keep vigil from the moment a worker is ready until it ends."""
    vigils: list[WriteLossWatch] = []

    def begin(**_: Any) -> None:
        vigils.append(WriteLossWatch(made.deps.ledger))
        vigils[-1].start()

    def end(**_: Any) -> None:
        for vigil in vigils:
            vigil.stop()

    signals.worker_ready.connect(begin, weak=False)
    signals.worker_shutdown.connect(end, weak=False)


connect_write_loss_watch(app)
