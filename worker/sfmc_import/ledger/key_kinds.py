"""How schema.py describes a key of the ledger and its fields, and how a record is read by that."""

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
