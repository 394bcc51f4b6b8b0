"""One producer of a chaos run, as a process: sends requests and writes each accepted one to its journal."""

import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from sfmc_harness.chaos.messages import Message, Messages, Order
from sfmc_import.client import Client, ServiceUnavailableError

PRODUCER_TIMEOUTS = {"socket_timeout": 5, "socket_connect_timeout": 3}
REFUSED = (ServiceUnavailableError, OperationalError, RedisError, OSError)
Send = Callable[[Message], None]


def via_client(client: Client) -> Send:
    """Send as our producers do: into the ledger first."""

    def send(message: Message) -> None:
        client.submit(request_id=message.request_id, **message.arguments)

    return send


def via_celery(app: Celery) -> Send:
    """Send as any Celery client does: the message alone, by name."""

    def send(message: Message) -> None:
        app.send_task(
            message.task, kwargs=dict(message.arguments), task_id=message.request_id, queue="imports", retry=False,
            **message.options,
        )  # fmt: skip

    return send


def work(order: Order, send: Send) -> None:
    """Send every request until it is accepted, at about even pace, and write each acceptance to the journal."""
    chance = random.Random(order.seed)  # noqa: S311 - repeatable on purpose
    pace = order.seconds / max(order.count, 1)
    with Path(order.journal).open("a", encoding="utf-8") as journal:
        for message in Messages(order, chance, time.time):
            tries = _send_with_retry(send, message)
            journal.write(json.dumps(line_of(order, message, tries)) + "\n")
            journal.flush()
            time.sleep(pace * 2 * chance.random())


def line_of(order: Order, message: Message, tries: int) -> dict[str, object]:
    """What the journal says of a message: times as seconds since 1970."""
    times = {name: message.options[name].timestamp() for name in ("eta", "expires") if name in message.options}
    line = {"id": message.request_id, "key": message.key, "way": order.way, "at": time.time(), "tries": tries}
    return {**line, "refused": message.is_refused, **times}


def _send_with_retry(send: Send, message: Message) -> int:
    tries = 1
    while True:
        try:
            send(message)
        except REFUSED:
            tries += 1
            time.sleep(0.3)
        else:
            return tries


def main() -> None:
    """Do what the JSON on the command line says."""
    order = Order(**json.loads(sys.argv[1]))
    if order.way == "submit":
        with Client.from_env() as client:
            work(order, via_client(client))
    else:
        steps = {} if order.steps is None else {"priority_steps": list(order.steps)}
        options = {**PRODUCER_TIMEOUTS, **steps, "global_keyprefix": order.prefix}
        with Celery(broker=order.broker, set_as_current=False) as app:
            app.conf.update(broker_transport_options=options, task_ignore_result=True)
            work(order, via_celery(app))


if __name__ == "__main__":
    main()
