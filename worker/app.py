"""The Celery application and its configuration; settings are read when Celery first asks, not at import."""

import os
from functools import cached_property
from typing import Any

import click
from celery import Celery
from celery.signals import celeryd_init
from kombu import Queue

from worker import bootstrap, logs, messages
from worker.adapters import transport
from worker.logs.celery_hooks import connect_celery
from worker.service.deps import Deps
from worker.settings import Settings, SettingsError, load


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
        "task_default_queue": messages.QUEUE,
        "task_queues": [Queue(messages.QUEUE)],
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
            "sweep": {"task": messages.SWEEP, "schedule": settings.sweep_seconds, "options": {"ignore_result": True}}
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
        **transport.TRANSPORT_OPTIONS,
        "sfmc_prefix": settings.transport_prefix,
        # What a dead worker held is run by another as soon as its lease would be over.
        "visibility_timeout": settings.lease_seconds,
        "unacked_restore_interval": 1,
        **settings.broker.transport_options,
    }


def make_app() -> ImportApp:
    """Make the application; its configuration waits until it is needed."""
    made = ImportApp("sfmc-import", include=["worker.tasks", "worker.health", "worker.vigil"])
    made.add_defaults(lambda: configuration(made))
    connect_celery(made, lambda: set_up_logs(made.settings))
    celeryd_init.connect(lambda **_: prepare_worker(made), weak=False)
    return made


def set_up_logs(settings: Settings) -> None:
    """Log as the settings say, without their secrets."""
    logs.configure(level=settings.log_level, form=settings.log_format, secrets=settings.secrets())


def prepare_worker(made: ImportApp) -> None:
    """Choose the transport before a worker connects; every other process keeps kombu's own."""
    if made.settings.transport == "reliable":
        transport.install()
        transport.connect(made)
    # zeep and its WSDL take a quarter of a second that the first start should not wait for.
    made.deps.marketing_cloud.prepare()


app = make_app()
