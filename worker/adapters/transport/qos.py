"""Acknowledgement for the reliable channel: kombu's, but for what goes back to a queue and by which clock."""

from typing import TYPE_CHECKING, Any

import structlog
from kombu.transport import redis as stock
from kombu.transport import virtual
from kombu.utils.json import dumps

from worker.adapters.transport.entry import (
    Payload,
    UndecodableEntryError,
    count_return,
    mark_redelivered,
    read_unacked,
)

if TYPE_CHECKING:
    from worker.adapters.transport.channel import ReliableChannel

log = structlog.get_logger(__name__)


class Received(virtual.Message):
    """A message with the bytes and the queue key it came from; without them it was claimed by kombu's means."""

    entry = b""
    source = ""
    worker_died = False
    """Set when the pool process that ran it died: the message may be the reason."""


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

    def settle(self, delivery_tag: str) -> None:
        """Free the place of a message that Redis does not hold as unacknowledged any more."""
        virtual.QoS.ack(self, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge; where Redis cannot be reached the message stays held, to return by its timeout.

        Its place is freed in any case. With kombu it stays taken, and once as many acknowledgements failed
        as there are places, the worker polls no more, meets no connection error, and idles for ever.
        """
        try:
            super().ack(delivery_tag)
        finally:
            self.settle(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Put back, or set aside what its task refuses; frees its place as `ack`.

        Going back is counted if the process of the message died with it.
        """
        message = self._delivered.get(delivery_tag)
        try:
            if requeue and message is not None and message.worker_died:
                self._put_back(delivery_tag, last=True, counted=True)
            elif not requeue and message is not None and message.entry:
                self._set_aside(delivery_tag, message.source, message.entry, "refused_by_task", "see its log")
            else:
                super().reject(delivery_tag, requeue=requeue)
        finally:
            self.settle(delivery_tag)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:  # noqa: ARG002 - kombu's signature
        """Put a held message back in its queue, `leftmost` meaning last in line."""
        self._put_back(tag, last=leftmost, counted=False)

    def restore_visible(self, start: int = 0, num: int | None = 10, interval: int = 10) -> None:  # noqa: ARG002 - kombu's signature
        """Put back what workers have held for longer than the visibility timeout of the server's clock.

        Without kombu's mutex: each return is safe beside others, and a worker killed with the mutex in hand
        would stop all returns for five minutes.
        """
        self._vrestore_count: int = getattr(self, "_vrestore_count", 0) + 1
        if (self._vrestore_count - 1) % (interval or 1):
            return
        for tag in self.channel.delivery.overdue(self.visibility_timeout, num):
            self._put_back(tag, last=False, counted=True)

    def _put_back(self, tag: str, *, last: bool, counted: bool) -> None:
        delivery = self.channel.delivery
        seen = delivery.unacked(tag)
        if seen is None:
            return
        try:
            payload, exchange, routing_key = read_unacked(seen)
        except UndecodableEntryError as flaw:
            self._set_aside(tag, "", seen, "undecodable", str(flaw))
            return
        sources = self.channel.sources_of(payload, exchange, routing_key)
        flaw_found = self._reason_to_keep_out(payload, sources, counted=counted)
        entry = dumps(mark_redelivered(payload)).encode()
        if flaw_found:
            self._set_aside(tag, "".join(sources[:1]), entry, *flaw_found)
        elif delivery.put_back(tag, seen, entry, sources, last=last):
            log.info("message_put_back", queue=sources[0], message_id=payload["headers"].get("id"), after_death=counted)

    def _reason_to_keep_out(self, payload: Payload, sources: list[str], *, counted: bool) -> tuple[str, str] | None:
        if not sources:
            return "no_queue", "no queue is bound to its exchange and routing key"
        limit = self.channel.sfmc_max_returns
        if counted and count_return(payload) >= limit:
            return "returned_too_often", f"its worker died or stalled {limit} times while it ran"
        return None

    def _set_aside(self, tag: str, source: str, entry: bytes, reason: str, detail: str) -> None:
        letter = self.channel.delivery.set_aside_claimed(tag, source, entry, reason, detail)
        if letter:
            report_dead_letter(letter, source, entry, reason, detail)


def report_dead_letter(letter: str, source: str, entry: bytes, reason: str, detail: str) -> None:
    """Say loudly that a message waits for a person; its bytes stay out of the log."""
    log.error("message_set_aside", dead_letter=letter, queue=source, reason=reason, detail=detail, size=len(entry))
