"""The kombu channel and transports whose popped messages cannot be lost; the moves themselves are scripts.

`basic_get` and consumers that want no acknowledgement only (replies of remote control) stay kombu's.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from queue import Empty
from time import monotonic
from typing import Any, NamedTuple
from uuid import uuid4

import redis
import structlog
from kombu.transport import redis as stock
from kombu.transport import virtual
from kombu.utils.json import dumps

from sfmc_transport.delivery import (
    DEFAULT_PREFIX,
    MAX_DETAIL,
    Delivery,
    Keys,
    Limits,
    Payload,
    UndecodableEntryError,
    count_return,
    decode,
    mark_redelivered,
    read_entry,
    read_unacked,
)
from sfmc_transport.looks import Looks
from sfmc_transport.queues import KEPT, Pop, in_order, lists_of, names_of, rounded
from sfmc_transport.received import Received
from sfmc_transport.refusals import refused_writes_wait

log = structlog.get_logger(__name__)

KEPT_LOOKS = 64
"""How many looks are kept as they are sent: the queues in different orders."""


class ReliableQoS(stock.QoS):
    """Returns messages by compare-and-move instead of WATCH, overdue by the server's clock, and not for ever."""

    channel: "ReliableChannel"
    _delivered: Any

    def append(self, message: Any, delivery_tag: str) -> None:
        """Remember a delivered message; one that the channel claimed is in `unacked` already."""
        if message.entry:
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def free_slot(self, delivery_tag: str) -> None:
        """Free the place of a message that Redis does not hold as unacknowledged any more."""
        virtual.QoS.ack(self, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge; where Redis cannot be reached the message stays held, to return by its timeout.

        Its place is freed in any case. With kombu it stays taken, and once as many acknowledgements failed
        as there are places, the worker polls no more, meets no connection error, and idles for ever.
        Where the server lacks what the task recorded, another one has taken over meanwhile: the message returns too,
        and that is not counted.
        """
        message = self._delivered.get(delivery_tag)
        record = message.record if message is not None else ""
        try:
            if not self.channel.delivery.acknowledge(delivery_tag, record):
                log.warning("message_kept", message_id=message.headers.get("id"), detail=f"this Redis has no {record}")
        finally:
            self.free_slot(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Put back, or set aside what its task refuses; frees its place as `ack`.

        Going back is counted if the process of the message died with it.
        """
        message = self._delivered.get(delivery_tag)
        try:
            if requeue and message is not None and message.worker_died:
                self._restore(delivery_tag, last=True, counted=True)
            elif not requeue and message is not None and message.entry:
                self._dead_letter(delivery_tag, message.source, message.entry, *message.refusal)
            else:
                super().reject(delivery_tag, requeue=requeue)
        finally:
            self.free_slot(delivery_tag)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:  # noqa: ARG002 - kombu's signature
        """Put a held message back in its queue, `leftmost` meaning last in line."""
        self._restore(tag, last=leftmost, counted=False)

    def restore_visible(self, start: int = 0, num: int | None = 10, interval: int = 10) -> None:  # noqa: ARG002 - kombu's signature
        """Put back what workers have held for longer than the visibility timeout of the server's clock."""
        # Without kombu's mutex: a worker killed with it in hand would stop all returns for five minutes.
        self._vrestore_count: int = getattr(self, "_vrestore_count", 0) + 1
        if (self._vrestore_count - 1) % (interval or 1):
            return
        with refused_writes_wait():
            for tag in self.channel.delivery.overdue(self.visibility_timeout, num):
                self._restore(tag, last=False, counted=not tag.startswith(KEPT))

    def _restore(self, tag: str, *, last: bool, counted: bool) -> None:
        delivery = self.channel.delivery
        seen = delivery.unacked(tag)
        if seen is None:
            return
        try:
            payload, exchange, routing_key = read_unacked(seen)
        except UndecodableEntryError as flaw:
            self._dead_letter(tag, "", seen, flaw.reason, str(flaw))
            return
        sources = self.channel.sources_of(payload, exchange, routing_key)
        flaw_found = self._reason_to_keep_out(payload, sources, counted=counted)
        entry = dumps(mark_redelivered(payload)).encode()
        if flaw_found:
            self._dead_letter(tag, "".join(sources[:1]), entry, *flaw_found)
        elif delivery.restore(tag, seen, entry, sources, last=last):
            log.info("message_requeued", queue=sources[0], message_id=payload["headers"].get("id"), after_death=counted)

    def _reason_to_keep_out(self, payload: Payload, sources: list[str], *, counted: bool) -> tuple[str, str] | None:
        if not sources:
            return "no_queue", "no queue is bound to its exchange and routing key"
        limit = self.channel.sfmc_max_returns
        if counted and count_return(payload) >= limit:
            return "returned_too_often", f"its worker died, stalled, or could not acknowledge it, {limit} times"
        return None

    def _dead_letter(self, tag: str, source: str, entry: bytes, reason: str, detail: str) -> None:
        letter = self.channel.delivery.dead_letter_claimed(tag, source, entry, reason, detail)
        if letter:
            report_dead_letter(letter, source, entry, reason, detail)


def report_dead_letter(letter: str, source: str, entry: bytes, reason: str, detail: str) -> None:
    """Say loudly that a message waits for a person; its bytes stay out of the log."""
    known = {"dead_letter": letter, "queue": source, "reason": reason, "detail": detail[:MAX_DETAIL]}
    log.error("message_dead_lettered", **known, size=len(entry))


class Membership:
    """What one channel wrote to the registry. Beats stand before a pop, so none of its own is outstanding then.

    Lists of lower priorities are entered by the script that pops from them, and need no beat: an entry is in flight
    for far less time than a consumer may be silent.
    """

    def __init__(self) -> None:
        self._sources: set[str] = set()
        self._beaten_at = 0.0

    def __bool__(self) -> bool:
        return bool(self._sources)

    def beat_if_due(self, delivery: Delivery, sources: Sequence[str], every: float) -> None:
        """Beat for these queue keys if one of them is new or the last beat was `every` seconds ago."""
        if self._sources.issuperset(sources) and monotonic() - self._beaten_at < every:
            return
        if not self._sources:
            delivery.check_server()
        self._sources.update(sources)
        _report(delivery.heartbeat(sorted(self._sources)))
        self._beaten_at = monotonic()

    def leave(self, delivery: Delivery) -> None:
        """Give back what is in flight and remove the consumer."""
        every = [key for source in sorted(self._sources) for key in lists_of(source)]
        _report(delivery.heartbeat(every, leave=True))
        self._sources.clear()


def _report(returned: Mapping[str, int]) -> None:
    for in_flight, count in returned.items():
        consumer, _, queue = in_flight.partition(":")
        log.warning("in_flight_requeued", consumer=consumer, queue=queue, count=count)


OPTIONS = (
    "sfmc_prefix",
    "sfmc_dead_after",
    "sfmc_beat_every",
    "sfmc_look_every",
    "sfmc_dead_letters_max",
    "sfmc_max_returns",
)


class Receiver(NamedTuple):
    """Who gets the messages of a queue."""

    callback: Callable[[Received], object]
    no_ack: bool


class ReliableChannel(stock.Channel):
    """Pops into an in-flight list, claims by script, then delivers; see the package for its options."""

    QoS = ReliableQoS
    Message = Received
    from_transport_options = (*stock.Channel.from_transport_options, *OPTIONS)

    sfmc_prefix = DEFAULT_PREFIX
    sfmc_dead_after = 6.0
    sfmc_beat_every = 2.0
    sfmc_look_every = 1.0
    sfmc_dead_letters_max = 10_000
    sfmc_max_returns = 3

    qos: ReliableQoS
    keyprefix_binding_permanent: str
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
        self._looks = Looks()
        self._look_commands: dict[tuple[tuple[str, ...], bool, bool], tuple[Pop, list[bytes]]] = {}
        self._take_known = False
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

    def dead_letter(self, message: Any, reason: str, detail: str) -> None:
        """Make a delivered message a dead letter: the bytes as they came, never delivered again."""
        tag = message.delivery_tag
        letter = self.delivery.dead_letter_claimed(tag, message.source, message.entry, reason, detail)
        self.qos.free_slot(tag)
        if letter:
            report_dead_letter(letter, message.source, message.entry, reason, detail)

    def _put(self, queue: str, message: Payload, **options: Any) -> None:
        names = names_of(message)
        if not names:
            message["properties"]["priority"] = rounded(self._get_message_priority(message, reverse=False))
            super()._put(queue, message, **options)
            return
        source = self._source(queue, self._get_message_priority(message, reverse=False))
        self.delivery.push(source, dumps(message).encode(), names)

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        try:
            super()._queue_bind(exchange, routing_key, pattern, queue)  # type: ignore[misc]
        except redis.OutOfMemoryError:
            # Without these tables kombu would send our wake-ups nowhere; a worker that starts now makes room.
            tables = (self.keyprefix_queue, self.keyprefix_binding_permanent)
            names = [f"{self.global_keyprefix}{table % (exchange,)}" for table in tables]
            self.delivery.bind(names, self.sep.join([routing_key or "", pattern or "", queue or ""]))

    def sources_of(self, payload: Payload, exchange: str, routing_key: str) -> list[str]:
        """The keys of the lists into which a message belongs."""
        priority = self._get_message_priority(payload)
        return [self._source(queue, priority) for queue in self._lookup(exchange, routing_key) if queue]

    def _brpop_start(self, timeout: float | None = None) -> None:
        self._pop = None
        if not any(not receiver.no_ack for receiver in self._receivers.values()) or not self.ack_emulation:
            super()._brpop_start(timeout)  # type: ignore[misc]
            return
        queues = tuple(self._queue_cycle.consume(len(self.active_queues)))
        if queues:
            highest = [self._source(queue, 0) for queue in queues]
            self._membership.beat_if_due(self.delivery, highest, self.sfmc_beat_every)
            self._send_pop(queues, self.brpop_timeout if timeout is None else timeout)

    def _send_pop(self, queues: tuple[str, ...], timeout: float) -> None:
        step = self._looks.next_step(len(queues))
        if step == "look":
            self._pop, packed = self._look_into(queues)
        else:
            self._pop, packed = self._wait(timeout, is_full=step == "pause")
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        self.client.connection.send_packed_command(packed)

    def _wait(self, timeout: float, *, is_full: bool) -> tuple[Pop, list[bytes]]:
        # That of its first consumer: what came to it while this waits elsewhere would wait too.
        queue = next(queue for queue, receiver in self._receivers.items() if not receiver.no_ack)
        source = self._source(queue, 0)
        if is_full:
            command = self.delivery.wait_command(timeout)
        else:
            command = self.delivery.pop_command(source, self._looks.wait(timeout))
        return Pop(str(command[0]), {source: queue}), self.client.connection.pack_command(*command)

    def _look_into(self, queues: tuple[str, ...]) -> tuple[Pop, list[bytes]]:
        """The look into all lists, packed for the server; an idle worker sends the same ones again and again."""
        made = (queues, self._looks.is_wide, self._take_known)
        if made not in self._look_commands:
            if len(self._look_commands) >= KEPT_LOOKS:
                self._look_commands.clear()
            self._look_commands[made] = self._make_look(*made)
        return self._look_commands[made]

    def _make_look(self, queues: tuple[str, ...], wide: bool, known: bool) -> tuple[Pop, list[bytes]]:
        names = {self._source(queue, 0): queue for queue in queues}
        sources = in_order(names, self.priority_steps, wide=wide)
        command = self.delivery.take_command(list(names), self.priority_steps, wide=wide, known=known)
        return Pop(str(command[0]), sources), self.client.connection.pack_command(*command)

    def _brpop_read(self, **options: Any) -> bool:
        pop, self._pop = self._pop, None
        if pop is None:
            return bool(super()._brpop_read(**options))  # type: ignore[misc]
        try:
            reply = self._read_reply(pop)
        except redis.exceptions.NoScriptError:
            # The server forgot its scripts, or is another one: the next look brings the text along.
            self._take_known = False
            raise Empty from None
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        self._take_known = self._take_known or pop.is_look
        self._looks.note(pop, reply, self.sfmc_look_every)
        if reply is None:
            self._queue_cycle.rotate(next(iter(pop.sources.values())))
            raise Empty
        source, raw = reply[:2]
        self._queue_cycle.rotate(pop.sources[source])
        self._receive_entry(source, pop.sources[source], raw)
        return True

    def _poll_error(self, type: str, **options: Any) -> None:  # noqa: A002 - kombu's name
        if type == "BRPOP":
            with suppress(Empty):
                self._brpop_read()
        else:
            super()._poll_error(type, **options)  # type: ignore[misc]

    def _read_reply(self, pop: Pop) -> tuple[str, bytes, int] | None:
        try:
            reply = self.client.parse_response(self.client.connection, pop.command)
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        except redis.OutOfMemoryError:
            self._looks.note_full()
            return None
        if reply is None or pop.is_look:
            return reply and (bytes(reply[0]).decode(), reply[1], reply[2])
        return next(iter(pop.sources)), reply, 0

    def _receive_entry(self, source: str, queue: str, raw: bytes) -> None:
        try:
            message = decode(lambda: self._message(source, raw))
        except UndecodableEntryError as flaw:
            self._dead_letter_entry(source, raw, flaw.reason, str(flaw))
            return
        receiver = None if self._closing else self._receivers.get(queue)
        if receiver is None:
            self.delivery.requeue(source, raw)
        elif receiver.no_ack:
            if self.delivery.delete(source, raw):
                receiver.callback(message)
        elif self.delivery.claim(source, raw, str(message.delivery_tag), queue, message.names):
            self.qos.append(message, str(message.delivery_tag))
            receiver.callback(message)

    def _message(self, source: str, raw: bytes) -> Received:
        payload = read_entry(raw)
        # a tag of this delivery alone: an acknowledgement of an earlier delivery must not remove this one
        payload["properties"]["delivery_tag"] = str(uuid4())
        message: Received = self.Message(payload, channel=self)
        message.entry, message.source, message.names = raw, source, names_of(payload)
        return message

    def _dead_letter_entry(self, source: str, raw: bytes, reason: str, detail: str) -> None:
        letter = self.delivery.dead_letter_entry(source, raw, reason, detail)
        if letter:
            report_dead_letter(letter, source, raw, reason, detail)

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
    """redis://, rediss:// and, as sfmc+socket://, a unix socket."""

    Channel = ReliableChannel


class SentinelTransport(stock.SentinelTransport):
    """sentinel://."""

    Channel = ReliableSentinelChannel
