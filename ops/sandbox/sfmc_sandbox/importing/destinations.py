"""The two places rows go to, a data extension or a list, with one interface for the run."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Protocol

import orjson

from sfmc_sandbox.importing import tables
from sfmc_sandbox.importing.columns import Binding, DataExtension, Field, Shape, Value, Values
from sfmc_sandbox.importing.definition import Action, SubscriberType
from sfmc_sandbox.importing.lists import STATUSES, ListWriter, MailingList
from sfmc_sandbox.importing.outcome import BadRowError, RefusedError, Tally
from sfmc_sandbox.importing.tables import TableWriter
from sfmc_sandbox.importing.values import Converter, Style, converter, default_of

Sink = Callable[[sqlite3.Connection, Action, Sequence[Values], Tally], None]


class Destination(Protocol):
    """Where the rows of a run go."""

    import_type: str
    identifier: str
    shape: Shape
    into_list: bool
    has_primary_key: bool

    def converter(self, field: Field, style: Style) -> Converter:
        """Return what reads a column for `field`."""

    def sink(self, bindings: Sequence[Binding], style: Style) -> Sink:
        """Return what stores rows whose values stand in the order of `bindings`."""

    def empty(self, connection: sqlite3.Connection) -> None:
        """Remove all rows."""

    def count(self, connection: sqlite3.Connection) -> int:
        """Return how many rows there are."""

    def finish(self, connection: sqlite3.Connection, tally: Tally) -> None:
        """Complete the count."""


class IntoDataExtension:
    """Rows go into the table of a data extension."""

    import_type = "Data Extensions"
    into_list = False

    def __init__(self, extension: DataExtension, run: int, *, generated: bool = False) -> None:
        self._extension = extension
        self._writer = TableWriter(extension, run)
        self.identifier = extension.key
        self.shape = Shape(extension.fields, {}, open=False)
        # A table made by this very run is empty: every way of adding is an overwrite.
        self.has_primary_key = extension.has_primary_key or generated

    def converter(self, field: Field, style: Style) -> Converter:
        """Return what reads a column for `field`."""
        return converter(field, style)

    def sink(self, bindings: Sequence[Binding], style: Style) -> Sink:
        """Return what stores rows; fields without a column take their defaults."""
        statements = self._writer.statements(*self._columns(bindings, style))

        def store(connection: sqlite3.Connection, action: Action, rows: Sequence[Values], tally: Tally) -> None:
            self._writer.write(connection, statements(action), action, rows, tally)

        return store

    def _columns(self, bindings: Sequence[Binding], style: Style) -> tuple[list[int], dict[int, Value]]:
        places = {field.name: place for place, field in enumerate(self._extension.fields)}
        bound = [places[binding.field.name] for binding in bindings]
        try:
            defaults = {places[field.name]: default_of(field, style) for field in self._extension.fields}
        except BadRowError as error:
            raise RefusedError(f"DefaultValue of {error}") from None
        return bound, {place: value for place, value in defaults.items() if value is not None and place not in bound}

    def empty(self, connection: sqlite3.Connection) -> None:
        """Remove all rows."""
        self._writer.empty(connection)

    def count(self, connection: sqlite3.Connection) -> int:
        """Return how many rows there are."""
        return tables.row_count(connection, self._extension)

    def finish(self, connection: sqlite3.Connection, tally: Tally) -> None:
        """Count keys once."""
        self._writer.finish(connection, tally)


EMAIL_FIELD = Field("Email Address", "EmailAddress", is_primary_key=True)
MOBILE_FIELD = Field("Mobile Number", "Phone", is_primary_key=True)
_KEY_FIELD = Field("Subscriber Key")
_STATUS_FIELD = Field("Status")
_ALIASES = {"subscriberkey": _KEY_FIELD.name, "status": _STATUS_FIELD.name}
_EMAIL_ALIASES = dict.fromkeys(("emailaddress", "email", "emailaddr"), EMAIL_FIELD.name)
_MOBILE_ALIASES = dict.fromkeys(("mobilenumber", "mobile", "phone", "phonenumber", "mobilephone"), MOBILE_FIELD.name)

_ADDRESSES = {SubscriberType.EMAIL: (EMAIL_FIELD, _EMAIL_ALIASES), SubscriberType.SMS: (MOBILE_FIELD, _MOBILE_ALIASES)}


class IntoList:
    """Rows become subscribers of a list; columns that are no field of a subscriber are attributes."""

    import_type = "Subscriber List"
    into_list = True
    has_primary_key = True

    def __init__(self, target: MailingList, run: int, subscribers: SubscriberType) -> None:
        address, names = _ADDRESSES[subscribers]
        aliases = _ALIASES | names
        self._writer = ListWriter(target, run)
        self.identifier = str(target.number)
        self.shape = Shape((address, _KEY_FIELD, _STATUS_FIELD), aliases, open=True)

    def converter(self, field: Field, style: Style) -> Converter:
        """Return what reads a column for `field`."""
        return _status if field == _STATUS_FIELD else converter(field, style)

    def sink(self, bindings: Sequence[Binding], style: Style) -> Sink:  # noqa: ARG002 - lists have no defaults
        """Return what stores rows as address, subscriber key, status and attributes."""
        names = [binding.field.name for binding in bindings]
        places = [names.index(field.name) if field.name in names else None for field in self.shape.fields]
        attributes = [(name, place) for place, name in enumerate(names) if place not in places]

        def arrange(row: Values) -> list[Value]:
            head = [None if place is None else row[place] for place in places]
            return [*head, orjson.dumps({name: row[place] for name, place in attributes}).decode()]

        def store(connection: sqlite3.Connection, action: Action, rows: Sequence[Values], tally: Tally) -> None:
            arranged = rows if action is Action.DELETE else [arrange(row) for row in rows]
            self._writer.write(connection, action, arranged, tally)

        return store

    def empty(self, connection: sqlite3.Connection) -> None:  # noqa: ARG002 - it is never emptied
        """Refuse: a list is never emptied by an import."""
        raise RefusedError("UpdateType Overwrite is for data extensions")

    def count(self, connection: sqlite3.Connection) -> int:
        """Return how many subscribers the list has."""
        return self._writer.count(connection)

    def finish(self, connection: sqlite3.Connection, tally: Tally) -> None:
        """Nothing is left to count: each row was counted when it was decided on."""


def _status(text: str) -> Value:
    if not text:
        return None
    wanted = text.strip().capitalize()
    if wanted not in STATUSES:
        raise BadRowError(f"Status: {text!r} is not one of {', '.join(STATUSES)}")
    return wanted
