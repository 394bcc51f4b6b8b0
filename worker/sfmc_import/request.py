"""What crosses a process boundary on its way in: queue and task names, files, start requests and their messages."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeGuard
from unicodedata import combining, normalize
from uuid import NAMESPACE_OID, uuid5

from sfmc_import.display import in_calendar, is_blank
from sfmc_import.errors import USAGE, SfmcImportError
from sfmc_import.reply_to import read_reply
from sfmc_import.small_letters import in_small_letters

QUEUE = "imports"
UPKEEP_QUEUE = "imports.upkeep"
"""Sweeps and polls, which must not wait behind thousands of starts. Workers take from both queues in turn."""
UNACKED = "imports.unacked"
UNACKED_INDEX = "imports.unacked_index"
"""What workers hold, apart from what other Celery apps on this Redis hold: each returns only its own messages."""
DEFAULT_PREFIX = "sfmc-import:"
START = "imports.start"
WAKE = "imports.wake"
FOLLOW = "imports.follow"
SWEEP = "imports.sweep"

# Marketing Cloud refuses longer external keys for imports (field-tested by sfmc-devtools).
MAX_KEY_LENGTH = 36
MAX_TEXT_LENGTH = 1024
MAX_MID_LENGTH = 20
MAX_COUNT = 2**63 - 1
MAX_TIME_NS = 2**63 * 10**9
"""Nanoseconds before or after 1970: as far as a file system of 64 bits can date a file."""
_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._:@/+=-]{1,128}")
_GUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def broker_prefix(prefix: str) -> str:
    """Give what Celery's keys begin with, the queue's included; under the usual prefix any Celery client reaches it."""
    return "" if prefix == DEFAULT_PREFIX else prefix


def request_id_of(task_id: object) -> str:
    """Give the request id of a Celery task: its own id, or a digest of one that cannot name a key and an event."""
    identity = str(task_id)
    if _ID.fullmatch(identity):
        return identity
    # Half a character of UTF-16 is text for JSON, and none for a digest.
    return str(uuid5(NAMESPACE_OID, identity.encode("utf-8", "backslashreplace").decode()))


class BadRequestError(SfmcImportError, ValueError):
    """A request that can never be carried out; `problems` has one sentence for each fault found."""

    exit_code = USAGE

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class IdTakenError(BadRequestError):
    """The id of a request was accepted with other content; that request goes on as it was."""

    def __init__(self, request_id: str) -> None:
        super().__init__([f"request id {request_id} was accepted with other content: give each request its own id"])


class GoneOnError(SfmcImportError):
    """What is to be replayed is in another state than it was seen in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInfo:
    """A file seen by a producer: its identity is what every way of seeing it knows (ops/docs/adr/0015).

    `modified_ns` is the file's own time stamp, `version` an etag or generation where the store has one.
    Without size, time stamp and version the file is known by name alone: see `has_fingerprint`.
    `content_hash` is what `file_content` gives, where the producer read the file: a file that is replaced by one of
    the same size and time has the same fingerprint, but another hash.
    `arrived_as` is the name at arrival, where `name` is the one that a delivery gave it; the identity has that name.
    """

    location: str
    name: str
    size: int | None = None
    modified_ns: int | None = None
    version: str | None = None
    content_hash: str | None = None
    arrived_as: str | None = None

    @property
    def has_fingerprint(self) -> bool:
        """Whether two arrivals with this fingerprint are surely the same content."""
        return self.version is not None or self.modified_ns is not None

    @property
    def fingerprint(self) -> str:
        """32 hex digits that are equal for the same content at the same place."""
        parts = (self.location, self.arrived_as or self.name, self.size, self.modified_ns, self.version)
        return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]

    @property
    def identity(self) -> tuple[object, ...]:
        """All fields by which two files differ, as it arrived: the name that a delivery gave it makes no other file."""
        name = self.arrived_as or self.name
        return self.location, name, self.size, self.modified_ns, self.version, self.content_hash

    @property
    def known(self) -> dict[str, Any]:
        """What is known, by field. Not by `asdict`, which copies each text: this is done several times a request."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """One request to start one definition; `request_id` stays the same however often it is delivered.

    The definition is named by `customer_key`, or by `object_id`: then `customer_key` repeats it until the ledger has
    the key. `is_resolved` says that the ledger has the key as Marketing Cloud spells it; `attempt` counts its attempts.

    `not_before` and `expires` are times in seconds since 1970. `content` is a digest of what was asked for, by which
    the ledger tells the same request from another one under its id; a request read from the ledger has none. `caller`
    is the Celery task whose sender waits for the result. `replays` is the request that an operator asked for again.
    `reply_to` is the sender's task that each end of the request is sent to, in the queue `reply_queue`.
    """

    request_id: str
    customer_key: str
    mid: str
    object_id: str | None = None
    file: FileInfo | None = None
    event_id: str | None = None
    source: str | None = None
    force: bool = False
    reason: str | None = None
    not_before: float | None = None
    expires: float | None = None
    content: str | None = field(default=None, compare=False)
    caller: str | None = None
    replays: str | None = None
    reply_to: str | None = None
    reply_queue: str | None = None
    is_resolved: bool = field(default=False, compare=False)
    attempt: int = field(default=0, compare=False)

    @property
    def named(self) -> str:
        """How the request names its definition, for texts."""
        return self.customer_key if self.object_id is None else f"with ObjectID {self.object_id}"

    def as_message(self) -> dict[str, Any]:
        """Give the keyword arguments of the task `imports.start`."""
        message: dict[str, Any] = {"customer_key": self.customer_key, "mid": self.mid}
        if self.file is not None:
            message["file"] = self.file.known
        optional = {"object_id": self.object_id, "event_id": self.event_id, "source": self.source}
        optional |= {"reason": self.reason, "reply_to": self.reply_to, "reply_queue": self.reply_queue}
        message |= {name: value for name, value in optional.items() if value is not None}
        return message | ({"force": True} if self.force else {})


MAX_REPR = 1024


def celery_headers(request: StartRequest) -> dict[str, Any]:
    """Give the headers of the Celery message (protocol 2) of a request, as `send_task` writes them, and its names.

    The two texts for people, `argsrepr` and `kwargsrepr`, are cut after 1024 characters; Celery cuts inside them.
    """
    identity = {"id": request.request_id, "root_id": request.request_id, "parent_id": None, "group": None}
    names = {"request_id": request.request_id, "customer_key": request.customer_key, "mid": request.mid, "attempt": "1"}
    return {
        "lang": "py",
        "task": START,
        **identity,
        "group_index": None,
        "shadow": None,
        "eta": None,
        "expires": None,
        "retries": 0,
        "timelimit": [None, None],
        "argsrepr": "()",
        "kwargsrepr": _shown(request.as_message()),
        "origin": "sfmc-import",
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
        **names,
    }


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"'{value}'" if "'" not in value else "'" + value.replace("'", "\\'") + "'"
    if isinstance(value, dict):
        # A list: for so few parts a generator takes twice the time, and every message is shown.
        inside = ", ".join([f"{_shown(key)}: {_shown(inner)}" for key, inner in value.items()])
        return f"{{{inside}}}"[:MAX_REPR]
    return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """When a sender wants its message to be run, as Celery's headers say it: ISO times."""

    eta: object = None
    expires: object = None


def arguments_by_name(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Give the arguments of a message by name; positional ones stand in the order of FIELDS. None is not given.

    Raises BadRequestError when an argument is given twice, with two values.
    """
    positional = {name: value for name, value in zip(FIELDS, args, strict=False) if value is not None}
    named = {name: value for name, value in kwargs.items() if value is not None}
    twice = [name for name in positional if named.get(name, positional[name]) != positional[name]]
    if twice:
        raise BadRequestError([f"{name} is given twice, by position and by name" for name in twice])
    return {**positional, **named}


def unknown_names(message: Mapping[str, Any]) -> list[str]:
    """Name what a message has beside the arguments of `imports.start` and the fields of a file."""
    file = message.get("file")
    inside = set(map(str, file)) - _FILE_FIELDS if isinstance(file, Mapping) else set()
    return [*sorted(set(message) - set(FIELDS)), *(f"file.{name}" for name in sorted(inside))]


def read_request(
    request_id: str, default_mid: str, message: Mapping[str, Any], delivery: Delivery | None = None
) -> StartRequest:
    """Read the arguments of `imports.start`; raise BadRequestError naming every problem.

    What is unknown in `message` is not read; a caller that refuses it asks `unknown_names`.
    """
    problems: list[str] = []
    read = _read_fields(request_id, default_mid, message, delivery or Delivery(), problems)
    if read["force"] and is_blank(read["reason"]):
        problems.append("force needs a reason: a text that says why the window does not count")
    if problems:
        raise BadRequestError(problems)
    return StartRequest(**read, content=_digest(read))


def _read_fields(
    request_id: str, default_mid: str, message: Mapping[str, Any], delivery: Delivery, problems: list[str]
) -> dict[str, Any]:
    object_id = _read_object_id(message.get("object_id"), problems)
    return {
        "request_id": _read_id(request_id, problems),
        "customer_key": _read_key(message, object_id, problems),
        "object_id": object_id,
        "mid": _read_mid(message.get("mid"), default_mid, problems),
        "file": _read_file(message.get("file"), problems),
        "event_id": _read_text(message, "event_id", problems),
        "source": _read_text(message, "source", problems),
        "force": _read_flag(message.get("force", False), problems),
        "reason": _read_text(message, "reason", problems),
        "not_before": _read_time(delivery.eta, "eta", problems),
        "expires": _read_time(delivery.expires, "expires", problems),
        **read_reply(message, problems),
    }


def _digest(read: Mapping[str, Any]) -> str:
    """Sum up what decides what is started and when; its source, reason and reply_to make no other.

    Each field of the file as it arrived counts: one that is replaced by one of the same size and time has the same
    fingerprint.
    """
    file: FileInfo | None = read["file"]
    identity = None if file is None else file.identity
    what = (read["mid"], read["customer_key"], read["object_id"], identity, read["event_id"], read["force"])
    parts = (*what, read["not_before"], read["expires"])
    return hashlib.sha256(repr(parts).encode("utf-8", "replace")).hexdigest()[:16]


FIELDS = (
    "customer_key",
    "mid",
    "file",
    "event_id",
    "source",
    "force",
    "reason",
    "object_id",
    "reply_to",
    "reply_queue",
)
"""The arguments of `imports.start`, in the order in which a message may give them by position."""

_FILE_FIELDS = {"location", "name", "size", "modified_ns", "version", "content_hash", "arrived_as"}
_FILE_TEXTS = ("version", "content_hash", "arrived_as")


def _read_id(value: object, problems: list[str]) -> str:
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    problems.append("request id must be 1 to 128 letters, digits or . _ : @ / + = -, and not . or .. alone")
    return ""


def id_problem(value: object) -> str:
    """Say what is wrong with an id for a request; empty where nothing is."""
    problems: list[str] = []
    _read_id(value, problems)
    return "".join(problems)


_KINDS = ((bool, "true or false"), (int, "a number"), (float, "a number with a point"), ((list, tuple), "a list"))
"""The words for values that are no text, in the order in which they are tried: in Python true is a number too."""


def _what_is(value: object) -> str:
    """Say in the words of JSON what a value is that is not what is needed."""
    if isinstance(value, str):
        return _what_text(value)
    return next((words for kind, words in _KINDS if isinstance(value, kind)), "null" if value is None else "an object")


def _what_text(value: str) -> str:
    if not value.strip():
        return "a text of blanks" if value else "empty"
    if len(value) > MAX_TEXT_LENGTH:
        return f"a text of {len(value)} characters"
    return "a text with half a character of UTF-16" if _has_half_character(value) else "a text"


def _read_key(message: Mapping[str, Any], object_id: str | None, problems: list[str]) -> str:
    value = message.get("customer_key")
    if value is None:
        if message.get("object_id") is None:
            problems.append("customer_key is missing: give the external key of the ImportDefinition, or its object_id")
        return object_id or ""
    if not isinstance(value, str) or not value.strip():
        expected = "a text, the external key of the ImportDefinition"
        problems.append(f"customer_key must be {expected}; it is {_what_is(value)}")
        return ""
    if len(value) > MAX_KEY_LENGTH:
        problems.append(f"customer_key has {len(value)} characters: Marketing Cloud allows {MAX_KEY_LENGTH}")
    if not value.isprintable():
        problems.append("customer_key has unprintable characters")
    return value


def _read_object_id(value: object, problems: list[str]) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and _GUID.fullmatch(value.strip("{}")):
        return value.strip("{}").lower()
    expected = "the ObjectID of the ImportDefinition: 32 hex digits with 4 dashes"
    problems.append(f"object_id must be {expected}; it is {_what_is(value)}")
    return None


def _read_mid(value: object, default_mid: str, problems: list[str]) -> str:
    given = default_mid if value is None else value
    mid = _as_mid(given)
    if not is_mid(mid):
        problems.append(f"mid must be the number of a business unit, such as 510001234; it is {_what_is_mid(given)}")
    return mid


def _as_mid(given: object) -> str:
    if isinstance(given, str):
        return plain_mid(given)
    is_whole = isinstance(given, int) and not isinstance(given, bool)
    return str(given) if is_whole and 0 < given < 10**MAX_MID_LENGTH else ""  # type: ignore[operator]


def _what_is_mid(given: object) -> str:
    if given == "":
        return "missing: give it, or set SFMC_ACCOUNT_ID"
    is_whole = isinstance(given, int) and not isinstance(given, bool)
    if is_whole or (isinstance(given, str) and given.isascii() and given.isdigit()):
        return f"not above 0, or has more than {MAX_MID_LENGTH} digits"
    return _what_is(given)


def is_mid(mid: str) -> bool:
    """Tell whether a text without leading zeros can be the number of a business unit; 0 is none."""
    return mid.isascii() and mid.isdigit() and len(mid) <= MAX_MID_LENGTH and mid != "0"


def plain_mid(mid: str) -> str:
    """Give the number of a business unit without leading zeros: Marketing Cloud reads it as a number."""
    return mid.lstrip("0") or mid[-1:]


def fold_key(customer_key: str) -> str:
    """Give what all spellings of a CustomerKey have in common that a database usually finds by each other.

    For what a person wrote about a definition. Which definition a request is for, Marketing Cloud says itself.
    """
    return in_small_letters(customer_key.rstrip(" "))


def is_spelling_of(found: str, asked: str) -> bool:
    """Tell whether a database of whatever collation may find the key `found` when it is asked for `asked`."""
    return _letters(found) == _letters(asked)


def _letters(key: str) -> str:
    return "".join(each for each in normalize("NFKD", key.strip()) if not combining(each)).casefold()


def _read_text(message: Mapping[str, Any], name: str, problems: list[str]) -> str | None:
    value = message.get(name)
    if value is None or _is_text(value):
        return value
    problems.append(f"{name} must be a text of 1 to {MAX_TEXT_LENGTH} characters; it is {_what_is(value)}")
    return None


def _read_time(value: object, name: str, problems: list[str]) -> float | None:
    """Read an ISO time as seconds since 1970; one without a zone is UTC, as Celery's are."""
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        problems.append(f"{name} must be an ISO time, such as 2026-03-01T06:00:00+00:00")
        return None
    return max(0.0, in_calendar((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()))


def _read_flag(value: object, problems: list[str]) -> bool:
    if not isinstance(value, bool):
        problems.append(f"force must be true or false; it is {_what_is(value)}")
    return value is True


def _read_file(value: object, problems: list[str]) -> FileInfo | None:
    if value is None:
        return None
    if isinstance(value, FileInfo):
        return value if _is_sound(value) else _read_file_info(value.known, problems)
    if _is_text(value):
        location, _, name = value.rpartition("/")
        return FileInfo(location=location, name=name or value)
    if isinstance(value, Mapping):
        return _read_file_info(value, problems)
    fields = "location, name, size, modified_ns, version, content_hash, arrived_as"
    problems.append(f"file must be a path or an object with {fields}; it is {_what_is(value)}")
    return None


def _is_sound(file: FileInfo) -> bool:
    """Tell whether the fields of a file are as `_read_file_info` would take them: a host can make it of anything."""
    return (
        _is_text(file.name)
        and (file.location == "" or _is_text(file.location))
        and (file.version is None or _is_text(file.version))
        and (file.content_hash is None or _is_text(file.content_hash))
        and (file.arrived_as is None or _is_text(file.arrived_as))
        and _is_number_within(file.size, 0, MAX_COUNT)
        and _is_number_within(file.modified_ns, -MAX_TIME_NS, MAX_TIME_NS)
    )


def _read_file_info(value: Mapping[str, Any], problems: list[str]) -> FileInfo | None:
    name = value.get("name")
    if not _is_text(name):
        is_what = "missing" if name is None else _what_is(name)
        problems.append(f"file.name must be a text of 1 to {MAX_TEXT_LENGTH} characters; it is {is_what}")
        return None
    if not _is_number_within(value.get("size"), 0, MAX_COUNT):
        problems.append("file.size must be a whole number from 0 on")
    if not _is_number_within(value.get("modified_ns"), -MAX_TIME_NS, MAX_TIME_NS):
        problems.append("file.modified_ns must be a whole number of nanoseconds, below 0 before 1970")
    location, texts = value.get("location", ""), [value.get(each) for each in _FILE_TEXTS]
    if not (location == "" or _is_text(location)) or not all(each is None or _is_text(each) for each in texts):
        names = "file.location, file.version, file.content_hash and file.arrived_as"
        problems.append(f"{names} must be texts of up to {MAX_TEXT_LENGTH} characters")
        return None
    return FileInfo(**{each: value[each] for each in _FILE_FIELDS if each in value} | {"location": location})


def _is_number_within(value: object, least: int, most: int) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and least <= value <= most)


def _is_text(value: object) -> TypeGuard[str]:
    """Tell whether a value is a text that fits; half a character of UTF-16 is none, for it can be sent nowhere."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT_LENGTH:
        return False
    return not _has_half_character(value)


def _has_half_character(value: str) -> bool:
    return not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value)
