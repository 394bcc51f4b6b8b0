"""The shapes of answers: what `--json` prints and the HTTP API and the console show. Times are ISO 8601 in UTC."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, PlainSerializer

from sfmc_import.attempts import Attempt, attempt_of
from sfmc_import.display import date_of
from sfmc_import.ends import actions
from sfmc_import.operations.errors import InvalidError
from sfmc_import.redaction import hidden_in
from sfmc_import.request import is_mid, plain_mid
from sfmc_import.states import NOT_IN_VAIN, UNFINISHED
from sfmc_import.waiting import Waiting


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[datetime, PlainSerializer(_iso, return_type=str, when_used="json")]


def time_of(seconds: float | None) -> datetime | None:
    """Give a time of the ledger (seconds since 1970) as a date; one that no calendar has as the nearest that it has."""
    return None if seconds is None else date_of(seconds)


class View(BaseModel):
    """An answer; fields that do not apply are null."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LastError(View):
    """What failed last, and `since` when it fails with this code, without a success or another wait in between.

    Where another code failed before that, `first_code` is the first one and `first_at` its begin.
    One that `is_past` failed before the request began to wait for another reason, and does not hold it now. `until` is
    when it is over where that is known: a spent budget is new with the next day or year.
    """

    code: str
    text: str
    at: Time
    since: Time | None = None
    is_past: bool = False
    until: Time | None = None
    first_code: str | None = None
    first_at: Time | None = None


class PauseView(View):
    """A pause: of `all`, of `mid:MID` or of `key:MID:CustomerKey`.

    `hint` says where one pause is answered that nothing of this name is known here; it holds what comes.
    """

    scope: str
    operator: str
    reason: str
    since: Time
    until: Time | None
    hint: str | None = None


class AwaitedView(View):
    """Where a definition stands whose completed run a request waits for: `text` says it.

    `request_id` is its request that runs or waits, with its `state` and since when it has that; else the newest that
    ended badly. Null where none is known. So many imports in a row as `consecutive_errors` ended in Error. One that
    fails now has the `code`, `fails_since` when, and the `deadline` at which it is given up, with the state `then`.
    """

    customer_key: str
    request_id: str | None = None
    state: str | None = None
    since: Time | None = None
    code: str | None = None
    fails_since: Time | None = None
    deadline: Time | None = None
    then: str | None = None
    consecutive_errors: int = 0
    text: str


class WaitingView(View):
    """Why a request waits: `reason` is one of waiting.md, `text` its sentence, `pause` what an operator said.

    With another reason than `paused` that pause holds it as well: it waits for the end of both.
    It is tried, looked for or followed until the `deadline`, and has the state `then` after it. `asked_since` is since
    when a worker asks for its definition or its run, without an answer yet. `awaited` says how the definition stands
    that it waits for (`after`). `places` names requests that run, where it waits until fewer do.
    """

    reason: str
    text: str
    since: Time | None
    until: Time | None
    held_by: str | None
    attempts: int
    last_error: LastError | None
    pause: PauseView | None = None
    deadline: Time | None = None
    then: str | None = None
    asked_since: Time | None = None
    awaited: AwaitedView | None = None
    places: str | None = None


class AttemptView(View):
    """An attempt that is under way: its number, since when, why the request waited before it, what failed last.

    `text` says what Marketing Cloud has not answered yet, and `until` how long the answer to the start is waited for:
    null where no worker waits for it any more.
    `waited` is a reason of waiting.md, and `waited_since` its begin: attempts between end no wait. The `deadline` of
    the request, and the state `then` after it, are as in a wait.
    """

    number: int
    since: Time | None
    waited: str | None
    waited_since: Time | None
    last_error: LastError | None
    deadline: Time | None = None
    then: str | None = None
    text: str | None = None
    until: Time | None = None


class WorkerView(View):
    """The worker that has a request now, of which it asks something or which it starts.

    Without an answer another worker takes the request up at `until`. `name` is empty where it is not known; one that
    `is_gone` said at `seen_at` last that it lives. `text` says all that.
    """

    name: str = ""
    is_gone: bool = False
    seen_at: Time | None = None
    until: Time | None = None
    text: str


class FileView(View):
    """The file that caused a request."""

    location: str = ""
    name: str
    arrived_as: str | None = None
    size: int | None = None
    version: str | None = None
    content_hash: str | None = None
    modified_at: Time | None = None
    fingerprint: str | None = None


class RequestView(View):
    """A request: where it stands, why it waits, and what an operator may do next.

    `why_ended` is what the event of a bad end says, while the stream has it, and `advice` what somebody should do
    about it, or about what keeps it waiting. `settled_by` is the newer request after whose import nothing of this one
    can be missing, or `settled_operator` who said that it is dealt with and `settled_reason` why; `newer_import` is the
    newest that has imported another file of the same name since, `replayed_by` the newest request with which it was
    asked for again, in the state `replay_state`. `worker` is the one that has it now.
    """

    request_id: str
    state: str
    is_finished: bool
    mid: str
    customer_key: str
    asked_key: str | None = None
    object_id: str | None = None
    attempt: int
    accepted_at: Time | None
    since: Time | None
    file: FileView | None
    source: str | None = None
    event_id: str | None = None
    force: bool = False
    reason: str | None = None
    replays: str | None = None
    replayed_by: str | None = None
    replay_state: str | None = None
    not_before: Time | None = None
    expires: Time | None = None
    reply_to: str | None = None
    reply_queue: str | None = None
    task_id: str | None = None
    soap_request_id: str | None = None
    import_status: str | None = None
    held_by: str | None = None
    settled_by: str | None = None
    settled_operator: str | None = None
    settled_reason: str | None = None
    newer_import: str | None = None
    waiting: WaitingView | None
    attempting: AttemptView | None = None
    worker: WorkerView | None = None
    why_ended: str | None = None
    advice: str | None = None
    next: list[str]

    @property
    def is_settled(self) -> bool:
        """Tell whether its bad end needs no person any more."""
        return self.settled_by is not None or self.settled_operator is not None

    @property
    def is_replayed(self) -> bool:
        """Tell whether a replay of it is under way, or may have imported its file."""
        return self.replay_state in NOT_IN_VAIN


class ActionView(View):
    """What an action led to: the state of the request after it."""

    request_id: str
    state: str
    operator: str
    new_request_id: str | None = None


class FolderFileView(View):
    """A file that waits in a folder: why, in words and as what its watcher said, since when, and what helps.

    One that every file waits with is tried again at `until`, and as long as it lasts; one that grows is complete then,
    if it does not change.
    """

    name: str
    reason: str
    text: str
    since: Time | None = None
    size: int | None = None
    code: str | None = None
    until: Time | None = None
    advice: str | None = None


class FolderView(View):
    """A folder in one state: since when, who reads it, how many files wait in it, and what somebody should do.

    A source that is no folder is shown as one; its process says in `looked_at` when it was answered last, and one that
    does not answer is asked again at `until`, and as long as it lasts.
    `command` is that which lets it be forgotten. Of many files that wait the oldest and the newest are named; `more`
    counts the others.
    """

    folder: str
    location: str
    state: str
    text: str
    since: Time | None = None
    until: Time | None = None
    seen_at: Time
    looked_at: Time | None = None
    watchers: tuple[str, ...] = ()
    is_trouble: bool = False
    advice: str | None = None
    command: str | None = None
    waiting: int = 0
    files: tuple[FolderFileView, ...] = ()
    more: int = 0


class LifeView(RequestView):
    """A request with its whole life: its events, oldest first, each with its `stream_id`.

    `others` are the ids of other requests that a search meant too; empty where one id is asked for.
    `folders` are those in which a file of the name that was searched for waits without a request. `in_the_way` says
    what is wrong with the folder of its file, such as that it cannot be read.
    """

    events: list[dict[str, Any]]
    in_the_way: tuple[str, ...] = ()
    others: list[str] = []
    folders: list[FolderView] = []


class ResumedView(View):
    """A pause that has ended; `had_ended` is when it had done so by itself: then nothing was done."""

    scope: str
    paused: bool = False
    had_ended: Time | None = None


class DoneView(View):
    """A dead letter that was `replayed` or `deleted`, and the queue."""

    id: str
    done: str
    queue: str


class NotDoneView(View):
    """A dead letter that was neither replayed nor deleted: why, and what to do."""

    id: str
    done: Literal["failed"] = "failed"
    text: str
    fix: str = ""


class RuleView(View):
    """One rule that was asked about a file."""

    rule: str
    matched: bool
    why: str = ""


class DecisionView(View):
    """What would follow: start, duplicate, wait, reject, nothing, ignored, set_aside or unknown; `text` says it."""

    what: str
    text: str
    reason: str = ""
    request_id: str | None = None
    until: str | None = None


class ExplainedView(View):
    """What a file would start, and why; of a record that is no file the decision alone."""

    file: dict[str, Any] | None = None
    rules: list[RuleView] = []
    decision: DecisionView
    request_id: str | None = None
    definition: dict[str, Any] | None = None
    group: str | None = None
    target: dict[str, Any] | None = None


class ReplaysView(View):
    """Which requests were, or would be, replayed.

    Left out are those that are `settled`, those of `imported` files: a newer file of their name was imported since, and
    those that are `replayed`: a replay is under way, or may have imported their file.
    `hint` says why there is none, where the filter names what is not known here.
    """

    dry_run: bool
    count: int
    request_ids: list[str]
    new_request_ids: list[str]
    settled: list[str] = []
    imported: list[str] = []
    replayed: list[str] = []
    hint: str | None = None


_PLAIN = (
    *("asked_key", "object_id", "source", "event_id", "reason", "task_id", "soap_request_id", "import_status"),
    *("reply_to", "reply_queue", "held_by", "settled_by", "settled_operator", "settled_reason", "replayed_by"),
    "replay_state",
)


def request_view(
    request_id: str,
    record: Mapping[str, Any],
    waiting: Waiting | None,
    pause: PauseView | None = None,
) -> RequestView:
    """Make the view of a request from its record, as the ledger's schema reads it, and the pause that it waits for."""
    file = record.get("file")
    return RequestView(
        request_id=request_id,
        state=record["state"],
        is_finished=record["state"] not in UNFINISHED,
        mid=record["mid"],
        customer_key=record["customer_key"],
        attempt=record.get("attempt", 0),
        accepted_at=time_of(record.get("accepted_at")),
        since=time_of(record.get("since")),
        file=None if file is None else file_view(file),
        force=record.get("force", False),
        replays=record.get("replays"),
        not_before=time_of(record.get("not_before")) if record["state"] == "accepted" else None,
        expires=time_of(record.get("expires")),
        newer_import=record.get("newer_import"),
        attempting=attempt_view(attempt_of(record)),
        waiting=None if waiting is None else waiting_view(waiting, pause, time_of(record.get("expires"))),
        next=_next(record, waiting, pause),
        **{name: record[name] for name in _PLAIN if name in record},
    )


def _next(record: Mapping[str, Any], waiting: Waiting | None, pause: PauseView | None) -> list[str]:
    is_paused = waiting is not None and (waiting.reason == "paused" or pause is not None)
    is_settled = not {"settled_by", "settled_operator"}.isdisjoint(record)
    gone_on = {"is_imported": "newer_import" in record, "is_replayed": record.get("replay_state") in NOT_IN_VAIN}
    found = actions(record["state"], None, is_settled=is_settled, **gone_on)
    if is_paused and "pause" in found:
        return ["resume", *(each for each in found if each != "pause")]
    return list(found)


def file_view(file: Mapping[str, Any]) -> FileView:
    """Make the view of a file from what a record or an event has of it."""
    known = {name: file[name] for name in FileView.model_fields if name in file}
    modified = file.get("modified_ns")
    return FileView(**known, modified_at=None if modified is None else time_of(int(modified) / 1e9))


def waiting_view(waiting: Waiting, pause: PauseView | None = None, expires: datetime | None = None) -> WaitingView:
    """Make the view of a wait; one for a pause without an end lasts until the request expires, if it does."""
    error, is_paused = waiting.last_error, waiting.reason == "paused"
    is_open = is_paused and pause is not None and pause.until is None
    return WaitingView(
        reason=waiting.reason,
        text=waiting.text,
        since=time_of(waiting.since),
        until=expires if is_open else time_of(waiting.until),
        held_by=waiting.held_by,
        attempts=waiting.attempts,
        last_error=None if error is None else _last_error(error),
        pause=pause,
        deadline=time_of(waiting.deadline),
        then=waiting.then,
        asked_since=time_of(waiting.asked_since),
    )


def _last_error(error: Mapping[str, Any]) -> LastError:
    times: dict[str, Any] = {name: time_of(error.get(name)) for name in ("at", "since", "first_at")}
    said: dict[str, Any] = hidden_in({"code": error["code"], "text": error["text"]})
    return LastError(**said, **times, is_past=error.get("is_past", False), first_code=error.get("first_code"))


def attempt_view(attempt: Attempt | None) -> AttemptView | None:
    """Make the view of an attempt."""
    if attempt is None:
        return None
    error = attempt.last_error
    return AttemptView(
        number=attempt.number,
        since=time_of(attempt.since),
        waited=attempt.waited,
        waited_since=time_of(attempt.waited_since),
        last_error=None if error is None else _last_error(error),
        deadline=time_of(attempt.deadline),
        then=attempt.then,
        text=attempt.text or None,
        until=time_of(attempt.until),
    )


def scope_of(mid: str | None, customer_key: str | None) -> str:
    """Give the name of what is paused: `all`, `mid:MID` or `key:MID:CustomerKey`; raises InvalidError."""
    if mid is None and customer_key is None:
        return "all"
    number = plain_mid(mid or "")
    if not is_mid(number):
        raise InvalidError(f"{mid or 'nothing'} is no business unit", "give its MID, or set SFMC_ACCOUNT_ID")
    return f"mid:{number}" if customer_key is None else f"key:{number}:{customer_key}"
