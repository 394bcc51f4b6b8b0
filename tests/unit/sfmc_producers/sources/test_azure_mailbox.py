"""The service of Azure takes one message a call; what must be done soon for many is done for some at a time."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sfmc_producers.sources.azure_queue import AT_ONCE, AzureMailbox, AzureQueueOptions
from sfmc_producers.sources.receiving import SourceUnavailableError

azure_errors = pytest.importorskip("azure.core.exceptions")


class Client:
    """Has messages; each call about one waits until `AT_ONCE` of them are under way."""

    def __init__(self) -> None:
        self.messages = [SimpleNamespace(id=str(n), pop_receipt="p0", content="x", dequeue_count=1) for n in range(32)]
        self.gate: Any = threading.Barrier(AT_ONCE)
        self.failing = False
        self.receipts: list[tuple[str, str]] = []

    def receive_messages(self, **_: object) -> list[Any]:
        return self.messages

    def update_message(self, message_id: str, receipt: str, **_: object) -> Any:
        self.gate.wait(10)
        if self.failing:
            raise azure_errors.ServiceRequestError("cut")
        self.receipts.append((message_id, receipt))
        return SimpleNamespace(pop_receipt="p1")

    def delete_message(self, message_id: str, receipt: str) -> None:
        self.gate.wait(10)
        self.receipts.append((message_id, receipt))

    def close(self) -> None:
        return None


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def mailbox(client: Client) -> Iterator[AzureMailbox]:
    made = AzureMailbox(client, AzureQueueOptions(queue="drop"))  # type: ignore[arg-type]
    yield made
    client.gate = SimpleNamespace(wait=lambda _: None)
    made.close()


def test_many_messages_are_kept_and_deleted_some_at_a_time_each_with_its_newest_receipt(client, mailbox) -> None:
    messages = mailbox.receive()
    mailbox.keep(messages)
    assert sorted(client.receipts) == sorted((each.id, "p0") for each in messages)
    client.receipts.clear()
    mailbox.acknowledge(messages)
    assert sorted(client.receipts) == sorted((each.id, "p1") for each in messages)


def test_a_service_that_fails_for_one_of_them_is_away_for_all(client, mailbox) -> None:
    messages = mailbox.receive()
    client.failing = True
    with pytest.raises(SourceUnavailableError):
        mailbox.keep(messages)
