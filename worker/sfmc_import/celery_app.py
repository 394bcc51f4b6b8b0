"""The Celery application `sfmc-import`: its configuration, logging, task class, loader and bootsteps, on this one app.

Settings are read when Celery first asks for them, not at import, and no other app of the process is changed.
"""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import uuid4

import click
import structlog
from celery import Celery, Task
from celery.app.log import Logging
from celery.loaders.app import AppLoader
from celery.schedules import schedule
from kombu import Queue
from redis import Redis

import sfmc_transport
from sfmc_import import bootstrap, logs, redis_client, request
from sfmc_import.calls import SlowCalls
from sfmc_import.outlived import Outlived
from sfmc_import.ports import Deps
from sfmc_import.processes import owner_of
from sfmc_import.request import UNACKED, UNACKED_INDEX
from sfmc_import.results import backend_url
from sfmc_import.retrying import BROKER_CONNECT
from sfmc_import.settings import Settings, SettingsError, load
from sfmc_import.worker_process import ReadyMark, WorkerLifecycle

BOUND = ("request_id", "customer_key", "mid", "attempt")
"""Message headers, and arguments of `imports.start`, that every log record of a task carries."""

MAX_DIGITS = 10
"""Digits of an attempt at which it is none."""


class ImportLogging(Logging):
    """Configures structlog in each process that Celery starts, at times twice, instead of Celery's own loggers."""

    def setup(
        self,
        loglevel: Any = None,  # noqa: ARG002 - Celery's signature; the level is a setting
        logfile: Any = None,  # noqa: ARG002
        redirect_stdouts: Any = False,
        redirect_level: Any = "WARNING",
        colorize: Any = None,  # noqa: ARG002
        hostname: Any = None,  # noqa: ARG002
    ) -> Any:
        """Configure the logs as the settings say; False leaves the standard streams to Celery's own setting."""
        app: Any = self.app
        set_up_logs(app.settings)
        if redirect_stdouts:
            self.redirect_stdouts(redirect_level)
        return False


class ImportLoader(AppLoader):
    """Celery's loader; logs are configured before the first warning of a starting worker or beat."""

    def on_worker_init(self) -> None:
        """Configure the logs of this process."""
        self.app.log.setup()


class Without:
    """A limit of Celery that a task has not, and that an operator's command cannot give it."""

    def __init__(self, limit: str, instead: str) -> None:
        self._limit, self._instead = limit, instead

    def __get__(self, task: object, kind: type | None = None) -> "Without | None":
        """Give none for a task; Celery puts the limit of its settings into a class that seems to have none."""
        return self if task is None else None

    def __set__(self, task: object, value: object) -> None:
        """Refuse one."""
        if value is not None:
            raise ValueError(f"imports have no {self._limit}: {self._instead}")


class ImportTask(Task):  # type: ignore[type-arg]
    """A task whose log records name what it is about.

    A message that waits for its turn by a rate limit takes a place of the worker until its lease is over, and a start
    that is cut by a time limit has to be looked for: the window and the deadlines of each call limit starts.
    """

    Request = sfmc_transport.REQUEST
    rate_limit = Without("rate limit", "max_import_frequency limits how often a definition is started")  # type: ignore[assignment]
    time_limit = Without("time limit", "SFMC_READ_TIMEOUT limits how long a call may take")  # type: ignore[assignment]
    soft_time_limit = Without("time limit", "SFMC_READ_TIMEOUT limits how long a call may take")  # type: ignore[assignment]

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the task; an argument of a message may be named `self`, and Celery has no room for it."""
        return super().__call__(*args, **{name: value for name, value in kwargs.items() if name != "self"})

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Bind the names of this task to all records of its thread."""
        structlog.contextvars.clear_contextvars()
        subject = subject_of(self, kwargs)
        structlog.contextvars.bind_contextvars(celery_task_id=task_id, celery_task=self.name, **subject)

    def after_return(self, *_: Any) -> None:
        """Forget the names; those of a task that failed go when the next one starts."""
        structlog.contextvars.clear_contextvars()


def subject_of(task: Any, kwargs: Any) -> dict[str, str | int]:
    """Read what a task is about from the headers of its message, else from its arguments."""
    headers = task.request.headers if isinstance(task.request.headers, dict) else {}
    arguments = kwargs if isinstance(kwargs, dict) else {}
    found = {name: headers.get(name) or arguments.get(name) for name in BOUND}
    # Any program may write these headers: what is no name of ours is cut, or left out.
    subject: dict[str, str | int] = {
        name: str(value)[: request.MAX_TEXT_LENGTH] for name, value in found.items() if _is_name(value)
    }
    attempt = str(subject.pop("attempt", ""))
    return subject | ({"attempt": int(attempt)} if attempt.isdecimal() and len(attempt) < MAX_DIGITS else {})


def _is_name(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and abs(value) <= request.MAX_COUNT)


class ImportApp(Celery):
    """Celery with our settings and the parts of the use cases, each made once in every process that asks."""

    process_id = ""
    """Which worker of the ledger this process, and what it forks, is; empty in any other."""

    def new_owner(self) -> str:
        """Give a name for one call that holds requests: it says which worker makes it."""
        return owner_of(self.process_id, uuid4().hex)

    @cached_property
    def settings(self) -> Settings:
        """The settings of this process; raises SettingsError naming every problem."""
        return load(os.environ)

    @cached_property
    def deps(self) -> Deps:
        """The parts of the use cases; made on first use, so a pool child has its own connections."""
        return bootstrap.build(self.settings)

    @cached_property
    def outlived(self) -> Outlived:
        """What this process held when Redis went away."""
        return Outlived()

    @cached_property
    def broker_redis(self) -> Redis:
        """A client of the broker's Redis, for its dead letters; it connects on first use."""
        return redis_client.connect(self.settings.broker)

    @cached_property
    def slow_calls(self) -> SlowCalls[dict[str, Any]]:
        """What keeps threads free; only a pool of threads has some to keep."""
        settings = self.settings
        limit = settings.slow_calls if settings.pool == "threads" else 0
        return SlowCalls(settings.slow_call_seconds, limit, settings.concurrency)

    @cached_property
    def Beat(self) -> Any:  # noqa: N802 - Celery's name
        """The class of beat, which checks Redis before it begins."""
        from sfmc_import.scheduler import ImportBeat  # noqa: PLC0415 - Celery's scheduler is needed in beat alone

        return self.subclass_with_self(ImportBeat)


def configuration(made: ImportApp) -> dict[str, Any]:
    """Read the settings when Celery first asks; Celery's own command shows a wrong one in a line, as a wrong option."""
    try:
        return celery_settings(made.settings)
    except SettingsError as error:
        if click.get_current_context(silent=True) is None:
            raise
        raise click.UsageError("; ".join(error.problems)) from error


def celery_settings(settings: Settings) -> dict[str, Any]:
    """Celery's configuration for our settings; ops/docs/adr/0003 says why each differs from the default."""
    return {
        **_broker_settings(settings),
        "task_ignore_result": True,
        "task_default_queue": request.QUEUE,
        "task_queues": [Queue(request.QUEUE), Queue(request.UPKEEP_QUEUE)],
        "task_routes": {name: {"queue": request.UPKEEP_QUEUE} for name in (request.SWEEP, request.FOLLOW)},
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "worker_concurrency": settings.concurrency,
        "worker_pool": settings.pool,
        "worker_enable_remote_control": settings.remote_control,
        "worker_send_task_events": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
        "timezone": "UTC",
        "beat_schedule": {
            "sweep": {
                "task": request.SWEEP,
                "schedule": every(settings.sweep_seconds),
                "options": sweep_options(settings),
            }
        },
    }


def every(seconds: float, clock: Callable[[], float] = time.monotonic) -> schedule:
    """Give a schedule by a clock that is never set: a date that goes back would keep sweeps waiting for as long."""
    begin = datetime.fromtimestamp(0, UTC)
    return schedule(seconds, nowfun=lambda: begin + timedelta(seconds=clock()))


def sweep_options(settings: Settings) -> dict[str, Any]:
    """How beat sends a sweep: it takes the place of one that still waits.

    Kombu's own transport cannot do that: there a sweep expires, by the clocks of two machines, which may differ.
    """
    if settings.transport == "reliable":
        return {"ignore_result": True, "headers": {sfmc_transport.NEWEST_HEADER: "sweep"}}
    return {"ignore_result": True, "expires": max(10 * settings.sweep_seconds, 60.0)}


def _broker_settings(settings: Settings) -> dict[str, Any]:
    broker = settings.broker
    reliable = settings.transport == "reliable"
    return {
        "broker_url": broker.celery_url,
        **(sfmc_transport.celery_settings(broker.celery_url) if reliable else {}),
        "broker_use_ssl": broker.celery_tls,
        "redis_backend_use_ssl": broker.celery_tls,
        "broker_transport_options": transport_options(settings),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "result_backend": backend_url(broker.celery_url) if broker.scheme in {"redis", "rediss", "unix"} else None,
        "result_expires": 86_400,
        "result_backend_transport_options": {"global_keyprefix": settings.broker_prefix},
        "redis_socket_timeout": 5.0,
    }


def transport_options(settings: Settings) -> dict[str, Any]:
    """How kombu talks to Redis: short waits, so that a silent connection is noticed."""
    return {
        **sfmc_transport.TRANSPORT_OPTIONS,
        "global_keyprefix": settings.broker_prefix,
        "sfmc_prefix": settings.transport_prefix,
        "sfmc_connect_pauses": BROKER_CONNECT,
        "unacked_key": UNACKED,
        "unacked_index_key": UNACKED_INDEX,
        "unacked_mutex_key": f"{UNACKED}_mutex",
        # What a dead worker held is run by another as soon as its lease would be over.
        "visibility_timeout": settings.lease_seconds,
        "unacked_restore_interval": 2,
        "sfmc_reserved": (f"{settings.prefix}events".removeprefix(settings.broker_prefix),),
        **redis_client.transport_options(settings.broker),
    }


KEPT_TASK = "celery.backend_cleanup"
"""Beat sends it where the backend does not forget results by itself."""


def drop_tasks_of_celery(sender: Celery, **_: Any) -> None:
    """Drop the tasks that every Celery app has: their messages fail, or do nothing, and no event would say so."""
    for name in [each for each in sender.tasks if each.startswith("celery.") and each != KEPT_TASK]:
        sender.tasks.unregister(name)


def make_app() -> ImportApp:
    """Make the application; its configuration waits until it is needed."""
    made = ImportApp(
        "sfmc-import",
        set_as_current=False,
        log=ImportLogging,
        loader=ImportLoader,
        amqp="sfmc_import.foreign_queues:SendingToAll",
        task_cls=ImportTask,
        # Celery loads the tasks by name when a worker starts: they need the app, so the app cannot import them.
        include=["sfmc_import.tasks"],
    )
    made.add_defaults(lambda: configuration(made))
    made.on_after_finalize.connect(drop_tasks_of_celery)
    made.steps["worker"].add(WorkerLifecycle)
    made.steps["consumer"].add(ReadyMark)
    return made


def set_up_logs(settings: Settings) -> None:
    """Log as the settings say, without their secrets."""
    logs.configure(level=settings.log_level, form=settings.log_format, secrets=settings.secrets())


app = make_app()
