"""What an operator can ask and do: the same over Redis (`local`) and over the HTTP API (`api_client`)."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from sfmc_import.operations.forgetting import ForgottenView
from sfmc_import.operations.listing import DeadLetterPage, DeadLetterView, EventPage, RequestPage
from sfmc_import.operations.refreshing import RefreshedView
from sfmc_import.operations.runs import RunPage
from sfmc_import.operations.status import RunningView, StandingView, StatusView, UnmatchedView
from sfmc_import.operations.usage import UsageView
from sfmc_import.operations.views import ActionView, DoneView, FolderView, LifeView, PauseView, RequestView, ResumedView


class Operations(Protocol):
    """Each raises the errors of `operations.errors`, and ServiceUnavailableError."""

    def now(self) -> float:
        """Give the time by which the answers are made, in seconds since 1970."""
        ...

    def status(self) -> StatusView:
        """Show the whole."""
        ...

    def running(self) -> RunningView:
        """Count the workers and beats that live."""
        ...

    def standing(self, customer_key: str, mid: str | None = None, last: int = 10) -> StandingView:
        """Show one definition."""
        ...

    def unmatched(self, last: int = 10, mid: str | None = None) -> UnmatchedView:
        """List files that start nothing, of all or of a business unit."""
        ...

    def requests(self, **query: Any) -> RequestPage:
        """List requests by list, state, mid, customer_key, file or waiting; with limit and cursor."""
        ...

    def search(self, text: str, mid: str | None = None) -> list[RequestView]:
        """Find requests by request id, Task.ID or file name, the newest first."""
        ...

    def show(self, request_id: str) -> LifeView:
        """Show a request with its life."""
        ...

    def cancel(self, request_id: str, reason: str | None = None) -> ActionView:
        """End a request before its start."""
        ...

    def settle(self, request_id: str, reason: str) -> ActionView:
        """Say that the bad end of a request is dealt with."""
        ...

    def force(self, request_id: str, reason: str) -> ActionView:
        """Let a request that waits start as soon as its definition is free."""
        ...

    def follow(self, request_id: str) -> ActionView:
        """Follow a run again whose following had timed out."""
        ...

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
        ...

    def replay(
        self, request_id: str, idempotency_key: str, reason: str | None = None, *, force: bool = False
    ) -> ActionView:
        """Submit what a request asked for again, as a new request."""
        ...

    def usage(self) -> UsageView:
        """Show how many calls the account has made."""
        ...

    def refresh(self, customer_key: str | None = None, mid: str | None = None) -> RefreshedView:
        """Let every process read a definition again, or all of a business unit."""
        ...

    def folders(self, file: str | None = None) -> list[FolderView]:
        """List the folders that are watched, or were; with `file` those in which a file of this name waits."""
        ...

    def forget_folder(self, name: str) -> ForgottenView:
        """Forget a folder that no watcher shall read any more, by its location or its path."""
        ...

    def pauses(self) -> list[PauseView]:
        """List what is paused."""
        ...

    def pause(self, scope: str, reason: str, until: datetime | None = None) -> PauseView:
        """Let starts wait: of `all`, `mid:MID` or `key:MID:CustomerKey`."""
        ...

    def resume(self, scope: str, reason: str | None = None) -> ResumedView:
        """End a pause."""
        ...

    def dead_letters(self, cursor: str | None = None, limit: int = 50) -> DeadLetterPage:
        """List dead letters, oldest first."""
        ...

    def dead_letter(self, letter_id: str) -> DeadLetterView:
        """Show a dead letter with its bytes."""
        ...

    def replay_dead_letter(self, letter_id: str, queue: str | None = None) -> DoneView:
        """Put a message back at the end of its queue, or of another."""
        ...

    def delete_dead_letter(self, letter_id: str) -> DoneView:
        """Delete a message for ever."""
        ...

    def events(
        self, after: str = "0-0", limit: int = 50, customer_key: str | None = None, types: Sequence[str] = ()
    ) -> EventPage:
        """Give events after a position, oldest first."""
        ...

    def newest_events(self, limit: int = 50, customer_key: str | None = None, types: Sequence[str] = ()) -> EventPage:
        """Give the newest events, oldest first."""
        ...

    def live(
        self,
        after: str,
        customer_key: str | None = None,
        over: Callable[[], bool] = lambda: False,
        on_outage: Callable[[str], None] = lambda _: None,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield events after a position as they come; an outage is reported once and waited for."""
        ...

    def runs(self, since: datetime | None = None, cursor: str | None = None, limit: int = 500) -> RunPage:
        """List the runs that have ended, oldest first."""
        ...
