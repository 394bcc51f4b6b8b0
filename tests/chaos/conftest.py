"""One whole system for the tests of a module, with times short enough to wait for."""

from collections.abc import Callable, Iterator

import pytest
from celery import Celery

from sfmc_import.client import open_client, submit
from tests.support.processes import RunningSystem, running_stack

LEASE = 6.0
SHORT = {"SFMC_LEASE_SECONDS": f"{LEASE:g}", "SFMC_DEFINITION_TTL": "30"}


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningSystem]:
    """Valkey, a sandbox and a beat; each test starts and ends its own workers."""
    with running_stack(SHORT) as made:
        made.start("beat")
        yield made


@pytest.fixture
def send(stack: RunningSystem) -> Iterator[Callable[..., str]]:
    """Send `imports.start` by name, as any Celery client does; gives the request id."""
    with Celery("somebody-else", broker=stack.valkey.celery_url, set_as_current=False) as app:

        def post(key: str, **more: object) -> str:
            return str(app.send_task("imports.start", kwargs={"customer_key": key, **more}, queue="imports").id)

        yield post


@pytest.fixture
def ask(stack: RunningSystem) -> Iterator[Callable[..., str]]:
    """Submit as our producers do: into the ledger first; gives the request id."""
    with open_client(stack.env) as door:
        yield lambda key, **more: submit(door, customer_key=key, **more).request_id


@pytest.fixture(autouse=True)
def nobody_left(stack: RunningSystem) -> Iterator[None]:
    """End the workers of a test, and with them the faults it asked for."""
    before = len(stack._children)
    yield
    stack.sandbox.control.clear_faults()
    for child in stack._children[before:]:
        if child.poll() is None:
            stack.kill(child)
