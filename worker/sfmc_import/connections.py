"""What a client has open in one process: the ledger, and producers that send the messages of recorded requests."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from kombu import Connection, Producer
from kombu.exceptions import KombuError
from redis import Redis
from redis.exceptions import RedisError

from sfmc_import.ledger import RedisLedger
from sfmc_import.request import QUEUE, StartRequest, celery_headers
from sfmc_transport import TRANSPORT_OPTIONS

# The name that hosts know: the client is one part for them.
log = logging.getLogger("sfmc_import.client")

SEND_SECONDS = 1.0
"""How long the broker may be silent: less, for the sweep sends what it does not take."""

_NOT_SENT = "request %s is recorded, its message was not sent (%s); the sweep sends it"

SEND_OPTIONS = {**TRANSPORT_OPTIONS, "socket_connect_timeout": SEND_SECONDS, "socket_timeout": SEND_SECONDS}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was asked for, and the priority of its message."""

    request: StartRequest
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Connections:
    """What one process has open. A sender is used by one thread at a time; one that failed is not used again.

    That a message was not sent is said to `on_unsent`, or in the log.
    """

    redis: Redis
    ledger: RedisLedger
    broker: Connection
    on_unsent: Callable[[str], None] | None = None
    idle: deque[Producer] = field(default_factory=deque)
    closed: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def sender(self) -> Iterator[Producer]:
        """Lend a producer with a connection to the broker; raises RedisError or OSError when there is none."""
        producer = self._idle_or_new()
        try:
            yield producer
        except BaseException:
            _release(producer)
            raise
        self.idle.append(producer)
        if self.closed.is_set():
            self.close()

    def send(self, asked: Sequence[Asked]) -> None:
        """Send the messages of recorded requests, many in one round trip; what is not sent, the sweep sends."""
        if not asked:
            return
        try:
            with self.sender() as producer, _together(producer, len(asked)):
                for each in asked:
                    _publish(producer, each.request, each.priority)
        except (KombuError, RedisError, OSError) as error:
            for each in asked:
                self._say_not_sent(each.request, error.__cause__ or error)

    def _say_not_sent(self, request: StartRequest, error: BaseException) -> None:
        if self.on_unsent is not None:
            self.on_unsent(_NOT_SENT % (request.request_id, error))
            return
        names = {"request_id": request.request_id, "customer_key": request.customer_key, "mid": request.mid}
        facts = {"event": "message_not_sent", "error": str(error), "action": "sweep_will_retry"}
        log.warning(_NOT_SENT, request.request_id, error, extra=names | facts)

    def close(self) -> None:
        """Close everything that no thread is using now; a thread that sends closes what it used when it is done."""
        self.closed.set()
        with suppress(IndexError):
            while True:
                _release(self.idle.pop())
        self.redis.connection_pool.disconnect(inuse_connections=False)

    def _idle_or_new(self) -> Producer:
        with suppress(IndexError):
            return self.idle.pop()
        connection = self.broker.clone()
        try:
            # One try, without kombu's pause of two seconds; its default channel would be tried for without end.
            connection.ensure_connection(max_retries=0)
            return Producer(_with_one_client(connection.channel()), serializer="json", auto_declare=False)
        except BaseException:
            connection.release()
            raise


def _with_one_client(channel: Any) -> Any:
    """Let a channel keep its Redis client: kombu makes one for each message, which costs more than to send it."""
    with channel.conn_or_acquire() as made:
        channel.conn_or_acquire = lambda client=None: nullcontext(client or made)
    return channel


def _release(producer: Producer) -> None:
    channel: Any = producer.channel
    with suppress(KombuError, RedisError, OSError):
        channel.connection.client.release()


def _together(producer: Any, count: int) -> AbstractContextManager[Any]:
    """Let kombu send what is published in one round trip; types-kombu does not know `batch` yet."""
    return nullcontext() if count == 1 else producer.batch()


def _publish(producer: Producer, request: StartRequest, priority: int) -> None:
    body = ((), request.as_message(), {"callbacks": None, "errbacks": None, "chain": None, "chord": None})
    producer.publish(
        body,
        exchange="",
        routing_key=QUEUE,
        headers=celery_headers(request),
        correlation_id=request.request_id,
        delivery_mode=2,
        priority=priority,
        retry=False,
    )
