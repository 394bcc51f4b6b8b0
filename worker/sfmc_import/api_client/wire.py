"""What a call of the API is and what its answer means, without input and output: both clients share it."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlsplit

import httpx

from sfmc_import.advice import Advice, with_command
from sfmc_import.errors import USAGE, ServiceUnavailableError, SfmcImportError
from sfmc_import.faults import Ambiguous, Fault, NotApplied
from sfmc_import.operations.errors import ConflictError, InvalidError, NotFoundError, OperationError
from sfmc_import.operations.views import RequestView
from sfmc_import.retrying import CONNECT

T = TypeVar("T")
PROBLEMS = "urn:sfmc-import:problem:"
MAX_ANSWER = 64 * 1024 * 1024
"""The largest answer that is read, in bytes; pages are far smaller."""

MAX_EVENT = 1024 * 1024
"""The largest event of a stream, in bytes."""

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
SILENCE_SECONDS = 20.0
"""How long a stream of events may say nothing: the server sends a comment every 5 seconds."""

_TOKEN = re.compile(r"[\x21-\x7e]*")
_KEY = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]{1,255}")

TOO_LARGE = 413
LATER = frozenset({429, 502, 503, 504})


class UnauthorizedError(OperationError):
    """The server does not know the token."""

    kind = "unauthorized"
    exit_code = USAGE


class ForbiddenError(OperationError):
    """The role of the token does not allow it."""

    kind = "forbidden"


class KeyReusedError(InvalidError):
    """The Idempotency-Key was used for something else."""

    kind = "idempotency_key_reused"
    request_id: str | None = None
    """The request of the key, where the other body asks for the same start."""


class UnexpectedAnswerError(SfmcImportError):
    """What answers is not this API, or of another version."""

    advice = Advice(("check SFMC_API_URL: it is the address of `sfmc-import serve`",))


@dataclass(frozen=True, slots=True)
class Submitted:
    """A request that the server has recorded; `is_new` is False when it was there before."""

    request: RequestView
    is_new: bool


class ServerEvent(NamedTuple):
    """One event of the stream: its id, to go on from, and the CloudEvent."""

    id: str
    event: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One call: what is sent, how its answer is read, and whether a second one does no harm."""

    method: str
    path: str
    read: Callable[["Answer"], T]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_safe: bool = False
    wait: float = 0.0

    @property
    def request(self) -> dict[str, Any]:
        """The arguments of httpx."""
        query = {name: value for name, value in self.query.items() if value is not None}
        body = {} if self.body is None else {"json": self.body}
        return {"method": self.method, "url": self.path, "params": query, "headers": dict(self.headers), **body}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no problem."""

    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The document; raises UnexpectedAnswerError."""
        try:
            return json.loads(self.content) if self.content else None
        except ValueError:
            raise UnexpectedAnswerError("the server does not answer with JSON") from None


def options(url: str, token: str) -> dict[str, Any]:
    """Give what both clients of httpx are opened with; raises ValueError, which shows neither token nor login."""
    if not _is_plain(url):
        raise ValueError("the address of the API contains a login, or is none; give https://host and a token")
    if not _TOKEN.fullmatch(token):
        raise ValueError("the token has characters that no token has; copy the whole line of: sfmc-import tokens add")
    timeout = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
    return {"base_url": url.rstrip("/") + "/v1", "headers": headers, "timeout": timeout, "follow_redirects": False}


def _is_plain(url: str) -> bool:
    parts = urlsplit(url)
    try:
        return "@" not in parts.netloc and parts.port != 0
    except ValueError:
        # A password with a slash is read as a port.
        return False


def key_header(key: str | None) -> dict[str, str]:
    """Give the header with an Idempotency-Key; raises InvalidError for one that the server cannot read."""
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidError('an Idempotency-Key has 1 to 255 printable characters of ASCII, and neither " nor \\')
    return {} if key is None else {"idempotency-key": f'"{key}"'}


def judged(status: int, headers: Mapping[str, str], content: bytes, call: Call[Any]) -> Answer | Fault:
    """Give an answer, or the fault after which the call may be made again; raises what a problem means."""
    if status < 300:
        return Answer(headers, content)
    problem = _problem(content)
    text = str(problem.get("detail") or problem.get("title") or f"HTTP {status}")
    if status in LATER:
        # What is recorded would be there twice, unless a key says that it is the same.
        is_undone = status in {429, 503} and problem.get("type") != f"{PROBLEMS}not_confirmed"
        fault = NotApplied if is_undone or call.is_safe else Ambiguous
        return fault(f"http_{status}", text, retry_after=_seconds(headers.get("retry-after")))
    raise _error(status, problem, text)


def broken(error: httpx.HTTPError, call: Call[Any]) -> Fault:
    """Give the fault for a connection that failed; nothing was applied where it never stood."""
    # What cannot be sent is named with its value, which may be the token.
    text = "" if isinstance(error, httpx.LocalProtocolError) else str(error)
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    never_sent = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
    return NotApplied("connection", reason) if never_sent or call.is_safe else Ambiguous("connection", reason)


def unavailable(url: str, fault: Fault) -> ServiceUnavailableError:
    """Give the error for a server that does not answer, or that cannot do it now."""
    if fault.code.startswith("http_"):
        text = f"the API at {shown(url)} answers that it cannot do it now: {fault.text}"
        return ServiceUnavailableError(text, with_command("find the cause on that server with", "doctor"))
    doubt = "; it may have been done all the same" if isinstance(fault, Ambiguous) else ""
    fix = "check SFMC_API_URL, and that `sfmc-import serve` runs there"
    return ServiceUnavailableError(f"the API at {shown(url)} does not answer ({fault.text}){doubt}", fix)


def refused(status: int, headers: Mapping[str, str], content: bytes) -> None:
    """Raise what the answer to a stream of events means; httpx.ReadError where it is worth another try."""
    found = judged(status, headers, content, Call(method="GET", path="/events", read=lambda _: None, is_safe=True))
    if isinstance(found, (NotApplied, Ambiguous)):
        raise httpx.ReadError(found.text)


class Place:
    """Where a reader of the stream stands, and how often in a row it could not read."""

    def __init__(self, after: str | None, chance: Callable[[], float]) -> None:
        self._after, self._chance = after, chance
        self._failures = 0

    @property
    def header(self) -> dict[str, str]:
        """The header that goes on from here; empty for a reader that begins now."""
        return {} if self._after is None else {"last-event-id": self._after}

    def reached(self, found: Iterable["ServerEvent"]) -> Iterator["ServerEvent"]:
        """Yield what the stream gave, and stand after it; what moves the place alone is no event."""
        for each in found:
            self._after, self._failures = each.id, 0
            if each.event:
                yield each

    def fail(self, error: Exception, on_outage: Callable[[str], None]) -> None:
        """Count a failure; the first one is said."""
        self._failures += 1
        if self._failures == 1:
            on_outage(str(error) or type(error).__name__)

    def pause(self) -> float:
        """Give the seconds before the stream is opened again."""
        return CONNECT.pause(max(1, self._failures), self._chance())


def shown(url: str) -> str:
    """Give an address without a login."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isascii() and text.isdigit() else None


def _problem(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _error(status: int, problem: Mapping[str, Any], text: str) -> Exception:
    kind = str(problem.get("type", "")).removeprefix(PROBLEMS)
    if errors := problem.get("errors"):
        text += ": " + "; ".join(f"{each.get('pointer')} {each.get('detail')}" for each in errors)
    if status == TOO_LARGE:
        return InvalidError(text)
    if kind == "conflict":
        return ConflictError(text, state=str(problem.get("state", "")))
    if kind == "unauthorized":
        return UnauthorizedError(
            "the API does not know the token", with_command("give SFMC_API_TOKEN one of", "tokens", "add")
        )
    known = (NotFoundError, InvalidError, KeyReusedError, ForbiddenError)
    found = next((each for each in known if each.kind == kind), None)
    if found is KeyReusedError:
        reused = KeyReusedError(text)
        reused.request_id = problem.get("request_id")
        return reused
    return found(text) if found else UnexpectedAnswerError(f"the server answers HTTP {status}: {text}")


class Lines:
    """Reads the bytes of server-sent events; one event is MAX_EVENT bytes at most."""

    def __init__(self) -> None:
        self._rest = b""
        self._id = ""
        self._data: list[str] = []
        self._is_gap = False

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """Read some bytes; yields the events that they end, with an empty one where only the position moves."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) + sum(map(len, self._data)) > MAX_EVENT:
            raise UnexpectedAnswerError("an event of the stream is too large")
        for line in lines:
            yield from self._add(line.decode(errors="replace").removesuffix("\r"))

    def _add(self, line: str) -> Iterator[ServerEvent]:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            self._id = value
        elif name == "event":
            self._is_gap = value == "gap"
        elif name == "data":
            self._data.append(value)
        elif line == "" and self._id:
            event = {} if self._is_gap else _read_event("\n".join(self._data))
            self._data, self._is_gap = [], False
            yield ServerEvent(self._id, event)


def _read_event(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        raise UnexpectedAnswerError("an event of the stream is no JSON") from None
    return {name: value for name, value in found.items() if name != "stream_id"} if isinstance(found, dict) else {}
