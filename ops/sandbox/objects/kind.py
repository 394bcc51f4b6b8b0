"""What every kind of object offers to the operations; implements none of them."""

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ops.sandbox.objects.refusal import RefusalError
from ops.sandbox.security import Caller
from ops.sandbox.store import Store, StoredObject
from ops.sandbox.wire.decode import text_of

Values = Mapping[str, Any]

_GUID = re.compile(r"\{?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?")
_NO_GUID = "Guid should contain 32 digits with 4 dashes (xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx)."


@dataclass(frozen=True)
class Created:
    """The identities of a new object: a number (0 where the kind has none) and a guid."""

    number: int
    object_id: str


class Readable(Protocol):
    """A kind that Retrieve knows."""

    @property
    def retrievable(self) -> tuple[str, ...]:
        """Names of the properties that may be asked for, nested ones with a point."""

    def rows(self, mid: int, key: str, values: Values | None) -> Iterable[Values]:
        """Every row in a business unit as nested values by wire name, in a stable order.

        `key` is what stood in brackets behind the object type; `values` is the filter, so that a kind may
        look up instead of scanning (the filter is applied again afterwards).
        """


class Writable(Protocol):
    """A kind that Create, Update and Delete know. Each method raises RefusalError or SoapFaultError."""

    def create(self, caller: Caller, values: Values) -> Created:
        """Store a new object."""

    def update(self, caller: Caller, values: Values) -> str:
        """Change the properties given, leave the others; returns the ObjectID."""

    def delete(self, caller: Caller, values: Values) -> str:
        """Remove the object; returns its ObjectID."""


def new_object_id() -> str:
    """A guid as Marketing Cloud writes it."""
    return str(uuid.uuid4())


def checked_guid(text: str) -> str:
    """A guid in lower case without braces. Raises RefusalError with .NET's sentence, which carries no number."""
    if not _GUID.fullmatch(text):
        raise RefusalError(None, _NO_GUID)
    return text.strip("{}").lower()


def by_key_or_object_id(store: Store, kind: str, mid: int, values: Values) -> StoredObject | None:
    """The object that ObjectID, or else CustomerKey, names. Raises RefusalError for an ObjectID that is no guid."""
    object_id, key = text_of(values, "ObjectID"), text_of(values, "CustomerKey")
    if object_id:
        return store.by_object_id(kind, mid, checked_guid(object_id))
    return store.by_key(kind, mid, key) if key else None


def merged(old: Values, new: Values) -> dict[str, Any]:
    """A partial update: what `new` names replaces, nil removes, everything else stays."""
    values = {**old, **new}
    return {name: value for name, value in values.items() if value is not None}
