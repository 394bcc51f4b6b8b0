"""Declares the Celery tasks: each reads its message, calls the use case and logs the outcome.

Producers send `imports.start` to the queue `imports`, and the sweep sends `imports.wake` there. Beat sends
`imports.sweep` and the sweep `imports.follow` to the queue `imports.upkeep`, where they wait behind no start. A sweep
that finds many due requests sends another to `imports`, among their wake-ups.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeVar
from uuid import NAMESPACE_OID, uuid5

import structlog
from celery import Task
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from sfmc_import import following, messages, own_errors, replies, request, service
from sfmc_import.calls import TooManySlowCallsError
from sfmc_import.celery_app import app
from sfmc_import.outcomes import Outcome
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.request import (
    FIELDS,
    BadRequestError,
    Delivery,
    IdTakenError,
    StartRequest,
    arguments_by_name,
    read_request,
    request_id_of,
    unknown_names,
)
from sfmc_import.retrying import PUBLISH, WAKE_PAUSE_SECONDS
from sfmc_import.states import NOT_STARTED, TERMINAL, DueRequest, Reply
from sfmc_transport import ONCE_HEADER
from sfmc_transport.consumer import GivenBackError, RefusedError

log = structlog.get_logger("sfmc_import.tasks")
T = TypeVar("T")

_LEVELS = {
    "start_unknown": "error",
    "request_start_unknown": "error",
    "request_gave_up": "error",
    "start_not_recorded": "error",
    "follow_lost": "error",
    "start_rejected": "error",
    "start_ambiguous": "warning",
    "start_retry_scheduled": "warning",
    "follow_retry_scheduled": "warning",
    "lease_lost": "warning",
    "import_status_undocumented": "warning",
    "import_suspicious": "warning",
}
OUTCOMES = frozenset({"started", NOT_STARTED, *TERMINAL})
"""States in which the outcome of a start is known."""

PROOF_SECONDS = 600
"""How long it can be seen that a reply was sent: it is noted at once."""

PROBLEM_LENGTH = 300
"""So much is logged of what a sweep could not send."""

MAX_NAMES = 20
"""How many unknown names of one message are logged."""

# Every request of the account waits until a person fixes these.
_LOUD_CODES = frozenset({"login_failed", "token_refused", "http_refused"})


# Any arguments are taken: what a sender may write is wider than what is read, and `request` says what is wrong. If all
# else fails, the message is kept as a dead letter.
@app.task(
    name=request.START,
    bind=True,
    typing=False,
    acks_on_failure=False,
    Request="sfmc_import.messages:MessageRequest",
)
def start(self: "Task[..., Any]", /, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Carry a request as far as it can go now; gives where it stands and, once started, its task_id."""
    request_id = request_id_of(self.request.id)
    outcome = run_task_body("imports_start_failed", lambda: _start(request_id, args, kwargs, self.request))
    if outcome["state"] == "failed" and not run_task_body("imports_start_failed", lambda: _lookup(request_id)).get(
        "found"
    ):
        # Nothing else remembers this message: it becomes a dead letter.
        raise RefusedError("task_failed", f"{outcome['error']}; the log has more")
    if outcome["state"] not in OUTCOMES and messages.caller_of(self.request):
        self.request.ignore_result = True  # not yet: the sweep stores it when the outcome is known
    return outcome


@app.task(name=request.WAKE)
def wake(request_id: str) -> dict[str, Any]:
    """Go on with a request that is due."""
    return run_task_body("imports_wake_failed", lambda: _wake(*_request_ids([request_id])))


@app.task(name=request.FOLLOW)
def follow(request_ids: list[str]) -> dict[str, Any]:
    """Poll the runs of these requests, with one query for each business unit."""
    return run_task_body("imports_follow_failed", lambda: _follow(_request_ids(request_ids)))


@app.task(name=request.SWEEP)
def sweep() -> dict[str, Any]:
    """Wake whatever is due."""
    return run_task_body("imports_sweep_failed", _sweep, gives_back=False)


def run_task_body(event: str, work: Callable[[], dict[str, Any]], *, gives_back: bool = True) -> dict[str, Any]:
    """Run the body of a task; the edge where nothing may escape but a message that goes back to the queue.

    One that does not comes again by itself, and less often than a queue would give it.
    """
    app.outlived.report(app.deps.ledger)
    try:
        return work()
    except LedgerUnavailableError as error:
        log.error("ledger_unreachable", error=str(error), action="requeued" if gives_back else "left to the next one")
        if not gives_back:
            return {"state": "failed", "error": type(error).__name__}
        raise GivenBackError(str(error)) from error
    except RefusedError:
        raise
    except Exception as error:
        # A task that ends by exception would be lost: the ledger wakes the request again when its time comes.
        log.exception(event)
        return {"state": "failed", "error": type(error).__name__}


def _start(request_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], context: Any) -> dict[str, Any]:
    delivery = Delivery(**getattr(context, messages.ASKED_TIMES, {}))
    try:
        message = arguments_by_name(args, kwargs)
        found = read_request(request_id, app.settings.account_id or "", message, delivery)
        outcome = _start_request(replace(found, caller=messages.caller_of(context)))
        _confirm(request_id, outcome["state"])
    except BadRequestError as error:
        log.error("request_refused", request_id=request_id, problems=error.problems)
        code = messages.ID_TAKEN if isinstance(error, IdTakenError) else "invalid_request"
        raise RefusedError(code, str(error)) from error
    ignored = [*unknown_names(message), *(f"argument {place}" for place in range(len(FIELDS) + 1, len(args) + 1))]
    if ignored:
        log.warning("arguments_ignored", request_id=request_id, names=ignored[:MAX_NAMES])
    return outcome


def _confirm(request_id: str, state: str) -> None:
    """Have a request confirmed before its message is acknowledged, where that lies in another Redis than the ledger.

    In one Redis the message goes where its record is, and after it, also on disk. A start has its confirmed intent.
    """
    settings = app.settings
    if settings.durability != "none" and state != "started" and settings.broker != settings.redis:
        app.deps.ledger.confirm([request_id])


def _request_ids(named: object) -> list[str]:
    try:
        return messages.request_ids_of(named)
    except BadRequestError as error:
        log.error("arguments_refused", problems=error.problems)
        raise RefusedError("wrong_arguments", str(error)) from error


def _lookup(request_id: str) -> dict[str, Any]:
    return {"found": app.deps.ledger.load(request_id) is not None}


def _wake(request_id: str) -> dict[str, Any]:
    request = app.deps.ledger.load(request_id)
    if request is None:
        log.warning("request_not_in_ledger", request_id=request_id)
        return {"request_id": request_id, "state": "gone"}
    return _start_request(request)


def _start_request(request: StartRequest) -> dict[str, Any]:
    names = {"request_id": request.request_id, "customer_key": request.customer_key, "mid": request.mid}

    def is_recorded() -> bool:
        # The message is acknowledged when its thread takes other work: from then on only the ledger remembers it.
        with suppress(LedgerUnavailableError, BadRequestError):
            app.deps.ledger.accept(request)
            _confirm(request.request_id, "starting")
            return True
        return False

    with structlog.contextvars.bound_contextvars(**names):
        try:
            app.slow_calls.check_room()
            outcome = _carry(request, is_recorded)
        except TooManySlowCallsError:
            app.deps.ledger.accept(request)
            log.warning("start_postponed", reason="slow_calls", limit=app.settings.slow_calls)
            return {"request_id": request.request_id, "state": "postponed"}
    return outcome or {"request_id": request.request_id, "state": "starting"}


def _carry(request: StartRequest, may_detach: Callable[[], bool]) -> dict[str, Any] | None:
    """Carry a request here while only the ledger is asked: another thread costs as much as the ledger."""
    owner = app.new_owner()
    with _waiting_after_error(request, owner), app.deps.together():
        begun = service.begin(request, owner, app.deps)
    if isinstance(begun, Outcome):
        return _say(request, begun)

    def go_on() -> dict[str, Any]:
        with _waiting_after_error(request, owner), app.deps.together():
            outcome = begun()
        return _say(request, outcome)

    return _without_waiting(go_on, may_detach)


@contextmanager
def _waiting_after_error(request: StartRequest, owner: str) -> Iterator[None]:
    """Let a request wait that met an error of ours: this worker lives, and its lease must not run out as if it died."""
    with app.outlived.noting(owner, [request.request_id]):
        try:
            yield
        except (LedgerUnavailableError, BadRequestError):
            raise
        except Exception as error:
            outcome = own_errors.wait(request, owner, error, app.deps)
            if outcome is not None:
                _log_outcome(outcome)
            raise


def _say(request: StartRequest, outcome: Outcome) -> dict[str, Any]:
    _log_outcome(outcome)
    return {"request_id": request.request_id, "state": outcome.state, **outcome.facts}


def _without_waiting(work: Callable[[], dict[str, Any]], may_detach: Callable[[], bool]) -> dict[str, Any] | None:
    """Give the outcome of this work; None when it takes some seconds and goes on by itself."""
    return app.slow_calls.run(work, may_detach, _log_late_error)


def _log_late_error(ended: "Future[dict[str, Any]]") -> None:
    """Log how work failed that went on by itself; the sweep wakes what it was about."""
    try:
        ended.result()
    except LedgerUnavailableError as error:
        log.error("ledger_unreachable", error=str(error), action="left_to_the_sweep")
    except Exception:
        log.exception("imports_slow_call_failed")


def _log_outcome(outcome: Outcome, **names: Any) -> None:
    loud = outcome.facts.get("code") in _LOUD_CODES
    level = "error" if loud else _LEVELS.get(outcome.event, "info")
    getattr(log, level)(outcome.event, state=outcome.state, **names, **outcome.facts)


def _follow(request_ids: Sequence[str]) -> dict[str, Any]:
    try:
        app.slow_calls.check_room()
        return _without_waiting(lambda: _poll(request_ids), lambda: True) or {"followed": 0, "news": 0}
    except TooManySlowCallsError:
        log.warning("poll_postponed", reason="slow_calls", limit=app.settings.slow_calls)
        return {"followed": 0, "news": 0}


def _poll(request_ids: Sequence[str]) -> dict[str, Any]:
    owner = app.new_owner()
    with app.outlived.noting(owner, request_ids):
        news = _news_of(request_ids, owner)
    for run, outcome in news:
        names = {"request_id": run.request_id, "customer_key": run.customer_key, "mid": run.mid}
        _log_outcome(outcome, task_id=run.task_id, **names)
    return {"followed": len(request_ids), "news": len(news)}


def _news_of(request_ids: Sequence[str], owner: str) -> list[following.News]:
    """Poll these runs; one that meets an error of ours is found by halves, and keeps no other from being followed."""
    try:
        return following.follow(request_ids, owner, app.deps)
    except LedgerUnavailableError:
        raise
    except Exception as error:
        half = len(request_ids) // 2
        if half:
            return [*_news_of(request_ids[:half], owner), *_news_of(request_ids[half:], owner)]
        log.exception("imports_follow_failed", request_id=request_ids[0])
        return own_errors.postpone(request_ids, error, app.deps)


def _sweep() -> dict[str, Any]:
    settings = app.settings
    pause = min(WAKE_PAUSE_SECONDS, settings.lease_seconds / 2)
    send_wake, send_follow = one_by_one(_wake_in_turn()), one_by_one(_send_follow)
    swept = following.sweep(app.deps.ledger, send_wake, send_follow, limit=settings.sweep_batch, pause=pause)
    for request_id in swept.missing_record:
        log.error("request_record_missing", request_id=request_id)
    published = _report(lambda: messages.publish_rejections(app.broker_redis, settings, app.deps.ledger))
    is_beside = settings.broker == settings.redis
    stored = _report(lambda: messages.store_results(app.backend, app.deps.ledger, is_beside=is_beside))
    replied = _report(lambda: replies.send_replies(app.deps.ledger, _send_reply, pause))
    app.deps.count_usage()
    if swept.woken or swept.followed:
        log.debug("sweep_done", woken=swept.woken, followed=swept.followed)
    reported = {"rejections": published, "results": stored, "replies": replied}
    return {"woken": swept.woken, "followed": swept.followed, **reported}


def _report(action: Callable[[], int]) -> int:
    """Report to senders; where their Redis fails the next sweep goes on."""
    try:
        return action()
    except RedisError as error:
        log.warning("reports_not_sent", redis=app.settings.broker.shown, error=str(error))
        return 0
    except LedgerUnavailableError:
        raise
    except Exception:
        # The other reports, and the next sweep, go on.
        log.exception("imports_sweep_failed")
        return 0


def one_by_one(send: Callable[[T], None]) -> Callable[[T], None]:
    """Let an error of ours with one record keep no other from being sent; without its broker a sweep ends."""

    def guarded(what: T) -> None:
        try:
            send(what)
        except (KombuError, RedisError, OSError):
            raise
        except Exception:
            log.exception("imports_sweep_failed", about=str(what)[:PROBLEM_LENGTH])

    return guarded


def _send_reply(reply: Reply) -> str:
    """Send the end of a request to a task of its sender; the same end has the same id of its task.

    Gives the key that it leaves beside the message, where the ledger is there too.
    """
    task_id = str(uuid5(NAMESPACE_OID, f"{reply.event['id']}/{reply.task}"))
    options: dict[str, Any] = {"queue": reply.queue, "task_id": task_id, "root_id": task_id, "ignore_result": True}
    with app.producer_pool.acquire(block=True) as producer:
        given: dict[str, Any] = {
            "kwargs": {"event": reply.event},
            "producer": producer,
            "retry": True,
            "retry_policy": PUBLISH,
        }
        app.send_task(reply.task, **given, **options)
        if app.settings.broker != app.settings.redis:
            return ""
        # On the connection that sent the message: kombu puts its prefix before the name.
        key = f"{app.settings.transport_prefix}sent:{task_id}"
        channel: Any = producer.channel
        channel.client.set(key, 1, ex=PROOF_SECONDS)
    return f"{app.settings.broker_prefix}{key}"


def _wake_in_turn() -> Callable[[DueRequest], None]:
    """Send wake-ups, and in the middle of a large batch a sweep that stands in line with them.

    So the next requests are taken as soon as the workers have done half of these, and no more than they can do.
    """
    counted = itertools.count(1)
    half = max(1, app.settings.sweep_batch // 2)

    def send(due: DueRequest) -> None:
        _send_wake(due)
        if next(counted) == half and app.settings.transport == "reliable":
            _send_sweep()

    return send


def _send_sweep() -> None:
    """Send a sweep behind the wake-ups, unless one waits there already."""
    options: dict[str, Any] = {"headers": {ONCE_HEADER: ["sweep"]}, "retry": True, "retry_policy": PUBLISH}
    sweep.apply_async(queue=request.QUEUE, ignore_result=True, **options)


def _send_wake(due: DueRequest) -> None:
    names = {"request_id": due.request_id, "customer_key": due.customer_key, "mid": due.mid}
    attempt = str(due.attempt + (due.state != "reconciling"))
    _send(wake, due.request_id, names | {"attempt": attempt}, [f"wake/{due.request_id}"])


def _send_follow(request_ids: Sequence[str]) -> None:
    _send(follow, list(request_ids), {}, [f"follow/{request_id}" for request_id in request_ids])


def _send(task: "Task[..., Any]", argument: object, headers: Mapping[str, str], once: list[str]) -> None:
    """Send a wake-up, unless one for the same waits already."""
    task.apply_async((argument,), headers={**headers, ONCE_HEADER: once}, retry=True, retry_policy=PUBLISH)  # type: ignore[dict-item]
