"""Delivery without loss over Redis for Celery workers; knows nothing of imports or of the ledger.

Kombu's Redis transport pops a message and only then, in a second round trip, writes down who holds it; a
worker that dies in between takes the message along. Here the pop moves it into a list of its consumer, one
script claims it from there, and others return what a dead consumer left. Messages that cannot be handled
become dead letters (`dead_letters`) instead of ending the worker or vanishing.

In a worker, before it connects::

    install()                        # redis://, rediss://, redis+socket://, sentinel://
    connect(app)                     # unknown tasks, bad bodies, wrong arguments become dead letters
    app.conf.broker_transport_options = {**TRANSPORT_OPTIONS}

Needs Redis 6.2 or any Valkey. Producers keep kombu's transport: what they push is the same.

Options of its own, beside kombu's: `sfmc_prefix` (before its keys), `sfmc_dead_after` (seconds without a
beat until a consumer's in-flight messages return), `sfmc_beat_every` (seconds), `sfmc_dead_letters_max`,
`sfmc_max_returns` (how often a worker may die with a message before that is set aside).

Celery settings that belong to it:

- `task_acks_late` and `task_reject_on_worker_lost`: acknowledged when done, returned when a child dies.
- `worker_prefetch_multiplier = 1`: nothing waits in a worker that another could do.
- `broker_connection_retry_on_startup = True`, `broker_connection_max_retries = None`: no end of patience.
- `broker_channel_error_retry = True`: an answer such as READONLY after a failover, or out of memory, is
  waited out instead of ending the worker.
- `worker_cancel_long_running_tasks_on_connection_loss = False`: a call under way is not cut off.
- `task_serializer = "json"`, `accept_content = ["json"]`, `task_protocol = 2`.
- `visibility_timeout` longer than most tasks: one that takes longer is run again beside itself, and one that does
  so three times becomes a dead letter.
- `task_acks_on_failure` and `task_acks_on_timeout` stay True, and tasks end by returning: any other way
  either loses the message or runs it again at once. No ETA, no countdown: they outlive the timeout.
"""

from collections.abc import Mapping
from types import MappingProxyType

from sfmc_transport.delivery import DEFAULT_PREFIX, Keys
from sfmc_transport.install import install, install_stock

__all__ = ["DEFAULT_PREFIX", "TRANSPORT_OPTIONS", "Keys", "connect", "install", "install_stock"]

TRANSPORT_OPTIONS: Mapping[str, object] = MappingProxyType(
    {
        "visibility_timeout": 300,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "health_check_interval": 5,
        "priority_steps": [0],
        "sfmc_prefix": DEFAULT_PREFIX,
        "sfmc_dead_after": 6.0,
        "sfmc_beat_every": 2.0,
        "sfmc_dead_letters_max": 10_000,
        "sfmc_max_returns": 3,
    }
)
"""Recommended `broker_transport_options`; seconds where they are times."""


def connect(app: object) -> None:
    """Make the workers of a Celery app set poison aside; see `sfmc_transport.consumer`."""
    from sfmc_transport.consumer import connect as connect_consumer  # noqa: PLC0415 - loads Celery

    connect_consumer(app)
