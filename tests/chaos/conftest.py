"""One whole system for the tests of a module, with times short enough to wait for."""

from collections.abc import Callable, Iterator

import pytest
from celery import Celery

from sfmc_import.client import Client
from tests.support.processes import RunningSystem, running_system

LEASE = 6.0
SHORT = {"SFMC_LEASE_SECONDS": f"{LEASE:g}", "SFMC_DEFINITION_TTL": "30"}


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    """Valkey, a sandbox and a beat; each test starts and ends its own workers."""
    with running_system(SHORT) as made:
        made.beat()
        yield made


@pytest.fixture
def send(system: RunningSystem) -> Iterator[Callable[..., str]]:
    """Send `imports.start` by name, as any Celery client does; gives the request id."""
    with Celery("somebody-else", broker=system.valkey.celery_url, set_as_current=False) as app:

        def post(key: str, **more: object) -> str:
            return str(app.send_task("imports.start", kwargs={"customer_key": key, **more}, queue="imports").id)

        yield post


@pytest.fixture
def ask(system: RunningSystem) -> Iterator[Callable[..., str]]:
    """Submit as our producers do: into the ledger first; gives the request id."""
    with Client.from_env(system.env) as client:
        yield lambda key, **more: client.submit(customer_key=key, **more).request_id


@pytest.fixture(autouse=True)
def end_workers(system: RunningSystem) -> Iterator[None]:
    """End the workers of a test, and with them the faults it asked for."""
    before = len(system._children)
    yield
    system.sandbox.control.clear_faults()
    for child in system._children[before:]:
        if child.poll() is None:
            system.kill(child)
