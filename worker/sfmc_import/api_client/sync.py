"""The client of the API for threads."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from sfmc_import.api_client import calls
from sfmc_import.api_client.wire import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    MAX_ANSWER,
    SILENCE_SECONDS,
    Answer,
    Call,
    Lines,
    Place,
    ServerEvent,
    Submitted,
    UnexpectedAnswerError,
    broken,
    judged,
    options,
    refused,
    unavailable,
)
from sfmc_import.calls import retry_call
from sfmc_import.client import Rejection
from sfmc_import.faults import Fault
from sfmc_import.operations.forgetting import ForgottenView
from sfmc_import.operations.listing import DeadLetterPage, DeadLetterView, DefinitionPage, EventPage, RequestPage
from sfmc_import.operations.refreshing import RefreshedView
from sfmc_import.operations.runs import RunPage
from sfmc_import.operations.status import RunningView, StandingView, StatusView, UnmatchedView
from sfmc_import.operations.usage import UsageView
from sfmc_import.operations.views import (
    ActionView,
    DoneView,
    ExplainedView,
    FolderView,
    LifeView,
    PauseView,
    ReplaysView,
    RequestView,
    ResumedView,
)
from sfmc_import.retrying import API

T = TypeVar("T")


class ApiClient:
    """Calls the API at `url` with a `token` of `sfmc-import tokens add`; threads may share it.

    Each method is one path of the API. They raise NotFoundError, ConflictError, InvalidError, UnauthorizedError,
    ForbiddenError, and ServiceUnavailableError when the server does not answer in time.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        transport: httpx.BaseTransport | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.url, self._chance = url, chance
        self._http = httpx.Client(transport=transport, **options(url, token))

    def __repr__(self) -> str:
        return f"ApiClient({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _do(self, call: Call[T]) -> T:
        """Make a call, again where that does no harm; raises what a problem means."""

        def attempt() -> Answer | Fault:
            try:
                return self._sent(call)
            except httpx.HTTPError as error:
                return broken(error, call)

        found = retry_call(API, chance=self._chance)(attempt)
        if not isinstance(found, Answer):
            raise unavailable(self.url, found)
        return call.read(found)

    def _sent(self, call: Call[Any]) -> Answer | Fault:
        timeout = httpx.Timeout(ANSWER_SECONDS + call.wait, connect=CONNECT_SECONDS)
        deadline = time.monotonic() + ANSWER_SECONDS + call.wait
        with self._http.stream(**call.request, timeout=timeout) as answer:
            content = bytearray()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER:
                    raise UnexpectedAnswerError("the answer is too large")
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("the answer takes too long")
            return judged(answer.status_code, answer.headers, bytes(content), call)

    def live(
        self,
        after: str | None = None,
        customer_key: str | None = None,
        over: Callable[[], bool] = lambda: False,
        on_outage: Callable[[str], None] = lambda _: None,
    ) -> Iterator[ServerEvent]:
        """Yield events as they come, after an id or from now on; goes on from the last one after an outage.

        Raises what the first answer means, and UnauthorizedError when the token is revoked.
        """
        place = Place(after, self._chance)
        while not over():
            try:
                yield from self._stream(place, customer_key, over)
            except httpx.HTTPError as error:
                place.fail(error, on_outage)
            time.sleep(place.pause())

    def _stream(self, place: Place, customer_key: str | None, over: Callable[[], bool]) -> Iterator[ServerEvent]:
        headers = {"accept": "text/event-stream"} | place.header
        query = {} if customer_key is None else {"customer_key": customer_key}
        timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
        with self._http.stream("GET", "/events", params=query, headers=headers, timeout=timeout) as answer:
            if answer.status_code >= 300:
                refused(answer.status_code, answer.headers, answer.read())
            lines = Lines()
            for chunk in answer.iter_bytes():
                yield from place.reached(lines.feed(chunk))
                if over():
                    return

    def submit(self, *, idempotency_key: str | None = None, wait: float = 0.0, **fields: Any) -> Submitted:
        """Ask for one start; `fields` are those of the API, such as customer_key, mid, file, event_id and source.

        With an `idempotency_key` it is repeated after a fault, and counts once. `wait` is for the end, 30 s at most.
        """
        return self._do(calls.submit(idempotency_key, fields, wait))

    def reject(self, idempotency_key: str, **fields: Any) -> Rejection:
        """Record a request that must not be started, with `code` and `text`; gives its id and its state."""
        return self._do(calls.reject(idempotency_key, fields))

    def report(self, **fields: Any) -> bool:
        """Publish that a file starts nothing; False when that is known."""
        return self._do(calls.report(fields))

    def set_aside(self, **fields: Any) -> None:
        """Keep a record that cannot be read: `source`, `record_id`, `body_base64` and `text` with the reason."""
        self._do(calls.set_aside(fields))

    def note_folders(
        self, watcher: str, folders: Sequence[Mapping[str, Any]] | None, clock: float | None = None
    ) -> None:
        """Say what a watcher knows of its folders, None when it ends; and by how many seconds its clock is ahead."""
        self._do(calls.note_folders(watcher, folders, clock))

    def show(self, request_id: str, *, wait: float = 0.0) -> LifeView:
        """Show a request with its life; `wait` is for its end, 30 seconds at most."""
        return self._do(calls.show(request_id, wait))

    def requests(self, **query: Any) -> RequestPage:
        """List requests by list, state, mid, customer_key, file or waiting; with limit and cursor."""
        return self._do(calls.requests(**query))

    def failures(self, limit: int = 50) -> list[RequestView]:
        """List the newest requests that ended badly, did not go on and were not replayed since."""
        return self._do(calls.failures(limit))

    def search(self, text: str, mid: str | None = None) -> list[RequestView]:
        """Find requests by request id, Task.ID or file name, the newest first."""
        return self._do(calls.search(text, mid))

    def cancel(self, request_id: str, reason: str | None = None) -> ActionView:
        """End a request before its start."""
        return self._do(calls.act(request_id, "cancel", {"reason": reason}))

    def settle(self, request_id: str, reason: str) -> ActionView:
        """Say that the bad end of a request is dealt with."""
        return self._do(calls.act(request_id, "settle", {"reason": reason}))

    def force(self, request_id: str, reason: str) -> ActionView:
        """Let a request that waits start as soon as its definition is free."""
        return self._do(calls.act(request_id, "force", {"reason": reason}))

    def follow(self, request_id: str) -> ActionView:
        """Follow a run again whose following had timed out."""
        return self._do(calls.act(request_id, "follow", {}))

    def resolve(
        self,
        request_id: str,
        task_id: str | None,
        reason: str | None = None,
        *,
        unchecked: bool = False,
        force: bool = False,
    ) -> ActionView:
        """Record what became of a start that is unknown: the run `task_id`, or none."""
        given = {"task_id": task_id, "reason": reason, "unchecked": unchecked, "force": force}
        return self._do(calls.act(request_id, "resolve", given))

    def replay(
        self, request_id: str, idempotency_key: str, reason: str | None = None, *, force: bool = False
    ) -> ActionView:
        """Submit what a request asked for again, as a new request."""
        return self._do(calls.act(request_id, "replay", {"reason": reason, "force": force}, idempotency_key))

    def replay_many(self, idempotency_key: str, **body: Any) -> ReplaysView:
        """Replay the newest requests of a `state`, with `reason`; with `dry_run=False` it is done."""
        return self._do(calls.replay_many(body, idempotency_key))

    def status(self) -> StatusView:
        """Show the whole."""
        return self._do(calls.status())

    def now(self) -> float:
        """Give the time of Redis, in seconds since 1970."""
        return self._do(calls.now())

    def running(self) -> RunningView:
        """Count the workers and beats that live."""
        return self._do(calls.running())

    def standing(self, customer_key: str, mid: str | None = None, last: int = 10) -> StandingView:
        """Show one definition with its follow-ups and its newest events."""
        return self._do(calls.standing(customer_key, mid, last))

    def unmatched(self, last: int = 10, mid: str | None = None) -> UnmatchedView:
        """List files that start nothing, of all or of a business unit."""
        return self._do(calls.unmatched(last, mid))

    def definitions(self, cursor: str | None = None) -> DefinitionPage:
        """List the definitions that requests were for."""
        return self._do(calls.definitions(cursor))

    def usage(self) -> UsageView:
        """Show how many calls the account has made."""
        return self._do(calls.usage())

    def refresh(self, customer_key: str | None = None, mid: str | None = None) -> RefreshedView:
        """Let every process read a definition again, or all of a business unit."""
        return self._do(calls.refresh(customer_key, mid))

    def folders(self, file: str | None = None) -> list[FolderView]:
        """List the folders that are watched, or were; with `file` those in which a file of this name waits."""
        return self._do(calls.folders(file))

    def forget_folder(self, name: str) -> ForgottenView:
        """Forget a folder that no watcher shall read any more, by its location or its path."""
        return self._do(calls.forget_folder(name))

    def pauses(self) -> list[PauseView]:
        """List what is paused."""
        return self._do(calls.pauses())

    def pause(self, scope: str, reason: str, until: datetime | None = None) -> PauseView:
        """Let starts wait: of `all`, `mid:MID` or `key:MID:CustomerKey`."""
        return self._do(calls.pause(scope, reason, until))

    def resume(self, scope: str, reason: str | None = None) -> ResumedView:
        """End a pause."""
        return self._do(calls.resume(scope, reason))

    def dead_letters(self, cursor: str | None = None, limit: int = 50) -> DeadLetterPage:
        """List dead letters, oldest first."""
        return self._do(calls.dead_letters(cursor, limit))

    def dead_letter(self, letter_id: str) -> DeadLetterView:
        """Show a dead letter with its bytes."""
        return self._do(calls.dead_letter(letter_id))

    def replay_dead_letter(self, letter_id: str, queue: str | None = None) -> DoneView:
        """Put a message back at the end of its queue, or of another."""
        return self._do(calls.replay_dead_letter(letter_id, queue))

    def delete_dead_letter(self, letter_id: str) -> DoneView:
        """Delete a message for ever."""
        return self._do(calls.delete_dead_letter(letter_id))

    def events(
        self, after: str = "0-0", limit: int = 50, customer_key: str | None = None, types: Sequence[str] = ()
    ) -> EventPage:
        """Give events after a position, oldest first."""
        return self._do(calls.events(after, limit, customer_key, types))

    def newest_events(self, limit: int = 50, customer_key: str | None = None, types: Sequence[str] = ()) -> EventPage:
        """Give the newest events, oldest first."""
        return self._do(calls.newest_events(limit, customer_key, types))

    def runs(self, since: datetime | None = None, cursor: str | None = None, limit: int = 500) -> RunPage:
        """List the runs that have ended, oldest first."""
        return self._do(calls.runs(since, cursor, limit))

    def explain(self, **body: Any) -> list[ExplainedView]:
        """Say what a `file` or an `event` would start; `source` and `mid` as for the command."""
        return self._do(calls.explain(body))
