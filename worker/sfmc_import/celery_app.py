"""The Celery application and its configuration; settings are read when Celery first asks, not at import."""

import os
import sys
import threading
from collections.abc import Callable
from functools import cached_property
from types import TracebackType
from typing import Any

import click
import structlog
from celery import Celery, signals
from celery.signals import celeryd_init
from kombu import Queue

import sfmc_transport
from sfmc_import import bootstrap, logs, request
from sfmc_import.ports import Deps
from sfmc_import.retrying import BROKER_CONNECT
from sfmc_import.settings import Settings, SettingsError, load

BOUND = ("request_id", "customer_key", "mid", "attempt")
"""Message headers, and arguments of `imports.start`, that every record of a task carries."""


def configure_worker_logging(app: Celery, set_up: Callable[[], object]) -> None:
    """Let `set_up` configure the logs of worker and beat instead of Celery, and bind what each task is about.

    `set_up` is called in each process that Celery starts, at times twice; after it, `print` makes records too.
    """

    def take_over(**_: Any) -> None:
        set_up()
        app.log.redirect_stdouts_to_logger(app.log.get_default_logger("celery.redirected"), loglevel="WARNING")
        # Celery prints its farewell there, past all logging; records tell the same.
        sys.__stdout__ = None  # type: ignore[misc]
        sys.excepthook = _log_uncaught
        threading.excepthook = _log_thread_end

    # Before Celery's first warning, and again when it would set up its own.
    signals.celeryd_init.connect(lambda **_: set_up(), weak=False)
    signals.setup_logging.connect(take_over, weak=False)
    signals.task_prerun.connect(_bind, weak=False)
    signals.task_postrun.connect(_unbind, weak=False)
    signals.worker_shutting_down.connect(_log_shutdown, weak=False)


def _bind(task_id: str = "", task: Any = None, kwargs: Any = None, **_: Any) -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(celery_task_id=task_id, celery_task=task.name, **subject_of(task, kwargs))


def _unbind(**_: Any) -> None:
    structlog.contextvars.clear_contextvars()


def _log_shutdown(sig: str = "", how: str = "", **_: Any) -> None:
    structlog.get_logger(__name__).info("worker_shutting_down", signal=sig, how=how.lower())


def subject_of(task: Any, kwargs: Any) -> dict[str, str | int]:
    """Read what a task is about from the headers of its message, else from its arguments."""
    headers = task.request.headers or {}
    arguments = kwargs if isinstance(kwargs, dict) else {}
    found = {name: headers.get(name) or arguments.get(name) for name in BOUND}
    told: dict[str, str | int] = {k: str(value) for k, value in found.items() if isinstance(value, (str, int))}
    attempt = str(told.pop("attempt", ""))
    return told | ({"attempt": int(attempt)} if attempt.isdecimal() else {})


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    structlog.get_logger(__name__).critical("uncaught_exception", exc_info=(kind, error, trace))


def _log_thread_end(ended: threading.ExceptHookArgs) -> None:
    name = ended.thread.name if ended.thread else None
    exc_info = (ended.exc_type, ended.exc_value, ended.exc_traceback)
    structlog.get_logger(__name__).critical("thread_crashed", thread=name, exc_info=exc_info)


class ImportApp(Celery):
    """Celery with our settings and the parts of the use cases, each made once in every process that asks."""

    @cached_property
    def settings(self) -> Settings:
        """The settings of this process; raises SettingsError naming every problem."""
        return load(os.environ)

    @cached_property
    def deps(self) -> Deps:
        """The parts of the use cases; made on first use, so a pool child has its own connections."""
        return bootstrap.build(self.settings)


def configuration(made: ImportApp) -> dict[str, Any]:
    """Read the settings when Celery first asks; its own command tells a wrong one in a line, as a wrong option."""
    try:
        return celery_settings(made.settings)
    except SettingsError as error:
        if click.get_current_context(silent=True) is None:
            raise
        raise click.UsageError("; ".join(error.problems)) from error


def celery_settings(settings: Settings) -> dict[str, Any]:
    """Celery's configuration for our settings; ops/docs/adr tells why each differs from the default."""
    return {
        **_broker_settings(settings),
        "task_ignore_result": True,
        "task_default_queue": request.QUEUE,
        "task_queues": [Queue(request.QUEUE)],
        "task_create_missing_queues": False,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "worker_concurrency": settings.concurrency,
        "worker_pool": settings.pool,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
        "timezone": "UTC",
        "beat_schedule": {
            "sweep": {"task": request.SWEEP, "schedule": settings.sweep_seconds, "options": {"ignore_result": True}}
        },
    }


def _broker_settings(settings: Settings) -> dict[str, Any]:
    broker = settings.broker
    return {
        "broker_url": broker.celery_url,
        "broker_transport_options": transport_options(settings),
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "result_backend": broker.celery_url if broker.scheme in {"redis", "rediss", "unix"} else None,
        "result_expires": 86_400,
        "redis_socket_timeout": 5.0,
    }


def transport_options(settings: Settings) -> dict[str, Any]:
    """How kombu talks to Redis: short waits, so that a silent connection is noticed."""
    return {
        **sfmc_transport.TRANSPORT_OPTIONS,
        "sfmc_prefix": settings.transport_prefix,
        "sfmc_connect_pauses": BROKER_CONNECT,
        # What a dead worker held is run by another as soon as its lease would be over.
        "visibility_timeout": settings.lease_seconds,
        "unacked_restore_interval": 1,
        **settings.broker.transport_options,
    }


def make_app() -> ImportApp:
    """Make the application; its configuration waits until it is needed."""
    made = ImportApp("sfmc-import", include=["sfmc_import.tasks", "sfmc_import.worker_process"])
    made.add_defaults(lambda: configuration(made))
    configure_worker_logging(made, lambda: set_up_logs(made.settings))
    celeryd_init.connect(lambda **_: prepare_worker(made), weak=False)
    return made


def set_up_logs(settings: Settings) -> None:
    """Log as the settings say, without their secrets."""
    logs.configure(level=settings.log_level, form=settings.log_format, secrets=settings.secrets())


def prepare_worker(made: ImportApp) -> None:
    """Choose the transport before a worker connects; every other process keeps kombu's own."""
    if made.settings.transport == "reliable":
        sfmc_transport.install()
        sfmc_transport.connect(made)
    # zeep and its WSDL take a quarter of a second that the first start should not wait for.
    made.deps.marketing_cloud.prepare()


app = make_app()
