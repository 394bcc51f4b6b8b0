"""How long a worker waits between two tries to reach a broker that is away."""

from typing import Any

from celery import Celery

from sfmc_transport import consumer


class ConnectionThatIsAway:
    """Takes what kombu's connection takes, with kombu's own pauses where none are asked for."""

    def __init__(self) -> None:
        self.longest_pause = 0.0

    def ensure_connection(self, _errback: Any, _max_retries: int | None, **asked: Any) -> "ConnectionThatIsAway":
        self.longest_pause = asked.get("interval_max", 30)
        return self


def test_a_worker_tries_every_few_seconds_however_long_the_outage() -> None:
    connection = ConnectionThatIsAway()
    with Celery("away", broker="memory://", set_as_current=False) as app:
        worker = app.WorkController(pool_cls="solo", consumer_cls=consumer.Consumer)
        worker.consumer.ensure_connected(connection)

    assert connection.longest_pause <= 3
