"""Gives the names of the keys of the ledger, under its prefix."""

from dataclasses import dataclass

from sfmc_import.ledger.key_kinds import Key
from sfmc_import.ledger.loss_keys import MARK
from sfmc_import.ledger.schema import (
    ACCOUNT,
    DEFINITION,
    DELIVERY,
    DUE,
    FOLLOW_UPS,
    FOLLOWS,
    INBOX,
    KEYS,
    LOCK_OUT,
    PROCESSES,
    REPORT,
    REQUEST,
    RESULTS,
    STREAM,
    SUSPECT,
    TASK,
)
from sfmc_import.ledger.watching_keys import FOLDERS, LAST_SEEN, WAITS, WATCHERS, place_of_waits
from sfmc_import.request import DEFAULT_PREFIX
from sfmc_import.states import Reported


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names under `prefix`.

    The stream keeps its plain documented name; its whole name is the hash tag of all other keys,
    which puts them into the slot of the stream.
    """

    prefix: str = DEFAULT_PREFIX

    @property
    def stream(self) -> str:
        """The stream of events."""
        return f"{self.prefix}events"

    @property
    def tag(self) -> str:
        """What every other key begins with."""
        return f"{{{self.stream}}}:"

    @property
    def due(self) -> str:
        """The sorted set of next times, in milliseconds of Redis time."""
        return self.name_of(DUE)

    @property
    def follows(self) -> str:
        """Those of `due` that have a run to be polled."""
        return self.name_of(FOLLOWS)

    def request(self, request_id: str) -> str:
        """The record of a request."""
        return self.name_of(REQUEST, request_id)

    def record(self, recorded: str | Reported) -> str:
        """What says that a request was recorded, or an event published."""
        return self.name_of(REPORT, *recorded) if isinstance(recorded, Reported) else self.request(recorded)

    def definition(self, mid: str, customer_key: str) -> str:
        """Holder, fencing token, lease and window of a definition."""
        return self.name_of(DEFINITION, mid, customer_key)

    def follow_ups(self, mid: str, customer_key: str) -> str:
        """The follow-ups of a definition in order of arrival."""
        return self.name_of(FOLLOW_UPS, mid, customer_key)

    @property
    def processes(self) -> str:
        """Workers and beats by their last heartbeat, in milliseconds of Redis time."""
        return self.name_of(PROCESSES)

    @property
    def account(self) -> str:
        """The account that the ledger belongs to."""
        return self.name_of(ACCOUNT)

    @property
    def suspect(self) -> str:
        """The only suspect that has a lease."""
        return self.name_of(SUSPECT)

    @property
    def watchers(self) -> str:
        """What each folder watcher says of its folders."""
        return self.name_of(WATCHERS)

    @property
    def folders(self) -> str:
        """Which folders were read by whom, and when last."""
        return self.name_of(FOLDERS)

    @property
    def last_seen(self) -> str:
        """When a worker, and a beat, was there last."""
        return self.name_of(LAST_SEEN)

    @property
    def mark(self) -> str:
        """What is written before disk or replicas are asked what they have."""
        return self.name_of(MARK)

    @property
    def results(self) -> str:
        """The results that senders wait for."""
        return self.name_of(RESULTS)

    def delivery(self, place: str) -> str:
        """What is delivered under a name of a target."""
        return self.name_of(DELIVERY, place)

    def waits(self, location: str) -> str:
        """Since when files of a folder wait."""
        return self.name_of(WAITS, place_of_waits(location))

    def lock_out(self, target: str) -> str:
        """When a target refused a login."""
        return self.name_of(LOCK_OUT, target)

    def inbox(self, source: str) -> str:
        """What was posted to a source and is not handled yet."""
        return self.name_of(INBOX, source)

    def task(self, mid: str, task_id: str) -> str:
        """Which request a TaskResultID is assigned to."""
        return self.name_of(TASK, mid, task_id)

    def name_of(self, key: Key, *parts: str) -> str:
        """Give the name of one key of this kind."""
        # A name with a slash is in the same slot, and no name that the pattern of the ledger permits.
        begin = self.tag.rstrip(":") if key.letter.startswith("/") else self.tag
        return begin + ":".join((key.letter, *parts))

    def describe(self, name: str) -> Key | None:
        """Find the description of a key by its name; None when the ledger has no such key."""
        if name == self.stream:
            return STREAM
        slot = self.tag.rstrip(":")
        if name.startswith(f"{slot}/"):
            rest = name.removeprefix(slot)
        elif name.startswith(self.tag) and not name.startswith(f"{self.tag}/"):
            rest = name.removeprefix(self.tag)
        else:
            return None
        letter, colon, _ = rest.partition(":")
        return next((key for key in KEYS if key.letter == letter and bool(key.parts) == bool(colon)), None)
