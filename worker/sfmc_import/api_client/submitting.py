"""Submits over the HTTP API what producers submit: the client of the ledger where SFMC_API_URL is set."""

import hmac
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from types import TracebackType
from typing import Any, Self, Unpack

from uuid_utils import uuid7

from sfmc_import.api_client.sync import ApiClient
from sfmc_import.api_client.wire import ForbiddenError, KeyReusedError, UnauthorizedError, UnexpectedAnswerError
from sfmc_import.client import NotTaken, Rejection, Submission, SubmitResult
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.events import Event
from sfmc_import.operations.errors import InvalidError
from sfmc_import.operations.status import RunningView
from sfmc_import.operations.watching import events_until_end
from sfmc_import.request import BadRequestError, FileInfo, IdTakenError, plain_mid
from sfmc_import.states import Reported

MAX_RECORD = 150_000
"""How many bytes of a record are kept: the server takes bodies of 256 KiB."""

MAX_RECORD_TEXT = 4000
MAX_RECORD_ID = 256


class ApiSubmitter:
    """Does what `sfmc_import.client.Client` does, over the API; threads may share it.

    The `request_id` of a submission is its Idempotency-Key: the same one is one request. The server gives the request
    an id of its own. A token that does not count is an outage: the caller keeps its files until there is another.
    The `token` is that of the client.
    """

    def __init__(self, api: ApiClient, mid: str = "", *, token: str = "") -> None:
        self.mid = plain_mid(mid)
        self._api, self._token = api, token
        self._ahead: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def prepare(self) -> None:
        """Do nothing: there is nothing to read before the first submission."""

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def submit(self, **submission: Unpack[Submission]) -> SubmitResult:
        """Ask for one start; raises BadRequestError, IdTakenError and ServiceUnavailableError."""
        given: dict[str, Any] = dict(submission)
        key = str(given.pop("request_id", None) or uuid7())
        body = {name: value for name, value in given.items() if value is not None and value is not False}
        body |= self._unit(given.get("mid")) | ({} if given.get("file") is None else {"file": _file(given["file"])})
        with _errors(key):
            try:
                done = self._api.submit(idempotency_key=key, **body)
            except KeyReusedError as error:
                if not error.request_id:
                    raise
                # The same start, by another source or with another priority: the ledger has it.
                return SubmitResult(request_id=error.request_id, is_new=False)
        return SubmitResult(request_id=done.request.request_id, is_new=done.is_new)

    def state_of(self, submission: Submission) -> str | None:  # noqa: ARG002 - as the client of the ledger
        """Give None: the server says by the Idempotency-Key whether it has the request, when it is submitted."""
        return None

    def own_id(self, usual: str) -> str:
        """Give an Idempotency-Key in place of a `usual` one: only who has the token can foresee it."""
        return hmac.new(self._token.encode(), usual.encode(), "sha256").hexdigest()

    def submit_many(self, submissions: Iterable[Submission]) -> list[SubmitResult | NotTaken]:
        """Ask for many starts; when the server does not answer, the rest is not tried."""
        found: list[SubmitResult | NotTaken] = []
        outage: ServiceUnavailableError | None = None
        for each in submissions:
            if outage is not None:
                found.append(outage)
                continue
            try:
                found.append(self.submit(**each))
            except ServiceUnavailableError as error:
                outage = error
                found.append(error)
            except BadRequestError as error:
                found.append(error)
        return found

    def confirm(self, recorded: Sequence[str | Reported]) -> None:
        """Do nothing: the server answers when disk or replicas have what its settings ask for."""

    def reject(self, *, request_id: str, **given: Any) -> Rejection:
        """Record a request that must not be started."""
        body = {name: value for name, value in given.items() if value is not None} | self._unit(given.get("mid"))
        body |= {} if given.get("file") is None else {"file": _file(given["file"])}
        with _errors(request_id):
            return self._api.reject(request_id, **body)

    def report(self, name: str, *, file: FileInfo, detail: Mapping[str, Any]) -> bool:
        """Publish once that a file became no request."""
        with _errors(file.fingerprint):
            return self._api.report(name=name, file=_file(file), **detail)

    def now(self) -> float:
        """Give the time of Redis, in seconds since 1970."""
        with _errors(""):
            return self._api.now()

    def note_clock(self, process: str, ahead: float | None) -> None:  # noqa: ARG002 - as the client of the ledger
        """Keep by how many seconds the clock is ahead: it is said with the folders."""
        self._ahead = ahead

    def note_folders(self, watcher: str, folders: Sequence[Mapping[str, Any]] | None) -> None:
        """Say what a watcher knows of its folders; None when it ends."""
        with _errors(watcher):
            self._api.note_folders(watcher, folders, self._ahead)

    def set_aside(self, source: str, record_id: str, body: bytes, text: str) -> None:
        """Keep a record that cannot be read as a dead letter; of a very large one the beginning."""
        cut = f" (the first {MAX_RECORD} of {len(body)} bytes)" if len(body) > MAX_RECORD else ""
        kept_id = record_id if len(record_id) <= MAX_RECORD_ID else sha256(record_id.encode()).hexdigest()
        fields = {"source": source, "record_id": kept_id, "text": f"{text[:MAX_RECORD_TEXT]}{cut}"}
        with _errors(record_id):
            self._api.set_aside(**fields, body_base64=b64encode(body[:MAX_RECORD]).decode())

    def running(self) -> RunningView:
        """Count the workers and beats that live."""
        with _errors(""):
            return self._api.running()

    def follow(
        self, request_id: str, *, within: float | None = None, on_outage: Callable[[str], None] | None = None
    ) -> Iterator[Event]:
        """Yield the events of a request until its end, or for `within` seconds; an outage is said once."""
        return events_until_end(self._api.show, request_id, within=within, on_outage=on_outage or (lambda _: None))

    def _unit(self, given: str | None) -> dict[str, str]:
        mid = given or self.mid
        return {"mid": mid} if mid else {}


@contextmanager
def _errors(key: str) -> Iterator[None]:
    """Turn what the API refuses into what the client of the ledger raises."""
    try:
        yield
    except KeyReusedError as error:
        raise IdTakenError(key) from error
    except InvalidError as error:
        raise BadRequestError([str(error)]) from error
    except (UnauthorizedError, ForbiddenError, UnexpectedAnswerError) as error:
        raise ServiceUnavailableError(str(error), error.advice) from error


def _file(given: FileInfo | str | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(given, str):
        location, _, name = given.rpartition("/")
        return {"location": location, "name": name}
    if isinstance(given, Mapping):
        return dict(given)
    return given.known
