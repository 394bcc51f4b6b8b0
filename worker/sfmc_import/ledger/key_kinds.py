"""How schema.py describes a key of the ledger and its fields, how a record is read by that, and keys of definitions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from sfmc_import.request import FileInfo
from sfmc_import.states import TERMINAL, TRANSITIONS

Kind = Literal["text", "int", "ms", "flag", "json"]
ANY = "*"
"""The name of a field that stands for any name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a hash: `name` is stored, `attribute` is what Python and `status` call it.

    `ms` is a time in milliseconds since 1970, in Python seconds. At the end of a request the fields that are not
    `kept_at_end` are removed; states there mean: kept when the request ends in one of these.
    """

    name: str
    kind: Kind = "text"
    attribute: str = ""
    kept_at_end: bool | tuple[str, ...] = True
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One kind of key: its name is `letter` and then `parts`, joined by colons.

    `ttl` names the settings that say how long it lives; without one, `meaning` says what bounds it.
    With the part `event_id` the length of the CustomerKey comes first: both may have colons.
    """

    name: str
    letter: str
    parts: tuple[str, ...] = ()
    redis_type: Literal["string", "hash", "zset", "stream"]
    fields: tuple[Field, ...] = ()
    ttl: tuple[str, ...] = ()
    meaning: str

    def read(self, record: Mapping[bytes, bytes]) -> dict[str, Any]:
        """Give the fields of a record by attribute, as Python values; times in seconds since 1970."""
        known = {one.name.encode(): one for one in self.fields}
        return {
            known[name].attribute or known[name].name: _READ[known[name].kind](value)
            for name, value in record.items()
            if name in known
        }


FILE_PARTS = {
    "location": "p",
    "size": "b",
    "modified_ns": "m",
    "version": "v",
    "content_hash": "h",
    "arrived_as": "a",
}
"""What is known of a file beside its name, and the field of the request that has it.

Redis packs a hash while none of its values has more than 64 bytes: as one JSON text the file would end that, and the
record would take four times the memory.
"""


MAY_GO_ON = tuple(end for end in TERMINAL if any(step.source == end for step in TRANSITIONS))
"""Ends after which a request may be taken up again: its file must then count as handled, or be free."""

FILE_FIELDS = (
    Field(name="name", attribute="file_name", meaning="the file that caused it: its name; follow-ups coalesce by it"),
    Field(name="p", attribute="file_location", meaning="the file: where it lies"),
    Field(name="b", kind="int", attribute="file_size", meaning="the file: its size in bytes"),
    Field(name="m", attribute="file_modified_ns", meaning="the file: its time stamp in ns, as text"),
    Field(name="v", attribute="file_version", meaning="the file: its version"),
    Field(name="h", attribute="file_content_hash", meaning="the file: a digest of its content"),
    Field(
        name="a",
        attribute="file_arrived_as",
        meaning="the file: its name at arrival, if a delivery gave it another",
    ),
    Field(
        name="fp",
        attribute="fingerprint",
        kept_at_end=MAY_GO_ON,
        meaning="the fingerprint of the file; after the end it is computed of the others",
    ),
    Field(
        name="exact",
        kind="flag",
        attribute="has_fingerprint",
        kept_at_end=MAY_GO_ON,
        meaning="the fingerprint tells versions of the file apart",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey(Key):
    """The record of a request: its file, which is kept in parts, is read as one.

    When it ended is the time of its newest event, and not kept beside that. The last status of a run that completed is
    kept only where it is another one than `Completed`.
    """

    def read(self, record: Mapping[bytes, bytes]) -> dict[str, Any]:
        """Give the fields as `Key.read`, the parts of the file as `file`, and `since` also after the end."""
        fields = Key.read(self, record)
        if fields.get("state") == "completed":
            fields.setdefault("import_status", "Completed")
        if "since" not in fields and "accepted_at" in fields and fields.get("places"):
            after, _, _ = fields["places"].split()[-1].partition(".")
            fields["since"] = (int(record[b"at"]) + int(after)) / 1000
        parts = {part: fields.pop(f"file_{part}") for part in FILE_PARTS if f"file_{part}" in fields}
        if not parts:
            return fields
        file = {"location": parts.pop("location"), "name": fields.get("file_name", ""), **parts}
        of_file = dict(file) | ({"modified_ns": int(file["modified_ns"])} if "modified_ns" in file else {})
        return fields | {"file": file | {"fingerprint": FileInfo(**of_file).fingerprint}}


_READ: Mapping[Kind, Any] = {
    "text": bytes.decode,
    "int": int,
    "ms": lambda value: int(value) / 1000,
    "flag": lambda value: value == b"1",
    "json": orjson.loads,
}


# --- What is kept of definitions beside their records.

HOME = Key(
    name="home",
    letter="home",
    parts=("mid", "object_id"),
    redis_type="string",
    ttl=("unfinished_ttl",),
    meaning="The CustomerKey that a definition had when it was seen first: all its keys have this one, also when it is "
    "changed in Marketing Cloud. The time counts from the end of a window that begins now.",
)
RENAMED = Key(
    name="renamed",
    letter="renamed",
    parts=("mid", "new_key"),
    redis_type="string",
    ttl=("unfinished_ttl",),
    meaning="The CustomerKey that a definition had first, by the one that it has now in small letters.",
)
COMPLETED = Key(
    name="completed",
    letter="completed",
    parts=("mid", "customer_key"),
    redis_type="string",
    ttl=("unfinished_ttl",),
    meaning="When the last run of a definition completed as expected, in ms; its key in small letters, for `after`.",
)
WAITERS = Key(
    name="waiters",
    letter="after",
    parts=("mid", "customer_key"),
    redis_type="zset",
    ttl=("unfinished_ttl",),
    meaning="Requests that wait for a completed run of this definition: request id → time of arrival.",
)
PLACES = Key(
    name="places",
    letter="places",
    parts=("group",),
    redis_type="zset",
    ttl=("unfinished_ttl",),
    meaning="The requests whose import runs, or may run, of a group with a limit: request id → since when, in ms. `*`"
    " is the whole account. One whose record says something else has no place and is removed when the group is full.",
)
PLACE_WAITERS = Key(
    name="place_waiters",
    letter="places_wait",
    parts=("group",),
    redis_type="zset",
    ttl=("unfinished_ttl",),
    meaning="Requests that wait until fewer imports of this group run: request id → time of arrival, forced ones"
    " first.",
)
SHARED = Key(
    name="shared",
    letter="/definitions",
    parts=("mid", "asked_key"),
    redis_type="string",
    ttl=("definition_ttl",),
    meaning="A definition as a process read it, and when it asked, in ms, as JSON; by the CustomerKey that it was asked"
    " for. Who may only submit has no right to it, so the name does not begin as the others.",
)
REFRESHED = Key(
    name="refreshed",
    letter="/refreshed",
    redis_type="hash",
    fields=(Field(name=ANY, meaning="MID, or MID:CustomerKey → when in ms"),),
    ttl=("marks_ttl",),
    meaning="When somebody asked to read definitions again: what was read before counts no more. 200 keys at most, then"
    " their business unit. The time counts from the newest.",
)
