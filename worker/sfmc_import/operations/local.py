"""The operations over Redis, as one object: what the commands use where no SFMC_API_URL is set."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sfmc_import.access import ReadAccess, redis_errors
from sfmc_import.operations import (
    actions,
    forgetting,
    in_doubt,
    listing,
    refreshing,
    requests,
    resuming,
    runs,
    status,
    usage,
)
from sfmc_import.operations.forgetting import ForgottenView
from sfmc_import.operations.listing import DeadLetterPage, DeadLetterView, EventPage, RequestPage
from sfmc_import.operations.refreshing import RefreshedView
from sfmc_import.operations.runs import RunPage
from sfmc_import.operations.status import RunningView, StandingView, StatusView, UnmatchedView
from sfmc_import.operations.usage import UsageView
from sfmc_import.operations.views import ActionView, DoneView, FolderView, LifeView, PauseView, RequestView, ResumedView
from sfmc_import.redaction import hidden_in
from sfmc_import.request import fold_key


class LocalOperations:
    """See `Operations`; `operator` is who does it."""

    def __init__(self, access: ReadAccess, operator: str) -> None:
        self._access, self._operator = access, operator

    def now(self) -> float:
        """Give the time of Redis."""
        return self._access.reader.now()

    def status(self) -> StatusView:
        """Show the whole."""
        return status.status(self._access)

    def running(self) -> RunningView:
        """Count the workers and beats that live."""
        return status.running(self._access)

    def standing(self, customer_key: str, mid: str | None = None, last: int = 10) -> StandingView:
        """Show one definition."""
        return status.standing(self._access, customer_key, self._access.mid(mid), last)

    def unmatched(self, last: int = 10, mid: str | None = None) -> UnmatchedView:
        """List files that start nothing, of all or of a business unit."""
        return status.unmatched(self._access, last, mid)

    def requests(self, **query: Any) -> RequestPage:
        """List requests by list, state, mid, customer_key, file or waiting; with limit and cursor."""
        among, cursor, limit = (query.pop(*each) for each in (("list", None), ("cursor", None), ("limit", 50)))
        return listing.requests(self._access, listing.Filter(among=among, **query), cursor, limit)

    def search(self, text: str, mid: str | None = None) -> list[RequestView]:
        """Find requests by request id, Task.ID or file name."""
        return requests.find(self._access, text, self._access.mid(mid))

    def show(self, request_id: str) -> LifeView:
        """Show a request with its life."""
        return requests.whole(self._access, requests.show(self._access, request_id))

    def cancel(self, request_id: str, reason: str | None = None) -> ActionView:
        """End a request before its start."""
        return actions.cancel(self._access, self._id(request_id), self._operator, reason)

    def settle(self, request_id: str, reason: str) -> ActionView:
        """Say that the bad end of a request is dealt with."""
        return actions.settle(self._access, self._id(request_id), self._operator, reason)

    def force(self, request_id: str, reason: str) -> ActionView:
        """Let a request that waits start as soon as its definition is free."""
        return actions.force(self._access, self._id(request_id), self._operator, reason)

    def follow(self, request_id: str) -> ActionView:
        """Follow a run again whose following had timed out."""
        resuming.follow_again(self._access, self._id(request_id))
        view = requests.show(self._access, request_id)
        return ActionView(request_id=view.request_id, state=view.state, operator=self._operator)

    def resolve(
        self,
        request_id: str,
        task_id: str | None,
        reason: str | None = None,
        *,
        unchecked: bool = False,
        force: bool = False,
    ) -> ActionView:
        """Record what became of a start that is unknown."""
        from sfmc_import.operations import resolving  # noqa: PLC0415 - the SOAP library

        ask = None if unchecked else resolving.ask_marketing_cloud
        return resolving.resolve(
            self._access, self._id(request_id), task_id, self._operator, reason, force=force, ask=ask
        )

    def replay(
        self,
        request_id: str,
        idempotency_key: str,
        reason: str | None = None,
        *,
        force: bool = False,
    ) -> ActionView:
        """Submit what a request asked for again, as a new request, whose id is the key."""
        new_id, old_id = idempotency_key, self._id(request_id)
        return actions.replay(self._access, old_id, self._operator, reason, force=force, new_id=new_id)

    def usage(self) -> UsageView:
        """Show how many calls the account has made."""
        return usage.usage(self._access)

    def refresh(self, customer_key: str | None = None, mid: str | None = None) -> RefreshedView:
        """Let every process read a definition again, or all of a business unit."""
        return refreshing.refresh(self._access, self._access.mid(mid), customer_key, self._operator)

    def folders(self, file: str | None = None) -> list[FolderView]:
        """List the folders that are watched, or were; with `file` those in which a file of this name waits."""
        return list(in_doubt.folders(self._access, file))

    def forget_folder(self, name: str) -> ForgottenView:
        """Forget a folder that no watcher shall read any more, by its location or its path."""
        return forgetting.forget_folder(self._access, name, self._operator)

    def pauses(self) -> list[PauseView]:
        """List what is paused."""
        return actions.pauses(self._access)

    def pause(self, scope: str, reason: str, until: datetime | None = None) -> PauseView:
        """Let starts wait."""
        return actions.pause(self._access, self._spelled(scope), self._operator, reason, until)

    def resume(self, scope: str, reason: str | None = None) -> ResumedView:
        """End a pause."""
        return actions.resume(self._access, self._spelled(scope), self._operator, reason)

    def _id(self, request_id: str) -> str:
        return requests.spelled(self._access, request_id)

    def _spelled(self, scope: str) -> str:
        kind, _, rest = scope.partition(":")
        mid, _, key = rest.partition(":")
        return actions.scope_of(mid, self._access.reader.spelled(mid, key)) if kind == "key" else scope

    def dead_letters(self, cursor: str | None = None, limit: int = 50) -> DeadLetterPage:
        """List dead letters, oldest first."""
        with self._queue_errors():
            return listing.dead_letters(self._access, cursor, limit)

    def dead_letter(self, letter_id: str) -> DeadLetterView:
        """Show a dead letter with its bytes."""
        with self._queue_errors():
            return listing.dead_letter(self._access, letter_id)

    def replay_dead_letter(self, letter_id: str, queue: str | None = None) -> DoneView:
        """Put a message back at the end of its queue, or of another."""
        with self._queue_errors():
            return listing.replay_dead_letter(self._access, letter_id, self._operator, queue)

    def delete_dead_letter(self, letter_id: str) -> DoneView:
        """Delete a message for ever."""
        with self._queue_errors():
            return listing.delete_dead_letter(self._access, letter_id, self._operator)

    def _queue_errors(self) -> Any:
        return redis_errors(self._access.settings.broker, self._access.broker_variable)

    def events(
        self, after: str = "0-0", limit: int = 50, customer_key: str | None = None, types: Sequence[str] = ()
    ) -> EventPage:
        """Give events after a position, oldest first."""
        return listing.events(self._access, after, limit, key=customer_key, types=types)

    def newest_events(self, limit: int = 50, customer_key: str | None = None, types: Sequence[str] = ()) -> EventPage:
        """Give the newest events, oldest first."""
        return listing.newest_events(self._access, limit, key=customer_key, types=types)

    def live(
        self,
        after: str,
        customer_key: str | None = None,
        over: Callable[[], bool] = lambda: False,
        on_outage: Callable[[str], None] = lambda _: None,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield events after a position as they come."""
        for position, event in self._access.stream.live(after, on_outage, over):
            if customer_key is None or fold_key(str(event["subject"])) == fold_key(customer_key):
                yield position, hidden_in(event)

    def runs(self, since: datetime | None = None, cursor: str | None = None, limit: int = 500) -> RunPage:
        """List the runs that have ended, oldest first."""
        return runs.page(self._access, None if since is None else since.timestamp(), cursor, limit)
