"""Delivery without loss over Redis for Celery workers.

Kombu's Redis transport pops a message and only then, in a second round trip, writes down who holds it; a
worker that dies in between takes the message along. Here the pop moves it into a list of its consumer, one
script claims it from there, and others return what a dead consumer left. Messages that cannot be handled
become dead letters (`dead_letters`) instead of ending the worker or vanishing.

For one Celery app, before it connects; other apps of the process keep kombu's transport::

    connect(app)                     # redis://, rediss://, redis+socket:// or sentinel:// as its broker_url
    app.conf.broker_transport_options = {**TRANSPORT_OPTIONS}

`celery_settings` gives the same as settings, for an app that is configured from a mapping.

Needs Redis 6.2 or any Valkey. Producers keep kombu's transport: what they push is the same.

Options of its own, beside kombu's: `sfmc_prefix` (before its keys), `sfmc_reserved` (names that are no queue for what
follows a task), `sfmc_dead_after` (seconds without a beat until a consumer's in-flight messages return),
`sfmc_beat_every` (seconds), `sfmc_look_every` (seconds that an idle worker waits for the highest priority of the
queue that it consumes first, before it looks for others; a quarter of it after a message, then half; while it finds
some, it goes on at once), `sfmc_dead_letters_max`, `sfmc_max_returns` (how often a worker may die with a message
before that is set aside).

A message with the header `sfmc_newest` (a name) takes the place of the one of this name that still waits, one with
`sfmc_once` (a list of names) is not sent while one waits for each of them.

A message may have 1 MiB as it stands in its queue, and its body 1 MiB unpacked from gzip, bzip2, xz or zstd
(`unpacking`); any other becomes a dead letter, also one that is packed in another way.

Celery settings that belong to it:

- `task_acks_late` and `task_reject_on_worker_lost`: acknowledged when done, returned when a child dies.
- `worker_prefetch_multiplier = 1`: nothing waits in a worker that another could do.
- `broker_connection_retry_on_startup = True`, `broker_connection_max_retries = None`: try to connect without end.
- `broker_channel_error_retry = True`: an answer such as READONLY after a failover, or out of memory, is
  waited out instead of ending the worker.
- `worker_cancel_long_running_tasks_on_connection_loss = False`: a call under way is not cut off.
- `task_serializer = "json"`, `accept_content = ["json"]`, `task_protocol = 2`.
- `visibility_timeout` longer than most tasks: one that takes longer is run again beside itself, and one that does
  so three times becomes a dead letter.
- `task_acks_on_failure` and `task_acks_on_timeout` stay True, and tasks end by returning: any other way either loses
  the message or runs it again at once. A task with `acks_on_failure=False` raises only what makes its message a dead
  letter. No ETA, no countdown: they outlive the timeout.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import kombu.transport

from sfmc_transport.delivery import DEFAULT_PREFIX, Keys
from sfmc_transport.queues import NEWEST_HEADER, ONCE_HEADER, PRIORITIES

__all__ = [
    "DEFAULT_PREFIX",
    "NEWEST_HEADER",
    "ONCE_HEADER",
    "REQUEST",
    "TRANSPORT_OPTIONS",
    "Keys",
    "celery_settings",
    "connect",
]

TRANSPORT_OPTIONS: Mapping[str, object] = MappingProxyType(
    {
        "visibility_timeout": 300,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        "health_check_interval": 5,
        "priority_steps": PRIORITIES,
        "sfmc_prefix": DEFAULT_PREFIX,
        "sfmc_dead_after": 6.0,
        "sfmc_beat_every": 2.0,
        "sfmc_look_every": 1.0,
        "sfmc_dead_letters_max": 10_000,
        "sfmc_max_returns": 3,
    }
)
"""Recommended `broker_transport_options`; seconds where they are times."""


# Celery and kombu take these as names, and load them in the process that needs them.
TRANSPORT = "sfmc_transport.channel:Transport"
SENTINEL_TRANSPORT = "sfmc_transport.channel:SentinelTransport"
CONSUMER = "sfmc_transport.consumer:Consumer"
REQUEST = "sfmc_transport.consumer:Request"
"""What `Task.Request` of an app must be, so that the death of a pool process is counted."""

ALIAS = "sfmc"
"""Our own name in kombu's table of transports, for addresses of a unix socket."""


def celery_settings(broker_url: str) -> dict[str, str]:
    """Give the Celery settings that serve this broker without loss: URL, transport and consumer of one app.

    For a unix socket kombu looks up what stands before the `+` and ignores `broker_transport`; so that one kind of
    address gets a name of its own in kombu's table, and `redis` keeps its meaning for the rest of the process.
    """
    if broker_url.startswith("redis+socket://"):
        kombu.transport.TRANSPORT_ALIASES.setdefault(ALIAS, TRANSPORT)
        broker_url = ALIAS + broker_url.removeprefix("redis")
    transport = SENTINEL_TRANSPORT if broker_url.startswith("sentinel://") else TRANSPORT
    return {"broker_url": broker_url, "broker_transport": transport, "worker_consumer": CONSUMER}


def connect(app: Any) -> None:
    """Serve a Celery app by this transport, and let its workers dead-letter what cannot be handled.

    Call it when `broker_url` is set and before the app connects.
    """
    app.conf.update(celery_settings(app.conf.broker_url))
    app.Task.Request = REQUEST
