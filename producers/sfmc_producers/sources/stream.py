"""The source `stream`: a Redis stream with a consumer group; entries of consumers that died are claimed."""

import os
import random
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import orjson
import structlog
from pydantic import Field
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from sfmc_import.events.unmoved import MOST, Unmoved
from sfmc_import.ledger.keys import Keys
from sfmc_import.redis_address import RedisAddress, parse_redis_url
from sfmc_import.redis_client import connect
from sfmc_import.redis_errors import trouble
from sfmc_import.request import BadRequestError, read_request, unknown_names
from sfmc_import.settings.values import RedisUrl, Seconds
from sfmc_import.states import Reported
from sfmc_producers.contents.opening import open_contents
from sfmc_producers.contents.source import ContentMailbox, ContentSource
from sfmc_producers.contents.tables import DESCRIPTION, ReadContent, not_listed
from sfmc_producers.sources.arrivals import Arrival, Parse, Record, Unreadable
from sfmc_producers.sources.receiving import Mailbox, Message, Receiver, SourceUnavailableError
from sfmc_producers.sources.tables import Kind, Options, Parts, Source

FIELD = b"event"
ANY_MID = "1"
BATCH = 100
LOOKS = 10
"""So often one call looks at the next pending entries (ten times BATCH each) when none before may be claimed."""
BLOCK_MS = 2000
FORGOTTEN_AFTER_MS = 3600 * 1000
"""A consumer that holds nothing and was silent for so long is removed from the group."""


class StreamOptions(Options):
    """The lines of a [[source]] of kind `stream`."""

    key: str = Field(min_length=1, max_length=512, description="the key of the Redis stream, such as drop:arrivals")
    redis_url: RedisUrl | None = Field(None, repr=False, description="its Redis; without it SFMC_REDIS_URL")
    group: str = Field("sfmc-import", min_length=1, max_length=128, description="the name of the consumer group")
    claim_after: Seconds = Field(60.0, description="seconds after which the entries of a silent consumer are claimed")
    max_deliveries: int = Field(
        10, ge=2, le=1000, description="how often an entry may be delivered before it is set aside"
    )
    content: ReadContent | None = Field(None, repr=False, description=DESCRIPTION)

    @property
    def not_listed(self) -> str | None:
        """Why it cannot be listed."""
        return not_listed("stream", self.content)


ACKNOWLEDGE = """
-- KEYS: stream, records of requests and of dead letters…  ARGV: group, 1 where the entries are removed as well, ids…
-- 0: what was recorded for these entries went to another server, or is lost: they stay.
for i = 2, #KEYS do
    if redis.call('EXISTS', KEYS[i]) == 0 then return 0 end
end
for i = 3, #ARGV do
    redis.call('XACK', KEYS[1], ARGV[1], ARGV[i])
    if ARGV[2] == '1' then redis.call('XDEL', KEYS[1], ARGV[i]) end
end
return 1
"""


class StreamMailbox:
    """One consumer of a group; pending entries are its own until another claims them.

    Where the stream is in the Redis of the ledger, `records` gives the keys of requests.
    """

    removes = False

    def __init__(self, address: RedisAddress, options: StreamOptions, records: Keys | None = None) -> None:
        self._address, self._options, self._records = address, options, records
        self._redis: Redis = connect(address)
        self._consumer = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}"
        self._log = structlog.get_logger("sfmc_producers.sources").bind(stream=options.key)
        self._has_group = False
        self._claim_from = b"0-0"
        self._unmoved = Unmoved(options.claim_after)

    def receive(self) -> Sequence[Message]:
        """Claim what a dead consumer left, else wait for new entries."""
        with self._errors():
            if not self._has_group:
                self._create_group()
            return self._claimed() or self._new()

    def keep(self, messages: Sequence[Message]) -> None:
        """Claim them again for ourselves: they look fresh, and their deliveries are not counted."""
        ids: Any = [message.id for message in messages]
        with self._errors():
            self._redis.xclaim(*self._group(), self._consumer, 0, ids, justid=True)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Take them out of the pending list of the group; the stream keeps its entries."""
        with self._errors():
            self._redis.xack(*self._group(), *(message.id for message in messages))

    def acknowledge_recorded(
        self, messages: Sequence[Message], recorded: Sequence[str | Reported], marks: Sequence[str] = ()
    ) -> bool:
        """Do the same if the server has these records and keys, or is not that of the ledger; False: nothing is."""
        records = self._records
        if records is None or not (recorded or marks):
            self.acknowledge(messages)
            return True
        keys = [self._options.key, *dict.fromkeys([*map(records.record, recorded), *marks])]
        arguments = [self._options.group, str(int(self.removes)), *(message.id for message in messages)]
        with self._errors():
            is_done = bool(self._redis.eval(ACKNOWLEDGE, len(keys), *keys, *arguments))
        if not is_done:
            self._log.warning(
                "entries_kept", entries=len(messages), detail="this Redis lacks what was recorded for them"
            )
        return is_done

    def give_back(self, messages: Sequence[Message]) -> None:
        """Let them look left behind, so that another consumer claims them at once."""
        stream, group = self._group()
        idle = int(self._options.claim_after * 1000)
        with self._errors(), self._redis.pipeline(transaction=False) as pipeline:
            for each in messages:
                before = max(0, each.deliveries - 1)
                pipeline.xclaim(stream, group, self._consumer, 0, [each.id], idle=idle, retrycount=before, justid=True)
            pipeline.execute()

    def close(self) -> None:
        """Leave the group unless entries are pending, and close the connection."""
        with suppress(RedisError):
            self._remove_consumers(lambda each: each["name"] == self._consumer.encode())
        self._redis.close()

    def _group(self) -> tuple[str, str]:
        return self._options.key, self._options.group

    def _create_group(self) -> None:
        try:
            # From the first entry on: what lies there already has arrived as well.
            self._redis.xgroup_create(*self._group(), id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        self._has_group = True
        self._remove_consumers(lambda each: each["idle"] > FORGOTTEN_AFTER_MS)

    def _remove_consumers(self, is_gone: Callable[[Mapping[str, Any]], bool]) -> None:
        for each in self._redis.xinfo_consumers(*self._group()):
            if not each["pending"] and is_gone(each):
                self._redis.xgroup_delconsumer(*self._group(), each["name"])

    def _claimed(self) -> list[Message]:
        """Claim what a consumer has held for too long; what came back too often kills consumers and is set aside."""
        self._let_unmoved_look_old()
        for _ in range(LOOKS):
            entries = self._claim()
            if entries or self._claim_from == b"0-0":
                break
        return self._messages(entries, self._deliveries(entries))

    def _claim(self) -> Sequence[Any]:
        """Look on from where the last look ended: those that living consumers hold hide nothing behind them."""
        least = int(self._options.claim_after * 1000)
        answer: Any = self._redis.xautoclaim(*self._group(), self._consumer, least, self._claim_from, BATCH)
        self._claim_from, entries, *gone = answer
        if gone and gone[0]:
            self._log.warning("stream_entries_trimmed", entries=len(gone[0]), detail="pending, deleted by its MAXLEN")
        return list(entries)

    def _let_unmoved_look_old(self) -> None:
        """Give those that the clock of Redis keeps new the age at which they are claimed."""
        if not self._unmoved.is_due():
            return
        pending: Any = self._redis.xpending_range(*self._group(), "-", "+", MOST)
        found: Any = self._unmoved.among(pending, self._consumer.encode())
        if found:
            idle = int(self._options.claim_after * 1000)
            self._redis.xclaim(*self._group(), self._consumer, 0, found, idle=idle, justid=True)

    def _deliveries(self, entries: Sequence[Any]) -> dict[bytes, int]:
        """Ask for each by itself: between two of them this consumer may hold any number of others."""
        if not entries:
            return {}
        with self._redis.pipeline(transaction=False) as pipeline:
            for entry_id, _ in entries:
                pipeline.xpending_range(*self._group(), entry_id, entry_id, 1)
            held: Any = pipeline.execute()
        return {each["message_id"]: each["times_delivered"] for found in held for each in found}

    def _new(self) -> list[Message]:
        stream, group = self._group()
        # Not so long that entries which wait here look left behind.
        block = max(1, min(BLOCK_MS, int(self._options.claim_after * 1000 / 3)))
        answer: Any = self._redis.xreadgroup(group, self._consumer, {stream: ">"}, count=BATCH, block=block)
        return self._messages([entry for _, entries in _pairs(answer) for entry in entries], {})

    def _messages(self, entries: Sequence[Any], deliveries: Mapping[bytes, int]) -> list[Message]:
        # An entry that was deleted while it was pending has no fields.
        found = [(entry_id, _body(fields)) for entry_id, fields in entries if fields]
        return [Message(each.decode(), body, deliveries=deliveries.get(each, 1)) for each, body in found]

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except RedisError as error:
            self._has_group = False
            raise SourceUnavailableError(trouble(error, self._address, "redis_url").text) from error


def _pairs(answer: Any) -> Any:
    return answer.items() if isinstance(answer, Mapping) else answer or ()


def _body(fields: Mapping[bytes, bytes]) -> bytes:
    """Give the event of an entry; of one that has none, everything, to be looked at."""
    if FIELD in fields:
        return fields[FIELD]
    return orjson.dumps({_text(name): _text(value) for name, value in fields.items()})


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def parse(body: bytes) -> Sequence[Record]:
    """Read one entry: the arguments of `imports.start` as JSON; `file` is required."""
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return [Unreadable(f"the field `event` is not JSON: {error}")]
    if not isinstance(event, Mapping):
        return [Unreadable("the field `event` is no JSON object")]
    return [read_event(event)]


def read_event(event: Mapping[str, Any]) -> Record:
    """Read an event in the product's own form: the arguments of `imports.start`, with `file`."""
    unknown = [name for name in unknown_names(event) if not name.startswith("file.")]
    if unknown:
        return Unreadable(f"there is no field {', '.join(unknown)}")
    if event.get("file") is None:
        return Unreadable("file is missing: an object with location, name, size, modified_ns or version")
    try:
        # Where the event names no definition, one stands in: here only its other fields are of interest.
        request = read_request("arrival", ANY_MID, {**event, "customer_key": event.get("customer_key") or "any"})
    except BadRequestError as error:
        return Unreadable("; ".join(error.problems))
    assert request.file is not None
    return Arrival(
        file=request.file,
        event_id=request.event_id,
        customer_key=event.get("customer_key"),
        mid=request.mid if event.get("mid") else None,
    )


def open_stream(options: StreamOptions, parts: Parts) -> Source:
    """Open the source; it connects on first use."""
    address, ours = _address(options, parts), parts.settings
    records = Keys(ours.prefix) if address == ours.redis and not ours.api_url else None
    if options.content is None:
        return stream_receiver(options, parts, parse, lambda: StreamMailbox(address, options, records))
    contents = open_contents(options.content, parts)
    source = ContentSource(parts.name, contents, parse)
    mailbox = ContentMailbox.opened_by(lambda: StreamMailbox(address, options, records), contents)
    return source.with_receiver(stream_receiver(options, parts, source.records, mailbox))


def _address(options: StreamOptions, parts: Parts) -> RedisAddress:
    given = parse_redis_url(options.redis_url) if options.redis_url else parts.settings.redis
    password = parts.settings.secret_of(parts.name, "password")
    return given.with_password(password.get_secret_value()) if password else given


def stream_receiver(
    options: StreamOptions, parts: Parts, read: Parse, open_mailbox: Callable[[], Mailbox], *, replays: bool = True
) -> Receiver:
    """Make what receives the entries of a stream."""
    return Receiver(
        parts.intake,
        parts.set_aside,
        read,
        open_mailbox,
        chance=random.random,
        max_deliveries=options.max_deliveries,
        keep_after=options.claim_after / 3,
        replays=replays,
        queue=options.key,
    )


KIND = Kind(StreamOptions, open_stream)
