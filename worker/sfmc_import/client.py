"""Client and submit(): record a request in the ledger, wake the workers, follow the events; for hosts and producers.

    from sfmc_import.client import Client

    with Client("redis://redis:6379/0", mid="510001234") as client:
        client.submit(customer_key="contacts", file="/in/contacts.csv")

Importing this module changes nothing in the program that does, and loads neither Celery nor the SOAP library.
A client may be shared by threads and used after a fork. In an asyncio program call it in a thread:
`await asyncio.to_thread(client.submit, customer_key="contacts")`.
"""

import errno
import logging
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypedDict, Unpack

from kombu import Connection
from redis.exceptions import RedisError
from uuid_utils import uuid7

from sfmc_import.connections import SEND_OPTIONS, Asked, Connections
from sfmc_import.errors import ServiceUnavailableError, UnconfirmedError
from sfmc_import.faults import Rejected
from sfmc_import.file_content import content_hash_at
from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_import.ledger.calling import is_defect
from sfmc_import.ledger.ledger_settings import Durability
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.policy import Policy
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.processes import Running
from sfmc_import.redis_address import checked_address
from sfmc_import.redis_client import connect
from sfmc_import.redis_client import transport_options as broker_options
from sfmc_import.redis_errors import trouble
from sfmc_import.request import (
    DEFAULT_PREFIX,
    BadRequestError,
    FileInfo,
    IdTakenError,
    StartRequest,
    broker_prefix,
    plain_mid,
    read_request,
    unknown_names,
)
from sfmc_import.states import Reported, Seen

if TYPE_CHECKING:
    from sfmc_import.events import Entry, Event
    from sfmc_import.settings import Settings

__all__ = ["Client", "Durability", "ServiceUnavailableError", "Submission", "SubmitResult", "file_at", "submit"]

# Stdlib logging: structlog, where a host has not configured it, would print to the host's standard output.
log = logging.getLogger("sfmc_import.client")

CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 3.0
"""How long the ledger may be silent before a step is tried once more; a request thread of a host waits for it."""

MAX_PRIORITY = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitResult:
    """What became of a request: it is in the ledger; `is_new` is False when it was there before."""

    request_id: str
    is_new: bool


class Rejection(NamedTuple):
    """A request that was recorded so as not to be started; another state where it has begun already."""

    request_id: str
    state: str


class Submission(TypedDict, total=False):
    """The arguments of one `submit`.

    `file` is the file that is to be imported, or its path as text; `event_id` is the source's own, the same one counts
    once; `mid` is the business unit. The same `request_id` is one request however often it comes; without one it is
    new. `force` needs a `reason`. `priority` is that of the message, 0 to 9: of those that wait, the lowest number is
    taken first; without one 0. `reply_to` is a Celery task of yours that each end is sent to, in `reply_queue`.
    """

    customer_key: str | None
    object_id: str | None
    mid: str | None
    file: FileInfo | str | Mapping[str, Any] | None
    event_id: str | None
    source: str | None
    force: bool
    reason: str | None
    request_id: str | None
    priority: int | None
    reply_to: str | None
    reply_queue: str | None


NotTaken = BadRequestError | ServiceUnavailableError
"""What stands in the place of a submission that was not taken, IdTakenError included."""

Accepting = bool | IdTakenError | LedgerUnavailableError
"""What the ledger says to a request: whether it is new, or why it does not take it."""


class Client:
    """Records requests and wakes the workers.

    `redis_url` is a redis://, rediss://, unix:// or sentinel:// address; `broker_url` is Celery's where that is
    another one. `mid` is the business unit of requests that name none, `prefix` the beginning of all keys
    (SFMC_PREFIX of the workers), `durability` what SFMC_DURABILITY and SFMC_WAIT_REPLICAS say where the settings are
    read. `transport_options` go to kombu, over those of `sfmc_transport`.
    Connections open on first use. Raises ValueError for an address that cannot be read.
    """

    def __init__(
        self,
        redis_url: str,
        *,
        broker_url: str | None = None,
        mid: str | None = None,
        prefix: str = DEFAULT_PREFIX,
        durability: Durability | None = None,
        transport_options: Mapping[str, object] | None = None,
    ) -> None:
        self.mid = plain_mid(mid or "")
        self._address = checked_address(redis_url)
        self._broker = checked_address(broker_url or redis_url)
        keys = {"global_keyprefix": broker_prefix(prefix)}
        self._options = {**SEND_OPTIONS, **keys, **broker_options(self._broker), **(transport_options or {})}
        self._ledger_settings = LedgerSettings(prefix=prefix, durability=durability or Durability())
        self._on_unsent: Callable[[str], None] | None = None
        self._confirms_each = True
        # By process: a child neither uses nor closes the sockets of its parent.
        self._opened: dict[int, Connections] = {}

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Open a client with the settings SFMC_*; raises SettingsError naming every problem."""
        from sfmc_import.settings import load  # noqa: PLC0415 - pydantic, which hosts with an address do not need

        return cls.from_settings(load(os.environ if environ is None else environ))

    @classmethod
    def from_settings(
        cls, settings: "Settings", *, on_unsent: Callable[[str], None] | None = None, confirms_each: bool = True
    ) -> Self:
        """Open a client with settings that were read already.

        That the message of a recorded request was not sent is said to `on_unsent`, or in the log. Who sets
        `confirms_each` to False calls `confirm` for many requests at once, before it lets go of what they came from.
        """
        from sfmc_import.ledger.opening import ledger_settings  # noqa: PLC0415 - as above

        client = cls(
            settings.redis.client_url,
            broker_url=settings.broker.client_url,
            mid=settings.account_id,
            prefix=settings.prefix,
        )
        client._ledger_settings, client._on_unsent = ledger_settings(settings), on_unsent
        client._confirms_each = confirms_each
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def prepare(self) -> None:
        """Read the scripts of the ledger now, so that the first submit is 25 ms quicker; nothing connects."""
        self._connections()

    def close(self) -> None:
        """Close the connections of this process; the next use opens new ones."""
        opened = self._opened.pop(os.getpid(), None)
        if opened is not None:
            opened.close()

    def submit(self, **given: Unpack[Submission]) -> SubmitResult:
        """Ask for one start of an ImportDefinition, by key or ObjectID; returns once the ledger has the request.

        The arguments are those of `Submission`. Raises BadRequestError for what can never be carried out,
        IdTakenError (one of these) when `request_id` was accepted with other content, and ServiceUnavailableError when
        the ledger does not take it, or disk or replicas do not confirm it where SFMC_DURABILITY asks for that: then the
        caller keeps the file and submits again, best with the same `request_id`.
        A broker that does not take the message costs seconds: the sweep wakes what is recorded.
        """
        return self._record(self._read(given))

    def record(self, request: StartRequest, *, seen: Seen | None = None) -> SubmitResult:
        """Submit a request that was made already, as an operator's replay is; raises what `submit` raises.

        Also GoneOnError, where the request that it replays is not as it was `seen`.
        """
        return self._record(Asked(request, 0), seen)

    def _record(self, asked: Asked, seen: Seen | None = None) -> SubmitResult:
        connections = self._connections()
        with self._redis_errors():
            is_new = connections.ledger.accept(asked.request, report=True, seen=seen)
        if is_new:
            connections.send([asked])
        with _naming(asked.request.request_id):
            self._confirm_each([asked.request.request_id])
        return SubmitResult(request_id=asked.request.request_id, is_new=is_new)

    def reject(
        self,
        *,
        customer_key: str,
        request_id: str,
        code: str,
        text: str,
        mid: str | None = None,
        file: FileInfo | None = None,
        event_id: str | None = None,
        source: str | None = None,
    ) -> Rejection:
        """Record a request that must not be started, and end it as `rejected` with this code and text.

        The same call again changes nothing. Raises what `submit` raises.
        """
        given: Submission = {"customer_key": customer_key, "mid": mid, "file": file, "request_id": request_id}
        request = self._read(given | {"event_id": event_id, "source": source}).request
        with self._redis_errors():
            state = self._connections().ledger.unresolved(request, Rejected(code, text), 0.0, Policy())
        with _naming(request_id):
            self._confirm_each([request_id])
        return Rejection(request_id, state)

    def state_of(self, submission: Submission) -> str | None:
        """Give the state of a request, None where the ledger does not have it: then `submit` would make a new one.

        Raises what `submit` raises: IdTakenError where its `request_id` was accepted with other content.
        """
        request, connections = self._read(submission).request, self._connections()
        with self._redis_errors():
            found = LedgerReader(connections.redis, connections.ledger.keys).asked(request.request_id)
        if found is not None and found[1] and found[1] != request.content:
            raise IdTakenError(request.request_id)
        return None if found is None else found[0]

    def own_id(self, usual: str) -> str:
        """Give an id in place of a `usual` one that another request has taken.

        It cannot be foreseen, and is the same each time. Raises ServiceUnavailableError.
        """
        from sfmc_import.ledger.own_ids import own_id  # noqa: PLC0415 - for an id that somebody has taken

        connections = self._connections()
        with self._redis_errors():
            return own_id(connections.redis, connections.ledger.keys, usual)

    def submit_many(self, submissions: Iterable[Submission]) -> list[SubmitResult | NotTaken]:
        """Ask for many starts in few round trips; each submission has the arguments of one `submit`, as a mapping.

        Gives for each, in this order, what `submit` would give or raise: BadRequestError, IdTakenError or
        ServiceUnavailableError in the place of one costs no other. All are recorded before a message is sent. Give
        each its `request_id` when what is not taken is submitted again: after a connection broke some may be recorded.
        """
        read = [self._read_or_refuse(each) for each in submissions]
        asked = [each for each in read if isinstance(each, Asked)]
        connections = self._connections()
        answers = connections.ledger.accept_many([each.request for each in asked], report=True)
        connections.send([each for each, answer in zip(asked, answers, strict=True) if answer is True])
        in_order = iter(self._confirmed(asked, answers))
        return [self._outcome(each.request, next(in_order)) if isinstance(each, Asked) else each for each in read]

    def confirm(self, recorded: Sequence[str | Reported]) -> None:
        """Return once disk or replicas have these requests, by their ids, and all before them, as SFMC_DURABILITY asks.

        Raises ServiceUnavailableError where they do not confirm it now: submit again what is not confirmed, with the
        same `request_id`. `submit` and the others do this themselves, unless `confirms_each` is False.
        """
        with self._redis_errors():
            self._connections().ledger.confirm(recorded)

    def _confirm_each(self, recorded: Sequence[str | Reported]) -> None:
        if self._confirms_each:
            self.confirm(recorded)

    def _confirmed(self, asked: Sequence[Asked], answers: Sequence[Accepting]) -> Sequence[Accepting]:
        """Have those confirmed together that the ledger has; if they are not, that is the answer to each of them."""
        ids = [each.request.request_id for each, answer in zip(asked, answers, strict=True) if isinstance(answer, bool)]
        try:
            if ids and self._confirms_each:
                self._connections().ledger.confirm(ids)
        except LedgerUnavailableError as error:
            return [error if isinstance(answer, bool) else answer for answer in answers]
        return answers

    def _outcome(self, request: StartRequest, answer: Accepting) -> SubmitResult | NotTaken:
        if isinstance(answer, LedgerUnavailableError):
            return self._unavailable(answer.__cause__ or answer)
        if isinstance(answer, IdTakenError):
            return answer
        return SubmitResult(request_id=request.request_id, is_new=answer)

    def _read_or_refuse(self, given: Submission) -> Asked | BadRequestError:
        try:
            return self._read(given)
        except BadRequestError as error:
            return error

    def _read(self, given: Submission) -> Asked:
        message: dict[str, Any] = {"force": False}
        message |= {name: value for name, value in given.items() if value is not None or name == "force"}
        request_id, priority = message.pop("request_id", None), message.pop("priority", None)
        _check_priority(priority)
        if unknown := unknown_names(message):
            raise BadRequestError([_unknown(name) for name in unknown])
        request = read_request(str(uuid7()) if request_id is None else request_id, self.mid, message)
        return Asked(request, priority or 0)

    def running(self) -> Running:
        """Count the workers and beats that live: without a worker nothing is started, without a beat nothing followed.

        Raises ServiceUnavailableError when the ledger does not say it.
        """
        connections = self._connections()
        with self._redis_errors():
            return LedgerReader(connections.redis, connections.ledger.keys).running()

    def now(self) -> float:
        """Give the time of Redis, in seconds since 1970; raises ServiceUnavailableError."""
        connections = self._connections()
        with self._redis_errors():
            return LedgerReader(connections.redis, connections.ledger.keys).now()

    def note_clock(self, process: str, ahead: float | None) -> None:
        """Say by how many seconds the clock of a process is ahead of that of Redis; None where the two agree."""
        from sfmc_import.ledger.clock_notes import ClockNotes  # noqa: PLC0415 - not for a host that only submits

        connections = self._connections()
        with self._redis_errors():
            ClockNotes(connections.redis, connections.ledger.keys).note(process, ahead)

    def report(self, name: str, *, file: FileInfo, detail: Mapping[str, Any]) -> bool:
        """Publish once that a file became no request: `unrouted` or `ambiguous_route`; False when that is known."""
        fields = {"location": file.location, "name": file.name, "fingerprint": file.fingerprint}
        data = {"mid": self.mid, "file": fields, **detail}
        with self._redis_errors():
            is_new = self._connections().ledger.report(file.fingerprint, name, self.mid, file.name, data)
        self._confirm_each([Reported(file.fingerprint, name)])
        return is_new

    def note_folders(self, watcher: str, folders: Sequence[Mapping[str, Any]] | None) -> None:
        """Say what a watcher knows of its folders, for `sfmc-import status`; None when it ends."""
        with self._redis_errors():
            self._connections().ledger.note_folders(watcher, folders)

    def follow(
        self, request_id: str, *, within: float | None = None, on_outage: Callable[[str], None] | None = None
    ) -> "Iterator[Event]":
        """Yield the events of a request from its first on, until its last, or for `within` seconds.

        After a duplicate that may be taken up it waits until the other request has started. Ends without the last one
        where the stream has lost it: `show` knows how it ended.
        While Redis is unavailable it waits, and says so once to `on_outage`, or in the log; raises
        ServiceUnavailableError when that is so at the beginning, and when Redis refuses to be read.
        """
        from sfmc_import.events import EventStream, just_before  # noqa: PLC0415 - not for a host that only submits
        from sfmc_import.followed_life import FollowedLife  # noqa: PLC0415 - the same

        connections = self._connections()
        with self._redis_errors():
            reader = LedgerReader(connections.redis, connections.ledger.keys)
            record, places = reader.request(request_id), reader.places(request_id)
        if record is None:
            return
        deadline = None if within is None else time.monotonic() + within
        stream = EventStream(connections.redis, reader.keys.stream)
        with self._redis_errors():
            past = stream.at(places)
        since = past[-1][0] if past else just_before(record["accepted_at"])
        life = FollowedLife(request_id, since, reader, stream)
        live = stream.live(since, on_outage or self._log_outage, lambda: _is_past(deadline) or life.is_gone())
        entries = chain(past, live)
        while not life.is_over and (entry := self._next(entries)) is not None:
            if life.add(*entry):
                yield entry[1]

    def _next(self, entries: "Iterator[Entry]") -> "Entry | None":
        with self._redis_errors():
            return next(entries, None)

    def _connections(self) -> Connections:
        """Give what is open in this process."""
        process = os.getpid()
        # setdefault is atomic: threads that come first together share one; nothing is connected before it is used.
        return self._opened.get(process) or self._opened.setdefault(process, self._open())

    def _open(self) -> Connections:
        redis = connect(self._address, retries=1, connect_seconds=CONNECT_SECONDS, answer_seconds=ANSWER_SECONDS)
        broker = Connection(self._broker.celery_url, ssl=self._broker.celery_tls, transport_options=self._options)
        return Connections(redis, RedisLedger(redis, self._ledger_settings), broker, self._on_unsent)

    @contextmanager
    def _redis_errors(self) -> Iterator[None]:
        try:
            yield
        except LedgerUnavailableError as error:
            raise self._unavailable(error.__cause__ or error) from error
        except RedisError as error:
            if is_defect(error):
                raise
            raise self._unavailable(error) from error

    def _unavailable(self, error: BaseException) -> ServiceUnavailableError:
        return trouble(error, self._address, "SFMC_REDIS_URL").as_error()

    def _log_outage(self, reason: str) -> None:
        shown = self._address.shown
        facts = {"event": "redis_unreachable", "redis": shown, "error": reason, "action": "waiting"}
        log.warning("Redis at %s does not answer (%s); the client waits for it", shown, reason, extra=facts)


@contextmanager
def _naming(request_id: str) -> Iterator[None]:
    """Name the request that is recorded and not confirmed: who submits it again can give its id."""
    try:
        yield
    except ServiceUnavailableError as error:
        named = type(error)(f"{error}; see request {request_id}", error.advice)
        if isinstance(named, UnconfirmedError):
            named.request_id = request_id
        raise named from error


def _check_priority(priority: object) -> None:
    is_whole = isinstance(priority, int) and not isinstance(priority, bool)
    if priority is not None and not (is_whole and 0 <= priority <= MAX_PRIORITY):  # type: ignore[operator]
        raise BadRequestError([f"priority must be a whole number from 0 to {MAX_PRIORITY}, 0 is taken first"])


def _unknown(name: str) -> str:
    inside = name.removeprefix("file.")
    return f"a request has no field {name}" if inside == name else f"a file has no field {inside}"


def _is_past(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def submit(**given: Unpack[Submission]) -> SubmitResult:
    """Submit one request with the settings of the environment (SFMC_*); see `Client.submit`.

    It opens a client for this one call: a program that submits often keeps a `Client`.
    """
    with Client.from_env() as client:
        return client.submit(**given)


def file_at(path: Path, location: str | None = None) -> FileInfo:
    """Describe the file at `path` as the folder watcher would; `location` stands for its folder.

    Raises OSError when there is no such file, or when it is a folder, a pipe or a device. A file that may not be read
    is described without its content.
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links and change the identity
    status = absolute.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    return FileInfo(
        location=absolute.parent.as_posix() if location is None else location,
        name=absolute.name,
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
        content_hash=content_hash_at(absolute, status.st_size),
    )
