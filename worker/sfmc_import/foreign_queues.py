"""Queues of other programs: what a sender chained to its message is sent there, and nothing is read from them."""

from typing import Any

from celery.app.amqp import AMQP, Queues
from kombu import Exchange, Queue


class QueuesOfAll(Queues):
    """Our queues, to read from; any other name is a queue to send to, as for a worker with the settings of Celery.

    A name is not kept, and has no table of bindings in Redis: senders may use any number of them.
    """

    def __missing__(self, name: str) -> Queue:
        return Queue(name, Exchange(""), routing_key=name)

    def select(self, include: Any) -> None:
        """As Celery's; a queue that is not ours is refused, or a worker with a mistyped `-Q` would wait for ever."""
        for name in [include] if isinstance(include, str) else include or []:
            if name not in self:
                raise KeyError(name)
        super().select(include)


class SendingToAll(AMQP):
    """Celery's part for messages, which sends to queues that are not ours too."""

    queues_cls = QueuesOfAll
