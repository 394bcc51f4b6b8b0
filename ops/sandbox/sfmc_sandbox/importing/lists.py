"""Subscribers of lists: decides what a row does to a subscriber, and stores it in SQLite."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import orjson

from sfmc_sandbox.importing.columns import Value
from sfmc_sandbox.importing.definition import Action
from sfmc_sandbox.importing.outcome import Tally

SCHEMA = """
CREATE TABLE IF NOT EXISTS list (
  number INTEGER PRIMARY KEY AUTOINCREMENT, mid TEXT, name TEXT, is_all INTEGER
);
CREATE TABLE IF NOT EXISTS subscriber (
  mid TEXT, address TEXT COLLATE NOCASE, subscriber_key TEXT, status TEXT, attributes TEXT, run INTEGER,
  PRIMARY KEY (mid, address)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS membership (
  mid TEXT, list INTEGER, address TEXT COLLATE NOCASE, run INTEGER, PRIMARY KEY (mid, list, address)
) WITHOUT ROWID;
"""
STATUSES = ("Active", "Bounced", "Held", "Unsubscribed")
_BARRED = ("Held", "Unsubscribed")


@dataclass(frozen=True, slots=True)
class MailingList:
    """A list of a business unit; the All Subscribers list holds every subscriber."""

    number: int
    mid: str
    name: str
    is_all: bool


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One subscriber as a list shows it; `address` is the email address, or the number under SMS."""

    address: str
    subscriber_key: str
    status: str
    attributes: Mapping[str, Value]


class Verdict(Enum):
    """What is done with a row for a list, and how it counts."""

    WRITE = auto()
    WRITE_AGAIN = auto()
    REMOVE = auto()
    DUPLICATED = auto()
    RESTRICTED = auto()


def decide(action: Action, *, on_list: bool, barred: bool, touched: bool) -> Verdict:
    """Return what becomes of a row.

    `barred`: the subscriber is held or has unsubscribed, and is not changed (removing is allowed).
    `touched`: this run has written the address already; the last row of a file wins, the address counts once.
    """
    if action is Action.DELETE:
        return Verdict.REMOVE if on_list else Verdict.RESTRICTED
    if touched:
        return Verdict.WRITE_AGAIN
    if barred or (action is Action.UPDATE_BUT_DO_NOT_ADD and not on_list):
        return Verdict.RESTRICTED
    if action is Action.ADD_BUT_DO_NOT_UPDATE and on_list:
        return Verdict.DUPLICATED
    return Verdict.WRITE


def create(connection: sqlite3.Connection, mid: str, name: str, number: int | None, *, is_all: bool) -> int:
    """Make a list and return its ID; ValueError if `number` is taken."""
    try:
        made = connection.execute(
            "INSERT INTO list (number, mid, name, is_all) VALUES (?, ?, ?, ?)", (number, mid, name, is_all)
        ).lastrowid
    except sqlite3.IntegrityError:
        raise ValueError(f"a list {number} exists already") from None
    assert made is not None
    return made


def find(connection: sqlite3.Connection, mid: str, number: int) -> MailingList | None:
    """Return the list of a business unit with this ID, None if there is none."""
    query = "SELECT number, mid, name, is_all FROM list WHERE mid = ? AND number = ?"
    row = connection.execute(query, (mid, number)).fetchone()
    return row and MailingList(row[0], row[1], row[2], bool(row[3]))


def members(connection: sqlite3.Connection, target: MailingList) -> Iterator[Subscriber]:
    """Yield the subscribers of a list by address."""
    query = "SELECT s.address, s.subscriber_key, s.status, s.attributes FROM subscriber s"
    parameters: tuple[str | int, ...] = (target.mid,)
    if not target.is_all:
        query += " JOIN membership m ON m.mid = s.mid AND m.address = s.address AND m.list = ?2"
        parameters = (target.mid, target.number)
    for row in connection.execute(f"{query} WHERE s.mid = ?1 ORDER BY s.address", parameters):
        yield Subscriber(row[0], row[1], row[2], orjson.loads(row[3]))


def set_status(connection: sqlite3.Connection, mid: str, address: str, status: str) -> bool:
    """Set a subscriber's status, such as Unsubscribed; False if no subscriber has this address."""
    if status not in STATUSES:
        raise ValueError(f"status is {status!r}: it must be one of {', '.join(STATUSES)}")
    query = "UPDATE subscriber SET status = ? WHERE mid = ? AND address = ?"
    return connection.execute(query, (status, mid, address)).rowcount > 0


@dataclass(slots=True)
class _Known:
    on_list: bool
    barred: bool
    run: int


class ListWriter:
    """Applies rows `(address, subscriber key, status, attributes as JSON)` of one run to one list."""

    def __init__(self, target: MailingList, run: int) -> None:
        self._list = target
        self._run = run

    def write(
        self, connection: sqlite3.Connection, action: Action, rows: Sequence[Sequence[Value]], tally: Tally
    ) -> None:
        """Decide on each row in order, count it, and store the changes."""
        known = self._look_up(connection, rows)
        mine = _Known(on_list=True, barred=False, run=self._run)
        stranger = decide(action, on_list=False, barred=False, touched=False)
        written, removed = [], []
        for row in rows:
            address = str(row[0]).lower()
            met = known.get(address)
            verdict = stranger if met is None else self._judge(met, action)
            _count(verdict, tally)
            if verdict is Verdict.WRITE or verdict is Verdict.WRITE_AGAIN:
                known[address] = mine
                written.append(row)
            elif verdict is Verdict.REMOVE:
                del known[address]
                removed.append(address)
        self._store(connection, written)
        self._remove(connection, removed)

    def count(self, connection: sqlite3.Connection) -> int:
        """Return how many subscribers the list has."""
        whole = "SELECT count(*) FROM subscriber WHERE mid = ?1"
        part = "SELECT count(*) FROM membership WHERE mid = ?1 AND list = ?2"
        target = self._list
        if target.is_all:
            found: int = connection.execute(whole, (target.mid,)).fetchone()[0]
        else:
            found = connection.execute(part, (target.mid, target.number)).fetchone()[0]
        return found

    def _judge(self, known: _Known, action: Action) -> Verdict:
        touched = known.run == self._run
        return decide(action, on_list=known.on_list, barred=known.barred, touched=touched)

    def _look_up(self, connection: sqlite3.Connection, rows: Sequence[Sequence[Value]]) -> dict[str, _Known]:
        addresses = orjson.dumps([row[0] for row in rows]).decode()
        found = connection.execute(
            "SELECT lower(s.address), s.status, s.run, m.run FROM json_each(?1) a"
            " CROSS JOIN subscriber s ON s.mid = ?2 AND s.address = a.value"
            " LEFT JOIN membership m ON m.mid = ?2 AND m.list = ?3 AND m.address = a.value",
            (addresses, self._list.mid, self._list.number),
        )
        whole = self._list.is_all
        return {
            address: _Known(
                on_list=whole or listed is not None,
                barred=status in _BARRED,
                run=(run if whole else listed) or 0,
            )
            for address, status, run, listed in found
        }

    def _store(self, connection: sqlite3.Connection, rows: Sequence[Sequence[Value]]) -> None:
        mid, run = self._list.mid, self._run
        connection.executemany(
            "INSERT INTO subscriber VALUES (?1, ?2, coalesce(?3, ?2), coalesce(?4, 'Active'), ?5, ?6)"
            " ON CONFLICT DO UPDATE SET subscriber_key = coalesce(?3, subscriber_key),"
            " status = coalesce(?4, status), attributes = json_patch(attributes, ?5), run = ?6",
            [(mid, *row, run) for row in rows],
        )
        if not self._list.is_all:
            connection.executemany(
                "INSERT INTO membership VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET run = ?4",
                [(mid, self._list.number, row[0], run) for row in rows],
            )

    def _remove(self, connection: sqlite3.Connection, addresses: Sequence[str]) -> None:
        """Take addresses off the list; off All Subscribers means off every list."""
        query = "DELETE FROM membership WHERE mid = ? AND address = ?"
        if not self._list.is_all:
            connection.executemany(
                f"{query} AND list = ?", [(self._list.mid, address, self._list.number) for address in addresses]
            )
            return
        pairs = [(self._list.mid, address) for address in addresses]
        connection.executemany(query, pairs)
        connection.executemany("DELETE FROM subscriber WHERE mid = ? AND address = ?", pairs)


def _count(verdict: Verdict, tally: Tally) -> None:
    if verdict is Verdict.WRITE or verdict is Verdict.REMOVE:
        tally.successful += 1
    elif verdict is Verdict.RESTRICTED:
        tally.restricted += 1
    else:
        tally.duplicated += 1
