"""How schema.py describes a key of the ledger and its fields, how a record is read by that, and keys of definitions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

Kind = Literal["text", "int", "ms", "flag", "json"]
ANY = "*"
"""The name of a field that stands for any name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a hash: `name` is stored, `attribute` is what Python and `status` call it.

    `ms` is a time in milliseconds since 1970, in Python seconds. At the end of a request the fields that are not
    `kept_at_end` are removed; a state there means: kept when the request ends in this state.
    """

    name: str
    kind: Kind = "text"
    attribute: str = ""
    kept_at_end: bool | str = True
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


def folded(customer_key: str) -> str:
    """Write a CustomerKey as `folded` of lib.lua does, to which only ASCII letters have a case."""
    return "".join(each.lower() if each.isascii() else each for each in customer_key).rstrip(" ")
