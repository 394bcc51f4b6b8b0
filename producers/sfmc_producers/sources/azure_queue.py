"""The source `azure-queue`: events of Azure's blob storage in a Storage Queue, where Event Grid puts them."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import Annotated, TypeVar
from urllib.parse import parse_qs, quote_plus

import structlog
from azure.core.exceptions import HttpResponseError
from azure.storage.queue import QueueClient
from pydantic import Field, SecretStr

from sfmc_import.errors import SettingsError
from sfmc_import.redaction import KNOWN
from sfmc_import.settings.values import Seconds
from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.arrivals import Arrival, Record
from sfmc_producers.sources.azure_blobs import Blobs
from sfmc_producers.sources.azure_containers import BlobContainer
from sfmc_producers.sources.azure_errors import azure_errors, code_of
from sfmc_producers.sources.blob_events import parser
from sfmc_producers.sources.deadlines import Caller, DeadlineError
from sfmc_producers.sources.receiving import Message, Receiver, SourceRefusedError, SourceUnavailableError
from sfmc_producers.sources.tables import Kind, Options, Parts

T = TypeVar("T")

BATCH = 32
"""The most messages that the service gives in one call."""

AT_ONCE = 8
"""Calls about single messages that are under way together: a thousand are kept in seconds."""

CONNECT_SECONDS, READ_SECONDS, CALL_SECONDS = 5, 20, 30.0
"""Timeouts of one read, and the deadline of a call over all its parts."""

NOT_OURS = frozenset({"MessageNotFound", "PopReceiptMismatch"})
"""What is said of a message that was given to another meanwhile, or is gone."""

LOGIN_FIX = "check SFMC_SOURCE_<NAME>_CONNECTION: its key or SAS needs the rights read, update and process"


class AzureQueueOptions(Options):
    """The lines of a [[source]] of kind `azure-queue`."""

    queue: str = Field(pattern=r"^[a-z0-9-]{3,63}$", description="the name of the Storage Queue")
    hierarchical: bool = Field(
        default=False, description="true for an account with a hierarchical namespace: copies are not taken there"
    )
    visibility: Annotated[Seconds, Field(ge=10, le=604_800)] = Field(
        60.0, description="seconds after which the messages of a process that died come again, 10 to 604800"
    )
    poll_every: Annotated[Seconds, Field(ge=0.1, le=5)] = Field(
        2.0, description="seconds between two looks into an empty queue, 0.1 to 5"
    )
    max_deliveries: int = Field(
        20, ge=2, le=1000, description="how often a message may be delivered before it is set aside"
    )
    container: str | None = Field(
        None, pattern=r"^[a-z0-9-]{3,63}$", description="the container that `scan` lists, such as drop"
    )
    prefix: str = Field("", max_length=1024, description="how the names begin that `scan` lists, such as in/")


class AzureMailbox:
    """Receives from one queue. `pop receipts` change whenever a message is kept, and only the newest counts."""

    def __init__(self, client: QueueClient, options: AzureQueueOptions) -> None:
        self._client, self._options = client, options
        self._visibility = int(options.visibility)
        self._caller = Caller("sfmc-azure-queue")
        self._callers = [Caller(f"sfmc-azure-queue-{number}") for number in range(AT_ONCE)]
        self._receipts: dict[str, str] = {}
        self._never = threading.Event()
        self._log = structlog.get_logger("sfmc_producers.sources").bind(queue=options.queue)

    def receive(self) -> Sequence[Message]:
        """Give the messages that are there; without any it waits before it says so."""
        found = self._within(self._ask)
        if not found:
            # The service has no polls that wait.
            self._never.wait(self._options.poll_every)
        return found

    def keep(self, messages: Sequence[Message]) -> None:
        """Let these stay unseen by others from now on for the whole time again."""
        kept = self._each([each.id for each in messages], lambda each: self._show_after(each, self._visibility))
        if lost := kept.count(False):
            self._log.warning("messages_not_kept", messages=lost, codes=sorted(NOT_OURS))

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Delete messages; one that was given to another meanwhile comes again, and the ledger knows its file."""
        for message, is_deleted in zip(messages, self._each([each.id for each in messages], self._delete), strict=True):
            if not is_deleted:
                self._log.warning("message_not_deleted", message_id=message.id, code="not_ours", action="comes_again")
            self._receipts.pop(message.id, None)

    def close(self) -> None:
        """Give back what was received, so that others get it at once, and close the connection."""
        with suppress(SourceUnavailableError, SourceRefusedError):
            self._each(list(self._receipts), lambda each: self._show_after(each, 0))
        self._caller.begin(self._client.close)
        for each in (self._caller, *self._callers):
            each.stop()

    def _ask(self) -> list[Message]:
        given = self._client.receive_messages(
            messages_per_page=BATCH, max_messages=BATCH, visibility_timeout=self._visibility
        )
        found = list(given)
        self._receipts |= {str(each.id): str(each.pop_receipt) for each in found}
        return [Message(str(each.id), _body(each.content), deliveries=each.dequeue_count or 1) for each in found]

    def _show_after(self, message_id: str, seconds: int) -> bool:
        with _if_ours() as ours:
            updated = self._client.update_message(message_id, self._receipts[message_id], visibility_timeout=seconds)
            self._receipts[message_id] = str(updated.pop_receipt)
        return not ours

    def _delete(self, message_id: str) -> bool:
        with _if_ours() as ours:
            self._client.delete_message(message_id, self._receipts[message_id])
        return not ours

    def _each(self, message_ids: Sequence[str], action: Callable[[str], bool]) -> list[bool]:
        """Do it for each message, some at a time: the service takes one a call, and all must be done soon."""
        calls = [(each, self._callers[at % AT_ONCE]) for at, each in enumerate(message_ids)]
        with self._errors():
            begun = [caller.begin(partial(action, message_id)) for message_id, caller in calls]
            deadline = time.monotonic() + CALL_SECONDS
            if not all(call.wait(max(0.0, deadline - time.monotonic())) for call in begun):
                raise DeadlineError(f"no answer within {CALL_SECONDS:g} s")
            return [call.result() for call in begun]

    def _within(self, action: Callable[[], T]) -> T:
        with self._errors():
            return self._caller.within(CALL_SECONDS, action)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with azure_errors(f"queue {self._options.queue}", LOGIN_FIX):
                yield
        except SourceUnavailableError:
            # A thread may hang in this call, so nothing more is asked of it: what we hold comes again by itself.
            self._receipts = {}
            raise


def _body(content: object) -> bytes:
    return content if isinstance(content, bytes) else str(content or "").encode("utf-8", "surrogatepass")


@contextmanager
def _if_ours() -> Iterator[list[HttpResponseError]]:
    """Gather the error that a message is not ours any more; every other passes."""
    found: list[HttpResponseError] = []
    try:
        yield found
    except HttpResponseError as error:
        if code_of(error) not in NOT_OURS:
            raise
        found.append(error)


def open_client(connection: SecretStr, queue: str) -> QueueClient:
    """Open a client; raises ValueError for a connection string that cannot be read."""
    return QueueClient.from_connection_string(
        connection.get_secret_value(),
        queue,
        connection_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        # The source itself tries again, after pauses that grow.
        retry_total=0,
        # Otherwise each call is logged, with its address.
        logging_enable=False,
    )


def secrets_in(connection: str) -> list[str]:
    """Give the secrets of a connection string: its key, and the signature of a SAS as it stands in addresses too."""
    parts = dict(part.partition("=")[::2] for part in connection.split(";"))
    signatures = parse_qs(parts.get("SharedAccessSignature", "")).get("sig", [])
    return [each for each in (parts.get("AccountKey"), *signatures, *map(quote_plus, signatures)) if each]


class AzureSource:
    """Receives from the queue, and lists the container."""

    def __init__(self, receiver: Receiver, blobs: Blobs, container: BlobContainer | None) -> None:
        self.name, self._receiver, self._blobs, self._container = receiver.name, receiver, blobs, container

    def run(self, wakeup: Wakeup) -> None:
        """Receive until `wakeup` closes; raises SourceRefusedError."""
        self._receiver.run(wakeup)

    def records(self, body: bytes) -> Sequence[Record]:
        """Read the body of a message, as a person may ask about it; nothing is taken."""
        return self._receiver.records(body)

    def list_arrivals(self) -> Iterator[Arrival]:
        """Yield the complete blobs of the container, page by page."""
        if self._container is None:
            raise SourceRefusedError(f"source {self.name} names no container to list", "add container = … to its table")
        return self._listed(self._container)

    def _listed(self, container: BlobContainer) -> Iterator[Arrival]:
        with closing(container.list_arrivals()) as found:
            yield from map(self._blobs.with_content, found)


def open_azure_queue(options: AzureQueueOptions, parts: Parts) -> AzureSource:
    """Open the source; it connects on first use. Raises SettingsError without a connection string that can be read."""
    variable = f"SFMC_SOURCE_{parts.name.upper().replace('-', '_')}_CONNECTION"
    connection = parts.settings.secret_of(parts.name, "connection")
    if connection is None:
        raise SettingsError([f"{variable}: missing; give the connection string of the storage account or queue"])
    KNOWN.learn(*secrets_in(connection.get_secret_value()))
    try:
        open_client(connection, options.queue).close()
    except ValueError:
        raise SettingsError([f"{variable}: this is no connection string of a storage account"]) from None
    login = _blob_login(parts, variable, connection)
    blobs, parse = Blobs(*login), parser(hierarchical=options.hierarchical)

    def records(body: bytes) -> Sequence[Record]:
        return [blobs.with_content(each) if isinstance(each, Arrival) else each for each in parse(body)]

    receiver = Receiver(
        parts.intake,
        parts.set_aside,
        records,
        lambda: AzureMailbox(open_client(connection, options.queue), options),
        chance=random.random,
        max_deliveries=options.max_deliveries,
        keep_after=options.visibility / 3,
    )
    return AzureSource(receiver, blobs, _open_container(options, *login))


def _blob_login(parts: Parts, variable: str, connection: SecretStr) -> tuple[SecretStr, str]:
    """Give the login for blobs and its name: one of its own, where given; that of the queue may be for it alone."""
    own = parts.settings.secret_of(parts.name, "blob_connection")
    if own is None:
        return connection, variable
    KNOWN.learn(*secrets_in(own.get_secret_value()))
    return own, variable.replace("_CONNECTION", "_BLOB_CONNECTION")


def _open_container(options: AzureQueueOptions, connection: SecretStr, variable: str) -> BlobContainer | None:
    if options.container is None:
        return None
    return BlobContainer(
        connection,
        variable,
        container=options.container,
        prefix=options.prefix,
        hierarchical=options.hierarchical,
    )


KIND = Kind(AzureQueueOptions, open_azure_queue)
