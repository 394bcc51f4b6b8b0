"""What producers may use: recording a request and sending its message, definitions to route by, events to follow."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError
from uuid_utils import uuid7

from sfmc_import.bootstrap import ledger_settings, open_marketing_cloud, open_redis
from sfmc_import.celery_app import celery_settings
from sfmc_import.errors import ServiceUnavailableError, SettingsError
from sfmc_import.events import EventStream, just_before
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.ledger import RedisLedger
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.logs import configure
from sfmc_import.ports import LedgerUnavailableError, MarketingCloud
from sfmc_import.request import QUEUE, START, FileInfo, StartRequest, read_request
from sfmc_import.routing import AmbiguousRoute, BadRouteError, FileSpecs, Routed, Routes, Routing, Unrouted
from sfmc_import.runs import Definition
from sfmc_import.settings import Route, Settings, load
from sfmc_import.states import COMPLETED, TERMINAL

__all__ = [
    "COMPLETED",
    "TERMINAL",
    "AmbiguousRoute",
    "BadRouteError",
    "Client",
    "Definition",
    "FileSpecs",
    "Route",
    "Routed",
    "Routes",
    "Routing",
    "ServiceUnavailableError",
    "SettingsError",
    "Unrouted",
    "open_client",
]

log = structlog.get_logger("sfmc_import.client")

LAST_EVENTS = frozenset("sfmc.import." + state for state in TERMINAL)


@dataclass(slots=True)
class _Known:
    definitions: Sequence[Definition]
    read_at: float


class Client:
    """The way in for producers; safe for one thread. `mid` is the default business unit, `routes` the policy file's."""

    def __init__(self, settings: Settings, client: Redis, celery: Celery, service: MarketingCloud) -> None:
        self.mid = settings.account_id or ""
        self.time_zone = settings.time_zone
        self.routes: Sequence[Route] = settings.routes
        self._settings = settings
        self._client: Any = client
        self._celery = celery
        self._service = service
        self._ledger = RedisLedger(client, ledger_settings(settings))
        self._known: dict[str, _Known] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections."""
        self._celery.close()
        self._client.close()

    def start_logging(self, form: Literal["json", "pretty"] | None = None, stream: BinaryIO | None = None) -> None:
        """Log as the settings say, in another `form` or to another `stream` where given; without secrets."""
        settings = self._settings
        configure(level=settings.log_level, form=form or settings.log_format, secrets=settings.secrets(), stream=stream)

    def submit(self, request: StartRequest) -> bool:
        """Record a request, then send its message; False when this request_id was known already.

        A broker that refuses the message costs nothing: the sweep wakes what is recorded.
        Raises ServiceUnavailableError when Redis refuses the record; then nothing was accepted.
        """
        try:
            new = self._ledger.accept(request)
        except LedgerUnavailableError as error:
            raise self._redis_is_away(error) from error
        if new:
            self._send(request)
        return new

    def _send(self, request: StartRequest) -> None:
        names = {
            "request_id": request.request_id,
            "customer_key": request.customer_key,
            "mid": request.mid,
            "attempt": "1",
        }
        try:
            self._celery.send_task(
                START,
                kwargs=request.as_message(),
                task_id=request.request_id,
                queue=QUEUE,
                headers=names,
                ignore_result=True,
                retry=False,
            )
        except (OperationalError, RedisError, OSError) as error:
            log.warning("message_not_sent", error=str(error), action="sweep_will_retry", **names)

    def definitions(self, mid: str) -> Sequence[Definition]:
        """Give all definitions of a business unit, as read within the last minutes.

        Raises ServiceUnavailableError when Marketing Cloud cannot be asked and nothing is known from before.
        """
        known = self._known.get(mid)
        if known is not None and time.monotonic() - known.read_at < self._settings.definition_ttl:
            return known.definitions
        found = self._service.definitions(mid)
        if not isinstance(found, (NotApplied, Rejected)):
            self._known[mid] = _Known(found, time.monotonic())
            return found
        if known is None:
            raise ServiceUnavailableError(
                f"Cannot read the definitions of business unit {mid}: {found.text} ({found.code})"
            )
        log.warning("definitions_not_refreshed", mid=mid, code=found.code, text=found.text)
        known.read_at = time.monotonic()
        return known.definitions

    def report(self, name: str, *, file: FileInfo, detail: Mapping[str, Any]) -> None:
        """Publish once that an arrival became no request: `unrouted` or `ambiguous_route`."""
        fields = {"location": file.location, "name": file.name, "fingerprint": file.fingerprint}
        data = {"mid": self.mid, "file": fields, **detail}
        try:
            self._ledger.report(file.fingerprint, name, self.mid, file.name, data)
        except LedgerUnavailableError as error:
            raise self._redis_is_away(error) from error

    def follow(self, request_id: str, within: float | None = None) -> Iterator[Mapping[str, Any]]:
        """Yield the events of a request from its first on, until its last, or for `within` seconds."""
        try:
            record = LedgerReader(self._client, self._ledger.keys).request(request_id)
        except LedgerUnavailableError as error:
            raise self._redis_is_away(error) from error
        if record is None:
            return
        deadline = None if within is None else time.monotonic() + within
        stream = EventStream(self._client, self._ledger.keys.stream)
        since = just_before(record["accepted_at"])
        for _, event in stream.live(since, self._tell_outage, lambda: _is_past(deadline)):
            if event["data"].get("request_id") == request_id:
                yield event
                if event["type"] in LAST_EVENTS:
                    return

    def _redis_is_away(self, error: LedgerUnavailableError) -> ServiceUnavailableError:
        return ServiceUnavailableError(f"Redis at {self._settings.redis.shown} does not answer: {error}")

    def _tell_outage(self, reason: str) -> None:
        log.warning("redis_unreachable", redis=self._settings.redis.shown, error=reason, action="waiting")


def _is_past(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def open_client(environ: Mapping[str, str] | None = None) -> Client:
    """Open the door with the settings of the environment; raises SettingsError naming every problem."""
    settings = load(os.environ if environ is None else environ)
    celery = Celery("sfmc-import-door", set_as_current=False)
    celery.conf.update(celery_settings(settings))
    return Client(settings, open_redis(settings), celery, open_marketing_cloud(settings))


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitResult:
    """What became of a wish: its request is in the ledger; `is_new` is False when it was there before."""

    request_id: str
    is_new: bool


def submit(
    door: Client | None = None,
    /,
    *,
    customer_key: str,
    mid: str | None = None,
    file: FileInfo | str | Mapping[str, Any] | None = None,
    event_id: str | None = None,
    source: str | None = None,
    force: bool = False,
    reason: str | None = None,
    request_id: str | None = None,
) -> SubmitResult:
    """Ask for one start of the ImportDefinition `customer_key`; returns once the ledger has the request.

    `file` is the arrival that gives the reason, or its path as text; `event_id` is the source's own, the same one
    counts once; `mid` is the business unit, by default that of the settings. The same `request_id` is one request
    however often it comes; without one it is new. Without a `client` one is opened from the environment (SFMC_*).

    Raises BadRequestError for what can never be carried out, and ServiceUnavailableError when the ledger does not
    take it: then nothing is recorded and the caller keeps the file.
    """
    given = {"mid": mid, "file": _as_field(file), "event_id": event_id, "source": source, "reason": reason}
    message = {name: value for name, value in given.items() if value is not None}
    message |= {"customer_key": customer_key, "force": force}
    with open_client(os.environ) if door is None else nullcontext(door) as way_in:
        request = read_request(str(uuid7()) if request_id is None else request_id, way_in.mid, message)
        return SubmitResult(request_id=request.request_id, is_new=way_in.submit(request))


def file_at(path: Path, location: str | None = None) -> FileInfo:
    """Describe the file at `path` as the folder watcher would; `location` stands for its folder.

    Raises OSError when there is no such file.
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links and change the identity
    status = absolute.stat()
    return FileInfo(
        location=absolute.parent.as_posix() if location is None else location,
        name=absolute.name,
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
    )


def _as_field(file: FileInfo | str | Mapping[str, Any] | None) -> object:
    if isinstance(file, FileInfo):
        return {name: value for name, value in asdict(file).items() if value is not None}
    return file
