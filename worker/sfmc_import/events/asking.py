"""What readers ask the stream, and what its answers mean: the same for programs with threads and with asyncio.

Each question is a generator: it yields commands of Redis and is sent their answers. So none of it waits by itself.
"""

import os
import re
import socket
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import uuid4

import orjson
from redis.exceptions import ResponseError

from sfmc_import.events.stream import just_before
from sfmc_import.events.typed import Gap, ImportEvent, Read, typed
from sfmc_import.events.unmoved import MOST, Unmoved
from sfmc_import.request import DEFAULT_PREFIX

T = TypeVar("T")
Command = tuple[Any, ...]
Asking = Generator[Command, Any, T]
"""Yields commands, is sent their answers, and returns what they mean."""

BATCH = 500
LOOKS = 10
"""So often one call looks at the next pending entries (ten times `count` each) when none before may be claimed."""
BLOCK_MS = 2000
FORGOTTEN_MS = 3600 * 1000
"""A consumer that holds nothing and was silent for so long is removed from its group."""

ASIDE_MAXLEN = 1000
ASIDE_MS = 30 * 86_400_000
MAX_REASON = 1024
_POSITION = re.compile(r"\d{1,20}(-\d{1,20})?")
_GROUP = re.compile(r"[A-Za-z0-9._:@-]{1,128}")

PARSED: Mapping[str, Mapping[str, bool]] = {"XPENDING": {"parse_detail": True}, "XCLAIM": {"parse_justid": True}}
"""How redis-py is asked to read the answers of some commands."""

NOW, FIRST = "$", "0"


def stream_of(prefix: str = DEFAULT_PREFIX) -> str:
    """Give the name of the stream of events."""
    return f"{prefix}events"


def aside_of(stream: str, group: str) -> str:
    """Give the name of the stream of what a group has set aside."""
    return f"{{{stream}}}:aside:{group}"


def order(position: str) -> tuple[int, int]:
    """Give what positions are compared by."""
    milliseconds, _, number = position.partition("-")
    return int(milliseconds), int(number or 0)


def _one(answer: Any) -> Sequence[Any]:
    """Give the entries of the one stream that was read; RESP3 answers with a mapping, RESP2 with pairs."""
    if not answer:
        return ()
    found: Any = next(iter(answer.values())) if isinstance(answer, Mapping) else answer[0][1]
    # redis-py wraps the entries of one stream in a list with RESP3.
    return found[0] if isinstance(answer, Mapping) and found and isinstance(found[0], list) else found


def _first(stream: str) -> Asking[str | None]:
    entries = yield ("XRANGE", stream, "-", "+", "COUNT", 1)
    return entries[0][0].decode() if entries else None


def _was_trimmed(stream: str) -> Asking[bool | None]:
    """Tell whether the stream has lost entries; None where the server (before 7.0) does not count."""
    try:
        info = yield ("XINFO STREAM", stream)
    except ResponseError:
        return None
    added, length = info.get("entries-added"), info.get("length")
    return None if added is None or length is None else added > length


@dataclass(slots=True)
class Position:
    """Where one reader stands in the stream."""

    stream: str
    start: str | datetime = NOW
    position: str | None = None
    _is_time: bool = False
    _from_first: bool = False
    _is_reached: bool = False
    """Whether the stream went up to the position: one that a program gives may be ahead of it."""

    def __post_init__(self) -> None:
        """Read where to begin; raises ValueError."""
        start = self.start
        if isinstance(start, datetime):
            self.position, self._is_time = just_before(max(start.timestamp(), 0.001)), True
        elif start == FIRST:
            self.position, self._from_first = "0-0", True
        elif _POSITION.fullmatch(start):
            self.position = start if "-" in start else f"{start}-0"
        elif start != NOW:
            raise ValueError("start must be $ (from now on), 0 (from the first on), an id of the stream, or a time")

    def find(self) -> Asking[None]:
        """Find out where now is, if that is where to begin, or if the stream ends before what was read."""
        newest = yield ("XREVRANGE", self.stream, "+", "-", "COUNT", 1)
        tail = newest[0][0].decode() if newest else None
        if self.position is None:
            self.position, self._is_reached = tail or "0-0", True
        elif tail is not None and order(tail) < order(self.position):
            # The server lost its newest writes, or is another one: what comes now has smaller ids than what was read.
            self.position = tail

    def next(self, block: int | None) -> Asking[list[Read]]:
        """Give what stands after the position, oldest first, after a Gap if something is missing before it."""
        if self.position is None:
            yield from self.find()
        assert self.position is not None
        gap = yield from self._gap()
        begin = self.position if gap is None else _before(gap.before)
        entries = yield ("XRANGE", self.stream, f"({begin}", "+", "COUNT", BATCH)
        if not entries and block:
            answer = yield ("XREAD", "COUNT", BATCH, "BLOCK", block, "STREAMS", self.stream, begin)
            entries = _one(answer)
        # Not before: a question that was cut is asked again, and must find the same gap.
        self.position = entries[-1][0].decode() if entries else begin
        self._is_time = self._is_time and not entries
        self._from_first = self._from_first and not entries
        self._is_reached = self._is_reached or bool(entries)
        # Not after a gap: a cut now would lose it.
        if not entries and gap is None and self._is_reached:
            yield from self.find()
        return [*([gap] if gap else []), *typed(entries)]

    def _gap(self) -> Asking[Gap | None]:
        """Notice that entries after the position were trimmed: the first one that is left stands after it."""
        assert self.position is not None
        if self._from_first:
            return None
        first = yield from _first(self.stream)
        if first is None or order(first) <= order(self.position) or self.position == "0-0":
            return None
        trimmed = yield from _was_trimmed(self.stream)
        if trimmed is False or (trimmed is None and self._is_time):
            return None
        return Gap(after=self.position, before=first)


def _before(position: str) -> str:
    """Give the greatest id before another one, so that the same gap is given once."""
    milliseconds, number = order(position)
    return f"{milliseconds}-{number - 1}" if number else f"{milliseconds - 1}-{2**64 - 1}"


@dataclass(slots=True)
class Membership:
    """One consumer of a group of the stream: what it reads is its own until it acknowledges it, or falls silent."""

    stream: str
    group: str
    start: str = NOW
    claim_after: float = 60.0
    max_deliveries: int = 10
    consumer: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}")
    clock: Callable[[], float] = time.monotonic
    _has_group: bool = False
    _last: str | None = None
    _claim_from: bytes = b"0-0"
    _unmoved: Unmoved = field(init=False)

    def __post_init__(self) -> None:
        """Check what was given; raises ValueError."""
        self._unmoved = Unmoved(self.claim_after, self.clock)
        if not _GROUP.fullmatch(self.group):
            raise ValueError("group must be 1 to 128 letters, digits or . _ : @ -")
        if self.start not in {NOW, FIRST} and not _POSITION.fullmatch(self.start):
            raise ValueError("start must be $ (from now on), 0 (from the first on), or an id of the stream")

    @property
    def aside(self) -> str:
        """The stream of what this group has set aside."""
        return aside_of(self.stream, self.group)

    def join(self) -> Asking[None]:
        """Create the group unless it is there, and remove its consumers that are gone."""
        begin = self._last or self.start
        try:
            yield ("XGROUP CREATE", self.stream, self.group, begin, "MKSTREAM")
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        self._has_group = True
        for each in (yield ("XINFO CONSUMERS", self.stream, self.group)):
            if not each["pending"] and each["idle"] > FORGOTTEN_MS:
                yield ("XGROUP DELCONSUMER", self.stream, self.group, each["name"])

    def leave(self) -> Asking[None]:
        """Leave the group unless entries are pending."""
        for each in (yield ("XINFO CONSUMERS", self.stream, self.group)):
            if each["name"] == self.consumer.encode() and not each["pending"]:
                yield ("XGROUP DELCONSUMER", self.stream, self.group, self.consumer)

    def receive(self, count: int, block: int | None) -> Asking[list[Read]]:
        """Claim what a consumer left that is gone, else read what is new, else wait for it."""
        try:
            if not self._has_group:
                yield from self.join()
            return (yield from self._claimed(count)) or (yield from self._new(count, block))
        except ResponseError as error:
            # A server that was emptied, or took over without the last writes, has no group.
            if "NOGROUP" in str(error):
                self._has_group = False
                return []
            raise

    def acknowledge(self, positions: Sequence[str]) -> Asking[None]:
        """Take entries out of the pending list of the group; the stream keeps them."""
        if positions:
            yield ("XACK", self.stream, self.group, *positions)

    def keep(self, positions: Sequence[str]) -> Asking[None]:
        """Say that these are being handled still; this counts as no delivery."""
        if positions:
            yield ("XCLAIM", self.stream, self.group, self.consumer, 0, *positions, "JUSTID")

    def set_aside(self, position: str, body: Mapping[str, Any], reason: str) -> Asking[None]:
        """Keep an event apart for a person, and acknowledge it. Repeated after a cut it may stand there twice."""
        fields = ("event", orjson.dumps(dict(body)), "reason", reason[:MAX_REASON].encode("utf-8", "replace"))
        yield ("XADD", self.aside, "MAXLEN", "~", ASIDE_MAXLEN, "*", *fields)
        yield ("PEXPIRE", self.aside, ASIDE_MS)
        yield from self.acknowledge([position])

    def _claimed(self, count: int) -> Asking[list[Read]]:
        trimmed, found = yield from self._claim(count)
        deliveries = yield from self._deliveries(found)
        events = yield from self._own(found, deliveries)
        sound: list[Read] = []
        for event in events:
            if event.deliveries > self.max_deliveries:
                yield from self.set_aside(event.position, event.cloud_event, f"delivered {event.deliveries} times")
            else:
                sound.append(event)
        return [*(yield from self._lost(trimmed)), *sound]

    def _claim(self, count: int) -> Asking[tuple[list[bytes], list[Any]]]:
        """Give the ids that were trimmed while they were pending, and entries that are ours now.

        Each look goes on where the last one ended: what living consumers hold hides nothing behind it.
        """
        yield from self._let_unmoved_look_old()
        least, trimmed, found = int(self.claim_after * 1000), list[bytes](), list[Any]()
        for _ in range(LOOKS):
            since = self._claim_from
            command = ("XAUTOCLAIM", self.stream, self.group, self.consumer, least, since, "COUNT", count)
            self._claim_from, entries, *gone = yield command
            # Before Redis 7 an entry that was trimmed while it was pending has no fields.
            trimmed = [*(gone[0] if gone else ()), *(entry[0] for entry in entries if not entry[1])]
            found = [entry for entry in entries if entry[1]]
            if trimmed or found or self._claim_from == b"0-0":
                break
        return trimmed, found

    def _let_unmoved_look_old(self) -> Asking[None]:
        """Give those that the clock of Redis keeps new the age at which they are claimed."""
        if not self._unmoved.is_due():
            return
        pending = yield ("XPENDING", self.stream, self.group, "-", "+", MOST)
        if found := self._unmoved.among(pending, self.consumer.encode()):
            old = ("IDLE", int(self.claim_after * 1000), "JUSTID")
            yield ("XCLAIM", self.stream, self.group, self.consumer, 0, *found, *old)

    def _lost(self, trimmed: Sequence[bytes]) -> Asking[list[Gap]]:
        if not trimmed:
            return []
        positions = sorted((each.decode() for each in trimmed), key=order)
        yield from self.acknowledge(positions)
        return [Gap(after=_before(positions[0]), before=positions[-1], count=len(positions))]

    def _own(self, entries: Sequence[Any], deliveries: Mapping[bytes, int]) -> Asking[list[ImportEvent]]:
        """Read entries; what is no event of ours is acknowledged, or it would come for ever."""
        events = list(typed(entries, deliveries))
        read = {each.position for each in events}
        yield from self.acknowledge([name.decode() for name, _ in entries if name.decode() not in read])
        return events

    def _deliveries(self, entries: Sequence[Any]) -> Asking[dict[bytes, int]]:
        """Ask for all at once, and by itself for each that stands behind too many others of this consumer."""
        if not entries:
            return {}
        first, last = entries[0][0], entries[-1][0]
        held = yield ("XPENDING", self.stream, self.group, first, last, len(entries) + BATCH, self.consumer)
        found = {each["message_id"]: each["times_delivered"] for each in held}
        for name in [name for name, _ in entries if name not in found]:
            held = yield ("XPENDING", self.stream, self.group, name, name, 1)
            found |= {each["message_id"]: each["times_delivered"] for each in held}
        return found

    def _new(self, count: int, block: int | None) -> Asking[list[Read]]:
        gap = yield from self._gap()
        wait = ("BLOCK", block) if block and not gap else ()
        command = ("XREADGROUP", "GROUP", self.group, self.consumer, "COUNT", count, *wait, "STREAMS", self.stream, ">")
        entries = _one((yield command))
        if entries:
            self._last = entries[-1][0].decode()
        return [*([gap] if gap else []), *(yield from self._own(entries, {}))]

    def _gap(self) -> Asking[Gap | None]:
        first = yield from _first(self.stream)
        if first is None or (self._last and order(first) <= order(self._last)):
            return None
        groups = yield ("XINFO GROUPS", self.stream)
        delivered = next((_text(each["last-delivered-id"]) for each in groups if _text(each["name"]) == self.group), "")
        if not delivered or delivered == "0-0" or order(first) <= order(delivered):
            return None
        trimmed = yield from _was_trimmed(self.stream)
        return None if trimmed is False else Gap(after=delivered, before=first)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
