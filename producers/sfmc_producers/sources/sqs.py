"""The source `sqs`: notifications of S3 in a queue of Amazon SQS, by themselves, through SNS or EventBridge."""

import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, TypeVar

import structlog
from pydantic import Field

from sfmc_import.settings.values import Seconds, Url
from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.arrivals import Arrival, Record
from sfmc_producers.sources.aws import aws_errors, s3_client, sqs_client
from sfmc_producers.sources.deadlines import Call, Caller, DeadlineError
from sfmc_producers.sources.parallel import run_parallel
from sfmc_producers.sources.receiving import Message, Receiver, SourceRefusedError, SourceUnavailableError
from sfmc_producers.sources.s3_events import parse
from sfmc_producers.sources.s3_objects import list_arrivals, open_content
from sfmc_producers.sources.tables import Kind, Options, Parts

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

T = TypeVar("T")

BATCH = 10
"""The most messages that SQS gives, and takes back, in one call."""

POLL_SECONDS = 20
LOOK_SECONDS = 0.5
"""How long an end of the process may wait for a poll: it goes on behind."""

CALL_SECONDS, POLL_DEADLINE = 30.0, 75.0
"""Deadlines over all tries and all parts of an answer."""

TRIES = 3
_REGION = re.compile(r"https://(?:sqs\.)?([a-z]{2}(?:-[a-z]+)+-\d+)\.(?:queue\.)?amazonaws\.com")


class SqsOptions(Options):
    """The lines of a [[source]] of kind `sqs`."""

    queue_url: Url = Field(
        description="the address of the queue, such as https://sqs.eu-central-1.amazonaws.com/123456789012/drop"
    )
    region: str | None = Field(None, pattern=r"^[a-z0-9-]{1,40}$", description="the region; without it that of the URL")
    endpoint_url: Url | None = Field(None, description="the address of what looks like AWS")
    visibility: Annotated[Seconds, Field(ge=10, le=43_200)] = Field(
        60.0, description="seconds after which the messages of a process that died come again, 10 to 43200"
    )
    max_deliveries: int = Field(
        20, ge=2, le=1000, description="how often a message may be delivered before it is set aside"
    )
    parallel: int = Field(4, ge=1, le=32, description="how many batches of 10 messages are worked on at once")
    bucket: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{3,255}$", description="the bucket that `scan` lists")
    prefix: str = Field("", max_length=1024, description="how the keys begin that `scan` lists, such as in/")

    @property
    def region_used(self) -> str | None:
        """The region: as given, or as the address of the queue says; else boto3 finds it."""
        found = _REGION.match(self.queue_url)
        return self.region or (found[1] if found else None)


class SqsMailbox:
    """Receives from one queue, one batch at a time. Its calls run in two threads: a poll takes 20 seconds."""

    def __init__(self, client: "SQSClient", options: SqsOptions) -> None:
        self._client, self._url, self._visibility = client, options.queue_url, int(options.visibility)
        self._caller, self._polls = Caller("sfmc-sqs"), Caller("sfmc-sqs-poll")
        self._poll: Call[list[Message]] | None = None
        self._held: dict[str, Message] = {}
        self._closed = threading.Event()
        self._log = structlog.get_logger("sfmc_producers.sources").bind(queue=options.queue_url)

    def receive(self) -> Sequence[Message]:
        """Give the messages of the poll that is under way, or nothing when it takes longer than half a second."""
        poll = self._poll = self._poll or self._polls.begin(self._ask)
        with self._errors():
            if not poll.wait(LOOK_SECONDS):
                if poll.seconds > POLL_DEADLINE:
                    raise DeadlineError(f"no answer within {POLL_DEADLINE:g} s")
                return ()
            self._poll = None
            messages = poll.result()
        self._held |= {message.id: message for message in messages}
        return messages

    def keep(self, messages: Sequence[Message]) -> None:
        """Let these stay unseen by others from now on for the whole time again."""
        failed = [
            each
            for some in _batches(messages)
            for each in self._within(partial(self._change_visibility, some, self._visibility))
        ]
        if failed:
            codes = sorted({str(each.get("Code")) for each in failed})
            self._log.warning("messages_not_kept", messages=len(failed), codes=codes)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Delete messages; those that SQS does not delete come again, and the ledger knows their files."""
        for some in _batches(messages):
            for failed in self._within(partial(self._delete, some)):
                names = {"message_id": failed.get("Id"), "code": failed.get("Code")}
                self._log.warning("message_not_deleted", **names, action="comes_again")
        for message in messages:
            self._held.pop(message.id, None)

    def close(self) -> None:
        """Give back what was received, also by the poll that is under way, so that others get it at once."""
        self._closed.set()
        with suppress(SourceUnavailableError, SourceRefusedError):
            for some in _batches(list(self._held.values())):
                self._within(partial(self._change_visibility, some, 0))
        for each in (self._caller, self._polls):
            each.stop()

    def _ask(self) -> list[Message]:
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=BATCH,
            WaitTimeSeconds=POLL_SECONDS,
            VisibilityTimeout=self._visibility,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        messages = [read_message(each) for each in answer.get("Messages", ())]
        if messages and self._closed.is_set():
            self._change_visibility(messages, 0)
        return messages

    def _change_visibility(self, messages: Sequence[Message], seconds: int) -> list[Mapping[str, Any]]:
        entries: Any = [{**entry, "VisibilityTimeout": seconds} for entry in _entries(messages)]
        answer = self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
        return list(answer.get("Failed", ()))

    def _delete(self, messages: Sequence[Message]) -> list[Mapping[str, Any]]:
        """Delete messages; an answer of 200 may name some that were not. Gives those, with their message ids."""
        left = list(messages)
        failed: list[Mapping[str, Any]] = []
        for _ in range(TRIES):
            answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=_entries(left))  # type: ignore[arg-type]
            wrong = answer.get("Failed", ())
            failed = [{**each, "Id": left[int(each["Id"])].id} for each in wrong]
            # An old receipt stays one; what SQS could not do now it may do now.
            left = [left[int(each["Id"])] for each in wrong if not each.get("SenderFault")]
            if not left:
                break
        return failed

    def _within(self, action: Callable[[], T]) -> T:
        with self._errors():
            return self._caller.within(CALL_SECONDS, action)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with aws_errors(f"queue {self._url}"):
                yield
        except SourceUnavailableError:
            # The thread may hang in this call, so nothing more is asked of it: what we hold comes again by itself.
            self._held = {}
            raise


def _batches(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    return (messages[begin : begin + BATCH] for begin in range(0, len(messages), BATCH))


def _entries(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [{"Id": str(number), "ReceiptHandle": message.receipt} for number, message in enumerate(messages)]


def read_message(given: Mapping[str, Any]) -> Message:
    """Read what SQS gives; attributes of senders are not asked for."""
    deliveries = int(given.get("Attributes", {}).get("ApproximateReceiveCount", 1))
    body = str(given.get("Body", "")).encode("utf-8", "surrogatepass")
    return Message(str(given["MessageId"]), body, given["ReceiptHandle"], deliveries)


class SqsSource:
    """Receives from the queue in several threads, lists the bucket, and reads its objects."""

    def __init__(self, options: SqsOptions, parts: Parts) -> None:
        self.name, self._options, self._parts = parts.name, options, parts

    def run(self, wakeup: Wakeup) -> None:
        """Receive until `wakeup` closes; raises SourceRefusedError."""
        options = self._options
        client = sqs_client(options.region_used, options.endpoint_url, 2 * options.parallel)
        run_parallel([self._receiver(client, number == 0) for number in range(options.parallel)], wakeup)

    def list_arrivals(self, since: datetime | None = None) -> Iterator[Arrival]:
        """Yield the objects of the bucket, page by page; only those that were changed after `since`."""
        if self._options.bucket is None:
            raise SourceRefusedError(f"source {self.name} names no bucket to list", "add bucket = … to its table")
        found = list_arrivals(self._s3, self._options.bucket, self._options.prefix, since)
        return (self._with_content(each) for each in found)

    def records(self, body: bytes) -> Sequence[Record]:
        """Read the body of a message; the content of its files can be opened."""
        return [self._with_content(each) if isinstance(each, Arrival) else each for each in parse(body)]

    def open_content(self, arrival: Arrival) -> BinaryIO:
        """Open the content of an arrival; raises ContentGoneError or ContentUnavailableError."""
        return open_content(self._s3, arrival)

    def _with_content(self, arrival: Arrival) -> Arrival:
        return replace(arrival, open_content=partial(self.open_content, arrival))

    @cached_property
    def _s3(self) -> "S3Client":
        return s3_client(self._options.region_used, self._options.endpoint_url)

    def _receiver(self, client: "SQSClient", replays: bool) -> Receiver:
        options, parts = self._options, self._parts
        return Receiver(
            parts.intake,
            parts.set_aside,
            self.records,
            lambda: SqsMailbox(client, options),
            chance=random.random,
            max_deliveries=options.max_deliveries,
            keep_after=options.visibility / 3,
            replays=replays,
        )


KIND = Kind(SqsOptions, SqsSource)
