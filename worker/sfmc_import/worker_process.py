"""What a worker process does besides tasks: checks Redis, touches a heartbeat file, watches for lost writes."""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from uuid import uuid4

import structlog
from celery.bootsteps import StartStopStep
from celery.signals import worker_shutting_down
from celery.worker import state
from redis import Redis
from redis.exceptions import RedisError

from sfmc_import.errors import FAILURE, INTERRUPTED
from sfmc_import.ledger.clock_notes import compared_with
from sfmc_import.ledger.keys import Keys
from sfmc_import.ports import Deps, Ledger, LedgerUnavailableError
from sfmc_import.private_files import make_private_folder, write_private
from sfmc_import.processes import HEARTBEAT_SECONDS, Process
from sfmc_import.redis_client import connect
from sfmc_import.redis_errors import trouble
from sfmc_import.redis_rights import RoleName
from sfmc_import.redis_server import MEMORY, REPLICAS, Finding, check_rights, check_server, inspect_server
from sfmc_import.retrying import CONNECT, NO_JITTER
from sfmc_import.settings import RedisAddress, Settings, SettingsError, load

FILE_SECONDS = 5.0
log = structlog.get_logger("sfmc_import.worker_process")


class Heartbeat:
    """Touches a file while the process lives; it says `starting` until `ready` was called.

    A thread does it, not Celery's timer: that one stops while the broker is down,
    and every worker would be restarted in every outage.
    """

    def __init__(self, file: Path, seconds: float = FILE_SECONDS) -> None:
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
            make_private_folder(self._file.parent)
            write_private(self._file, f"{self._word} {time.time():.0f}\n".encode("ascii"))
        except OSError as error:
            log.warning("heartbeat_not_written", file=str(self._file), error=str(error))


def wait_for_redis(
    address: RedisAddress,
    variable: str,
    settings: Settings,
    role: RoleName = "worker",
    pause: Callable[[float], object] = time.sleep,
) -> list[Finding]:
    """Wait until this Redis answers, and say what is wrong with it or with the rights there; waiting is logged.

    It has no end, unless waiting cannot help: a wrong password, a port of something else.
    """
    client = connect(address, retries=0)
    waited = 0
    while True:
        try:
            found = _findings(client, settings, role)
        except (RedisError, OSError) as error:
            wrong = trouble(error, address, variable, probe=True)
            if wrong.lasts:
                return [Finding("fail", "connection", wrong.text, wrong.fix)]
            waited += 1
            seconds = CONNECT.pause(waited, NO_JITTER)
            log.warning("redis_unreachable", redis=address.shown, error=wrong.text, next_try_in=seconds)
            pause(seconds)
        else:
            client.close()
            return found


def _findings(client: Redis, settings: Settings, role: RoleName) -> list[Finding]:
    condition = inspect_server(client)
    found = check_server(condition, durability=settings.durability, replicas=settings.wait_replicas)
    # With two servers each user has a part of the rights, which is no list of its own.
    if settings.broker == settings.redis and not any(map(_ends_the_process, found)):
        found.append(check_rights(client, role, settings.prefix))
    return found


def begin(environ: Mapping[str, str], *, marketing_cloud: bool) -> Heartbeat | None:
    """Start the heartbeat of a worker or beat process and wait until its Redis can carry the ledger.

    `marketing_cloud` asks for a complete login in the settings.
    Ends the process: code 2 for wrong settings, 1 for a Redis that cannot be used; the log says why.
    """
    settings = _settings(environ, marketing_cloud=marketing_cloud)
    heartbeat = None if settings.heartbeat_file is None else Heartbeat(settings.heartbeat_file)
    if heartbeat is not None:
        heartbeat.start()
    named = ((settings.redis, "SFMC_REDIS_URL"), (settings.broker, settings.broker_variable))
    places = {place.client_url: (place, variable) for place, variable in named}
    role: RoleName = "worker" if marketing_cloud else "beat"
    found = [
        (finding, place) for place, name in places.values() for finding in wait_for_redis(place, name, settings, role)
    ]
    for finding, place in found:
        _log_finding(finding, place)
    if any(_ends_the_process(finding) for finding, _ in found):
        raise SystemExit(1)
    return heartbeat


def _ends_the_process(finding: Finding) -> bool:
    # Memory is freed, and replicas come back: until then nothing new is taken, or sent, and runs are followed.
    return finding.level == "fail" and finding.check not in {MEMORY, REPLICAS}


def _settings(environ: Mapping[str, str], *, marketing_cloud: bool) -> Settings:
    try:
        return load(environ, marketing_cloud=marketing_cloud)
    except SettingsError as error:
        for problem in error.problems:
            log.error("setting_invalid", problem=problem)
        raise SystemExit(2) from None


def _log_finding(finding: Finding, place: RedisAddress) -> None:
    facts = {"redis": place.shown, "check": finding.check, "detail": finding.text, "fix": finding.fix}
    if _ends_the_process(finding):
        log.error("redis_check_failed", **facts)
    elif finding.level != "ok":
        log.warning("redis_check_warning", **facts)


PROBE_SECONDS = 1.0


class WriteLossWatch:
    """Writes a number into Redis every second; after a failover that lost the last one, starts become careful.

    With it, it says how long a `call` of this worker may take, in seconds: careful starts wait for the longest.
    """

    def __init__(self, ledger: Ledger, call: float = 0.0, seconds: float = PROBE_SECONDS) -> None:
        self._ledger = ledger
        self._call = call
        self._seconds = seconds
        self._who = uuid4().hex
        self._count = 1
        self._over = threading.Event()

    def start(self, also: Callable[[], object] = bool) -> None:
        """Begin in a thread of its own; after each number it calls `also`."""
        threading.Thread(target=self._run, args=(also,), name="write-loss-watch", daemon=True).start()

    def stop(self) -> None:
        """End it before the next number."""
        self._over.set()

    def beat(self) -> bool:
        """Write one number; True when the one before was lost. An absent Redis is no loss."""
        try:
            lost = self._ledger.write_probe(self._who, self._count, self._call)
        except LedgerUnavailableError:
            return False
        self._count += 1
        if lost:
            log.error("write_loss_detected", detail="for 15 minutes starts look for runs that the ledger does not have")
        return lost

    def _run(self, also: Callable[[], object]) -> None:
        while not self._over.wait(self._seconds):
            self.beat()
            also()


def run_until_signal(worker: Any) -> int:
    """Run Celery's worker to its end and give the exit code."""
    received: list[str] = []

    def note(sig: str, **_: Any) -> None:
        received.append(sig)

    worker_shutting_down.connect(note)
    worker.start()
    return INTERRUPTED if "SIGINT" in received else int(worker.exitcode or 0)


def log_everything(app: Any) -> None:
    """Make log records of all that this process prints and of all that ends it.

    For processes that are ours alone: the command `sfmc-import worker` or `beat`, before Celery begins.
    """
    app.log.setup(redirect_stdouts=True)
    # Celery prints its farewell there, past all logging; records say the same.
    sys.__stdout__ = None  # type: ignore[misc]
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_thread_end
    sys.unraisablehook = _log_ignored


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    log.critical("uncaught_exception", exc_info=(kind, error, trace))


def _log_thread_end(ended: threading.ExceptHookArgs) -> None:
    name = ended.thread.name if ended.thread else None
    log.critical("thread_crashed", thread=name, exc_info=(ended.exc_type, ended.exc_value, ended.exc_traceback))


def _log_ignored(ignored: "sys.UnraisableHookArgs") -> None:
    """Say in one line what Python would print as a traceback: an object that failed while it was removed."""
    log.warning("exception_ignored", where=repr(ignored.object)[:200], error=repr(ignored.exc_value)[:200])


_M_ARENA_MAX, _ARENAS = -8, 2
"""Of mallopt(3). One thread runs Python at a time: more arenas than this save no waiting."""


def share_arenas(environ: Mapping[str, str]) -> bool:
    """Let all threads take their memory from few arenas of glibc, unless the environment sets their number.

    With one for each of its threads, a worker grows with the messages without keeping anything: what one thread gives
    back another cannot use. False where the C library has no such setting.
    """
    if "MALLOC_ARENA_MAX" in environ:
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS))
    except (AttributeError, OSError):
        return False


class WorkerLifecycle(StartStopStep):
    """Bootstep of our workers: checks Redis before the worker connects, then runs heartbeat and write-loss watch."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        worker.lifecycle = self
        self._deps: Deps = worker.app.deps
        self._app: Any = worker.app
        share_arenas(os.environ)
        self._heartbeat = begin(os.environ, marketing_cloud=True)
        self._presence = Presence(self._deps.ledger, "worker", worker.hostname, worker.app.settings.account)
        worker.app.process_id = self._presence.id
        if not self._presence.announce():
            self._presence.end()
            raise SystemExit(1)
        self._watch: WriteLossWatch | None = None
        self._comparison = ExitStack()
        # zeep and its WSDL take a quarter of a second that the first start should not wait for.
        self._deps.marketing_cloud.prepare()

    def start(self, worker: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Start the watch; the pool runs, its processes are forked."""
        self._watch = WriteLossWatch(self._deps.ledger, self._deps.timing.call)
        self._watch.start(lambda: self._app.outlived.report(self._deps.ledger))
        self._presence.start(_end_this_worker)
        settings: Settings = self._app.settings
        client = self._comparison.enter_context(connect(settings.redis, retries=0))
        self._comparison.enter_context(compared_with(client, Keys(settings.prefix), "worker"))

    def ready(self) -> None:
        """Say in the heartbeat that this worker takes messages."""
        if self._heartbeat is not None:
            self._heartbeat.ready()

    def close(self, worker: Any) -> None:
        """Log that the worker begins to end."""
        log.info("worker_shutting_down", worker=worker.hostname)
        if self._app.settings.pool == "threads":
            self._deps.marketing_cloud.stop(self._app.settings.stop_seconds)

    def end(self) -> None:
        """Wait for calls that go on without a thread of the pool, then end watch and heartbeat."""
        self._app.slow_calls.close()
        if self._watch is not None:
            self._watch.stop()
        self._comparison.close()
        self._presence.end()
        if self._heartbeat is not None:
            self._heartbeat.stop()


def _end_this_worker() -> None:
    """Let the worker end as after SIGTERM, with the exit code of a failure."""
    flags: Any = state
    flags.should_stop = FAILURE


class ReadyMark(StartStopStep):
    """Bootstep of our consumers: tells the lifecycle when the worker takes messages and when all has stopped."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer: Any) -> None:
        """Mark the worker of this consumer as ready; again after each reconnection."""
        consumer.controller.lifecycle.ready()

    def shutdown(self, consumer: Any) -> None:
        """End watch and heartbeat after everything else has stopped: until then tasks may still run in the pool."""
        consumer.controller.lifecycle.end()


FIX = "give this deployment its own SFMC_PREFIX or Redis; to move the ledger: sfmc-import doctor --move-ledger"


class Presence:
    """The heartbeat of one worker or beat in the ledger, in a thread of its own; an absent Redis is waited for."""

    def __init__(
        self,
        ledger: Ledger,
        kind: Literal["worker", "beat"],
        name: str,
        account: str = "",
        seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._ledger = ledger
        self._process = Process(kind=kind, name=name, id=uuid4().hex[:12], account=account)
        self._seconds = seconds
        self._over = threading.Event()

    @property
    def id(self) -> str:
        """Its own name among all processes."""
        return self._process.id

    def announce(self) -> bool:
        """Note once that the process lives; False, with a line in the log, if the ledger is not of its account."""
        try:
            owner = self._ledger.present(self._process)
        except LedgerUnavailableError:
            return True
        account = self._process.account
        if not account or owner == account:
            return True
        log.error("ledger_of_another_account", account=account, ledger_account=owner, fix=FIX)
        return False

    def start(self, stop: Callable[[], object]) -> None:
        """Begin in a thread; `stop` is called when the ledger has come to another account."""
        threading.Thread(target=self._run, args=(stop,), name="presence", daemon=True).start()

    def end(self) -> None:
        """End it, and leave the ledger without this process."""
        self._over.set()
        with suppress(LedgerUnavailableError):
            self._ledger.absent(self._process)

    def _run(self, stop: Callable[[], object]) -> None:
        while not self._over.wait(self._seconds):
            if not self.announce():
                stop()
                return
