"""Channels in this process and worker processes beside it, for the tests of the transport."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis as redis_py
from kombu import Connection

from sfmc_local.redis_server import Valkey
from sfmc_transport import TRANSPORT_OPTIONS, Keys, celery_settings
from tests.integration.transport.workers import Worker

KEYS = Keys()


@pytest.fixture
def connect_reliably(raw: redis_py.Redis, redis_server: Valkey) -> Iterator[Callable[..., Connection]]:
    """Make kombu connections over the reliable transport; all are closed in the end."""
    with ExitStack() as stack:
        address = celery_settings(redis_server.celery_url)

        def make(**options: object) -> Connection:
            chosen = {**TRANSPORT_OPTIONS, "polling_interval": 0.05, **options}
            connection = Connection(
                address["broker_url"], transport=address["broker_transport"], transport_options=chosen
            )
            stack.callback(connection.release)
            return connection

        yield make


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """The file into which the tasks of `probe` write."""
    return tmp_path / "notes"


@pytest.fixture
def start_worker(notes: Path) -> Iterator[Callable[..., Worker]]:
    """Start workers of `probe`; none outlives the test."""
    started: list[Worker] = []

    def start(broker: str, **settings: str) -> Worker:
        started.append(Worker(broker, notes, **settings))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


@pytest.fixture
def valkey_client(own_valkey: Valkey) -> Iterator[redis_py.Redis]:
    """A client of the test's own server that reads bytes."""
    with redis_py.Redis.from_url(own_valkey.url, socket_timeout=10) as client:
        yield client
