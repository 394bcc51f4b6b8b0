"""How the source `sqs` calls SQS, and what it makes of the answers."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from pydantic import ValidationError

from sfmc_import.errors import MissingExtraError
from sfmc_producers.sources.aws import aws_errors
from sfmc_producers.sources.kinds import KINDS
from sfmc_producers.sources.receiving import Message, SourceRefusedError, SourceUnavailableError
from sfmc_producers.sources.sqs import SqsMailbox, SqsOptions
from tests.support.waiting import eventually

URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/drop"


class Sqs:
    """A client of SQS with answers of this test; `calls` are what it was asked."""

    def __init__(self, *messages: str, failures: tuple[list[dict[str, Any]], ...] = ()) -> None:
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.begun, self.goes_on = threading.Event(), threading.Event()
        self.goes_on.set()
        self._messages, self._failures = messages, list(failures)

    def receive_message(self, **arguments: Any) -> Mapping[str, Any]:
        self.calls.append(("receive", arguments))
        self.begun.set()
        assert self.goes_on.wait(20)
        count = {"ApproximateReceiveCount": "3"}
        return {
            "Messages": [
                {"MessageId": each, "ReceiptHandle": f"r-{each}", "Body": "ü", "Attributes": count}
                for each in self._messages
            ]
        }

    def delete_message_batch(self, **arguments: Any) -> Mapping[str, Any]:
        self.calls.append(("delete", arguments))
        return {"Failed": self._failures.pop(0) if self._failures else []}

    def change_message_visibility_batch(self, **arguments: Any) -> Mapping[str, Any]:
        self.calls.append(("change", arguments))
        return {"Failed": self._failures.pop(0) if self._failures else []}

    def changes(self) -> list[tuple[str, int]]:
        entries = [each for name, arguments in self.calls if name == "change" for each in arguments["Entries"]]
        return [(each["ReceiptHandle"], each["VisibilityTimeout"]) for each in entries]

    def deleted(self) -> list[list[str]]:
        asked = [arguments["Entries"] for name, arguments in self.calls if name == "delete"]
        return [[each["ReceiptHandle"] for each in entries] for entries in asked]


def opened(sqs: Sqs, **more: Any) -> SqsMailbox:
    return SqsMailbox(sqs, SqsOptions(queue_url=URL, **more))  # type: ignore[arg-type]


@pytest.fixture
def mailbox() -> Iterator[Callable[..., SqsMailbox]]:
    """Opens mailboxes that are closed at the end of a test."""
    with ExitStack() as ending:
        yield lambda sqs, **more: ending.enter_context(closing(opened(sqs, **more)))


@pytest.fixture
def slow() -> Iterator[Sqs]:
    made = Sqs("a", "b")
    made.goes_on.clear()
    yield made
    made.goes_on.set()


def test_a_poll_asks_for_ten_messages_and_their_deliveries_and_waits_twenty_seconds(mailbox) -> None:
    sqs = Sqs("a")
    assert mailbox(sqs, visibility="90s").receive() == [Message("a", "ü".encode(), "r-a", 3)]
    [(_, asked)] = sqs.calls
    assert (asked["MaxNumberOfMessages"], asked["WaitTimeSeconds"], asked["VisibilityTimeout"]) == (10, 20, 90)
    assert "MessageAttributeNames" not in asked


def test_a_poll_that_is_under_way_holds_nothing_up_and_is_not_begun_twice(slow: Sqs, mailbox) -> None:
    box = mailbox(slow)
    assert box.receive() == ()
    slow.goes_on.set()
    assert [each.id for each in box.receive()] == ["a", "b"]
    assert len(slow.calls) == 1


def test_what_a_poll_brings_after_the_end_is_given_back(slow: Sqs) -> None:
    box = opened(slow)
    assert box.receive() == ()
    box.close()
    slow.goes_on.set()
    eventually(lambda: slow.changes() == [("r-a", 0), ("r-b", 0)], 10, "both are given back")


def test_what_was_received_and_not_acknowledged_is_given_back_at_the_end() -> None:
    sqs = Sqs("a", "b")
    box = opened(sqs)
    first, _ = box.receive()
    box.acknowledge([first])
    box.close()
    assert (sqs.deleted(), sqs.changes()) == ([["r-a"]], [("r-b", 0)])


def test_messages_are_kept_for_the_whole_time_again(mailbox) -> None:
    sqs = Sqs("a", "b")
    box = mailbox(sqs, visibility=30)
    box.keep(box.receive())
    assert sqs.changes() == [("r-a", 30), ("r-b", 30)]


def test_of_an_answer_200_the_messages_that_failed_are_deleted_again_unless_the_fault_is_ours(mailbox) -> None:
    failed = [{"Id": "0", "Code": "ReceiptHandleIsInvalid", "SenderFault": True}]
    failed += [{"Id": "2", "Code": "InternalError", "SenderFault": False}]
    sqs = Sqs("a", "b", "c", failures=(failed, []))
    box = mailbox(sqs)
    box.acknowledge(box.receive())
    assert sqs.deleted() == [["r-a", "r-b", "r-c"], ["r-c"]]


@pytest.mark.parametrize(
    "code",
    ["AccessDenied", "InvalidClientTokenId", "ExpiredToken", "SignatureDoesNotMatch", "UnrecognizedClientException",
     "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"],
)  # fmt: skip
def test_a_refused_login_and_a_missing_queue_stop_the_source(code: str) -> None:
    with pytest.raises(SourceRefusedError, match=code) as raised, aws_errors("queue drop"):
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "ReceiveMessage")
    assert raised.value.fix


@pytest.mark.parametrize("code", ["OverLimit", "Throttling", "RequestThrottled", "InternalError", "ServiceUnavailable"])
def test_what_passes_is_tried_again(code: str) -> None:
    with pytest.raises(SourceUnavailableError, match=code), aws_errors("queue drop"):
        raise ClientError({"Error": {"Code": code, "Message": "later"}}, "ReceiveMessage")


def test_without_a_login_a_person_must_act_and_without_an_answer_none() -> None:
    with pytest.raises(SourceRefusedError), aws_errors("queue drop"):
        raise NoCredentialsError
    with pytest.raises(SourceUnavailableError), aws_errors("queue drop"):
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")


def test_the_region_is_given_or_that_of_the_queue_or_left_to_boto3() -> None:
    assert SqsOptions(queue_url=URL).region_used == "eu-central-1"
    assert SqsOptions(queue_url=URL, region="us-east-1").region_used == "us-east-1"
    assert SqsOptions(queue_url="http://localhost:4566/000000000000/drop").region_used is None


@pytest.mark.parametrize("lines", [{"visibility": 9}, {"visibility": "13h"}, {"parallel": 0}, {"queue_url": "drop"}])
def test_lines_that_sqs_would_not_take_are_refused(lines: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SqsOptions(**{"queue_url": URL, **lines})


@pytest.mark.parametrize(
    ("kind", "library", "modules", "extra"),
    [("sqs", "boto3.session", ["sqs", "aws", "s3_objects"], "aws"), ("azure-queue", "azure", ["azure_queue"], "azure")],
)
def test_a_missing_extra_is_one_line_that_says_what_to_install(monkeypatch, kind, library, modules, extra) -> None:
    for name in modules:
        monkeypatch.delitem(sys.modules, f"sfmc_producers.sources.{name}", raising=False)
        monkeypatch.delattr(f"sfmc_producers.sources.{name}", raising=False)
    for name in [each for each in sys.modules if each == library or each.startswith(f"{library}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"sfmc-import\[{extra}\]"):
        KINDS[kind]()
