"""One producer of a chaos run, as a process: sends requests and writes each accepted one to its journal."""

import json
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from sfmc_import.client import Client, ServiceUnavailableError

PRODUCER_TIMEOUTS = {"socket_timeout": 5, "socket_connect_timeout": 3, "priority_steps": [0]}
REFUSED = (ServiceUnavailableError, OperationalError, RedisError, OSError)
Send = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a producer does: how many requests in how many seconds, for which definitions, by which way."""

    way: str
    seed: str
    count: int
    seconds: float
    keys: list[str]
    journal: str
    broker: str


def requests(order: Order, chance: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give requests: mostly new files, some known ones, some sent again, some without a file, some forced."""
    earlier: list[tuple[str, dict[str, Any]]] = []
    for number in range(order.count):
        if earlier and chance.random() < 0.08:
            yield chance.choice(earlier)
            continue
        sent = (str(uuid.UUID(int=chance.getrandbits(128), version=4)), _message(order, chance, number, earlier))
        earlier.append(sent)
        yield sent


def _message(
    order: Order, chance: random.Random, number: int, earlier: list[tuple[str, dict[str, Any]]]
) -> dict[str, Any]:
    message: dict[str, Any] = {"customer_key": chance.choice(order.keys), "source": order.way}
    draw = chance.random()
    if earlier and draw < 0.08:
        return {**chance.choice(earlier)[1], "source": order.way}
    if draw < 0.13:
        return message
    name = f"file-{chance.randrange(3)}.csv"
    stamp = int(chance.random() * 1e18)
    message["file"] = {"location": order.way, "name": name, "size": number, "modified_ns": stamp}
    if draw < 0.16:
        message |= {"force": True, "reason": "asked for by a person"}
    elif draw < 0.3:
        message["event_id"] = f"event-{chance.getrandbits(64):x}"
    return message


def via_client(client: Client) -> Send:
    """Send as our producers do: into the ledger first."""
    return lambda request_id, message: _submitted(client, request_id, message)


def _submitted(client: Client, request_id: str, message: Mapping[str, Any]) -> None:
    client.submit(request_id=request_id, **message)


def via_celery(app: Celery) -> Send:
    """Send as any Celery client does: the message alone, by name."""
    return lambda request_id, message: _sent(app, request_id, message)


def _sent(app: Celery, request_id: str, message: Mapping[str, Any]) -> None:
    app.send_task("imports.start", kwargs=dict(message), task_id=request_id, queue="imports", retry=False)


def work(order: Order, send: Send) -> None:
    """Send every request until it is accepted, at about even pace, and write each acceptance to the journal."""
    chance = random.Random(order.seed)  # noqa: S311 - repeatable on purpose
    pace = order.seconds / max(order.count, 1)
    with Path(order.journal).open("a", encoding="utf-8") as journal:
        for request_id, message in requests(order, chance):
            tries = _send_with_retry(send, request_id, message)
            line = {"id": request_id, "key": message["customer_key"], "way": order.way, "at": time.time()}
            journal.write(json.dumps({**line, "tries": tries}) + "\n")
            journal.flush()
            time.sleep(pace * 2 * chance.random())


def _send_with_retry(send: Send, request_id: str, message: Mapping[str, Any]) -> int:
    tries = 1
    while True:
        try:
            send(request_id, message)
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
        with Celery(broker=order.broker, set_as_current=False) as app:
            app.conf.update(broker_transport_options=PRODUCER_TIMEOUTS, task_ignore_result=True)
            work(order, via_celery(app))


if __name__ == "__main__":
    main()
