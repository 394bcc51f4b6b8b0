"""The kombu channel and transports whose popped messages cannot be lost; the moves themselves are scripts.

`basic_get` and consumers that want no acknowledgement only (replies of remote control) stay kombu's.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from queue import Empty
from time import monotonic
from typing import Any, NamedTuple
from uuid import uuid4

import redis
from kombu.transport import redis as stock

from worker.adapters.transport.delivery import Delivery, Limits
from worker.adapters.transport.entry import Payload, UndecodableEntryError, decode, read_entry
from worker.adapters.transport.keys import DEFAULT_PREFIX, Keys
from worker.adapters.transport.membership import Membership
from worker.adapters.transport.qos import Received, ReliableQoS, report_dead_letter

OPTIONS = ("sfmc_prefix", "sfmc_dead_after", "sfmc_beat_every", "sfmc_dead_letters_max", "sfmc_max_returns")


class Receiver(NamedTuple):
    """Who gets the messages of a queue."""

    callback: Callable[[Received], object]
    no_ack: bool


class Pop(NamedTuple):
    """A pop that the server has not answered yet; `sources` maps each queue key to its queue."""

    command: str
    sources: Mapping[str, str]


class ReliableChannel(stock.Channel):
    """Pops into an in-flight list, claims by script, then delivers; see the package for its options."""

    QoS = ReliableQoS
    Message = Received
    from_transport_options = (*stock.Channel.from_transport_options, *OPTIONS)

    sfmc_prefix = DEFAULT_PREFIX
    sfmc_dead_after = 6.0
    sfmc_beat_every = 2.0
    sfmc_dead_letters_max = 10_000
    sfmc_max_returns = 3

    qos: ReliableQoS
    connection_errors: tuple[type[Exception], ...]
    _flush_brpop_reauth: Callable[[], None]
    _q_for_pri: Callable[[str, int], str]
    _in_poll: Any
    _queue_cycle: Any
    _brpop_sent_at: float | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._consumer_id = uuid4().hex
        self._receivers: dict[str, Receiver] = {}
        self._pop: Pop | None = None
        self._all_empty = False
        self._membership = Membership()
        self._delivery: Delivery | None = None
        super().__init__(*args, **kwargs)

    @property
    def delivery(self) -> Delivery:
        """The scripts over this channel's pool; raises redis.ConnectionError on a closed connection."""
        self._require_connection()
        pool = self.pool
        if self._delivery is None or self._delivery.pool is not pool:
            keys = Keys(self.sfmc_prefix, self.global_keyprefix, self.unacked_key, self.unacked_index_key)
            limits = Limits(self.sfmc_dead_after, self.sfmc_dead_letters_max)
            self._delivery = Delivery(pool, keys, self._consumer_id, limits)
        return self._delivery

    def conn_or_acquire(self, client: Any = None) -> AbstractContextManager[Any]:  # type: ignore[override]
        """As kombu's; a connection closed meanwhile is an error that Celery recovers from.

        Without this, kombu 5.7.0 meets `None.hostname` while it cleans up after a Redis restart, and the
        AttributeError ends the worker.
        """
        if client is None:
            self._require_connection()
        return super().conn_or_acquire(client)

    def basic_consume(  # type: ignore[override]
        self, queue: str, no_ack: bool, callback: Callable[[Any], object], consumer_tag: str, **kwargs: Any
    ) -> Any:
        """Consume a queue; the channel delivers to `callback` itself what it claimed."""
        self._receivers[queue] = Receiver(callback, no_ack)
        return super().basic_consume(queue, no_ack, callback, consumer_tag, **kwargs)

    def _basic_cancel(self, consumer_tag: str) -> Any:
        self._receivers.pop(self._tag_to_queue.get(consumer_tag, ""), None)
        return super()._basic_cancel(consumer_tag)  # type: ignore[misc]

    def close(self) -> None:
        """Read the pop that is under way, give back what came, leave the registry, and close as kombu does."""
        self._closing = True
        if not self.closed and self._membership:
            with suppress(*self.connection_errors, redis.ResponseError):
                self._leave()
        super().close()

    def set_aside(self, message: Any, reason: str, detail: str) -> None:
        """Make a delivered message a dead letter: the bytes as they came, never delivered again."""
        tag = message.delivery_tag
        letter = self.delivery.set_aside_claimed(tag, message.source, message.entry, reason, detail)
        self.qos.settle(tag)
        if letter:
            report_dead_letter(letter, message.source, message.entry, reason, detail)

    def sources_of(self, payload: Payload, exchange: str, routing_key: str) -> list[str]:
        """The keys of the lists into which a message belongs."""
        priority = self._get_message_priority(payload)
        return [self._source(queue, priority) for queue in self._lookup(exchange, routing_key) if queue]

    def _brpop_start(self, timeout: float | None = None) -> None:
        self._pop = None
        if not any(not receiver.no_ack for receiver in self._receivers.values()) or not self.ack_emulation:
            super()._brpop_start(timeout)  # type: ignore[misc]
            return
        queues = self._queue_cycle.consume(len(self.active_queues))
        sources = {self._source(queue, step): queue for step in self.priority_steps for queue in queues}
        if sources:
            self._membership.beat_if_due(self.delivery, list(sources), self.sfmc_beat_every)
            self._send_pop(sources, self.brpop_timeout if timeout is None else timeout)

    def _send_pop(self, sources: Mapping[str, str], timeout: float) -> None:
        if len(sources) == 1 or self._all_empty:
            command = self.delivery.pop_command(next(iter(sources)), timeout / len(sources))
        else:
            command = self.delivery.take_command(list(sources))
        self._pop = Pop(str(command[0]), sources)
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        self.client.connection.send_command(*command)

    def _brpop_read(self, **options: Any) -> bool:
        pop, self._pop = self._pop, None
        if pop is None:
            return bool(super()._brpop_read(**options))  # type: ignore[misc]
        try:
            reply = self._read_reply(pop)
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        self._all_empty = reply is None and pop.command == "EVAL"
        if reply is None:
            self._queue_cycle.rotate(next(iter(pop.sources.values())))
            raise Empty
        source, raw = reply
        self._queue_cycle.rotate(pop.sources[source])
        self._receive_entry(source, pop.sources[source], raw)
        return True

    def _poll_error(self, type: str, **options: Any) -> None:  # noqa: A002 - kombu's name
        if type == "BRPOP":
            with suppress(Empty):
                self._brpop_read()
        else:
            super()._poll_error(type, **options)  # type: ignore[misc]

    def _read_reply(self, pop: Pop) -> tuple[str, bytes] | None:
        try:
            reply = self.client.parse_response(self.client.connection, pop.command)
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        if reply is None or pop.command == "EVAL":
            return reply and (bytes(reply[0]).decode(), reply[1])
        return next(iter(pop.sources)), reply

    def _receive_entry(self, source: str, queue: str, raw: bytes) -> None:
        try:
            message = decode(lambda: self._message(source, raw))
        except UndecodableEntryError as flaw:
            self._set_aside_entry(source, raw, str(flaw))
            return
        receiver = None if self._closing else self._receivers.get(queue)
        if receiver is None:
            self.delivery.give_back(source, raw)
        elif receiver.no_ack:
            if self.delivery.drop(source, raw):
                receiver.callback(message)
        elif self.delivery.claim(source, raw, str(message.delivery_tag), queue):
            self.qos.append(message, str(message.delivery_tag))
            receiver.callback(message)

    def _message(self, source: str, raw: bytes) -> Received:
        payload = read_entry(raw)
        # a tag of this delivery alone: an acknowledgement of an earlier delivery must not remove this one
        payload["properties"]["delivery_tag"] = str(uuid4())
        message: Received = self.Message(payload, channel=self)
        message.entry, message.source = raw, source
        return message

    def _set_aside_entry(self, source: str, raw: bytes, detail: str) -> None:
        letter = self.delivery.set_aside_entry(source, raw, "undecodable", detail)
        if letter:
            report_dead_letter(letter, source, raw, "undecodable", detail)

    def _leave(self) -> None:
        if self._in_poll:
            with suppress(Empty):
                self._brpop_read()
        self._membership.leave(self.delivery)

    def _source(self, queue: str, priority: int) -> str:
        return f"{self.global_keyprefix}{self._q_for_pri(queue, priority)}"

    def _require_connection(self) -> None:
        if self.connection is None or self.connection.client is None:
            raise redis.ConnectionError("the broker connection was closed meanwhile")


class ReliableSentinelChannel(ReliableChannel, stock.SentinelChannel):
    """The same over a master found through Sentinel."""

    from_transport_options = (*stock.SentinelChannel.from_transport_options, *OPTIONS)


class Transport(stock.Transport):
    """redis://, rediss:// and redis+socket://."""

    Channel = ReliableChannel


class SentinelTransport(stock.SentinelTransport):
    """sentinel://."""

    Channel = ReliableSentinelChannel
