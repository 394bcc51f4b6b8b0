"""Declares the Celery tasks: each reads its message, calls the use case and logs the outcome.

All are in the queue `imports`: producers send `imports.start`, beat sends `imports.sweep`, and the sweep sends
`imports.wake` and `imports.follow`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from uuid import NAMESPACE_OID, uuid4, uuid5

import structlog
from celery import Task
from celery.exceptions import Reject

from sfmc_import import request, service
from sfmc_import.celery_app import app
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.request import BadRequestError, StartRequest, read_request
from sfmc_import.retrying import PUBLISH, WAKE_PAUSE_SECONDS
from sfmc_import.service import Outcome
from sfmc_import.states import DueRequest
from sfmc_transport import ONCE_HEADER

log = structlog.get_logger("sfmc_import.tasks")
T = TypeVar("T")

_LEVELS = {
    "start_unknown": "error",
    "request_start_unknown": "error",
    "request_gave_up": "error",
    "start_not_recorded": "error",
    "start_rejected": "error",
    "start_ambiguous": "warning",
    "start_retry_scheduled": "warning",
    "follow_retry_scheduled": "warning",
    "lease_lost": "warning",
    "import_status_undocumented": "warning",
}
# Every request of the account waits until a person fixes these.
_LOUD_CODES = frozenset({"login_failed", "token_refused"})


@app.task(name=request.START, bind=True)
def start(
    self: "Task[..., Any]",
    customer_key: Any = None,
    mid: Any = None,
    file: Any = None,
    event_id: Any = None,
    source: Any = None,
    force: Any = False,
    reason: Any = None,
    object_id: Any = None,
) -> dict[str, Any]:
    """Carry a request as far as it can go now; gives where it stands and, once started, its task_id."""
    given = {"mid": mid, "file": file, "event_id": event_id, "source": source, "reason": reason}
    given |= {"customer_key": customer_key, "object_id": object_id}
    message = {"force": force} | {k: v for k, v in given.items() if v is not None}
    request_id = _request_id(self)
    outcome = run_task_body("imports_start_failed", lambda: _start(request_id, message))
    if outcome["state"] == "failed" and not run_task_body("imports_start_failed", lambda: _lookup(request_id)).get(
        "found"
    ):
        # Nothing else remembers this message: it becomes a dead letter.
        raise Reject(outcome["error"], requeue=False)
    return outcome


@app.task(name=request.WAKE)
def wake(request_id: str) -> dict[str, Any]:
    """Go on with a request that is due."""
    return run_task_body("imports_wake_failed", lambda: _wake(str(request_id)))


@app.task(name=request.FOLLOW)
def follow(request_ids: list[str]) -> dict[str, Any]:
    """Poll the runs of these requests, with one query for each business unit."""
    return run_task_body("imports_follow_failed", lambda: _follow(request_ids))


@app.task(name=request.SWEEP)
def sweep() -> dict[str, Any]:
    """Wake whatever is due."""
    return run_task_body("imports_sweep_failed", _sweep)


def run_task_body(event: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run the body of a task; the edge where nothing may escape but a message that goes back to the queue."""
    try:
        return work()
    except LedgerUnavailableError as error:
        log.error("ledger_unreachable", error=str(error), action="requeued")
        raise Reject(str(error), requeue=True) from error
    except Exception as error:
        # A task that ends by exception would be lost: the ledger wakes the request again when its time comes.
        log.exception(event)
        return {"state": "failed", "error": type(error).__name__}


def _request_id(task: "Task[..., Any]") -> str:
    identity = str(task.request.id)
    # Foreign clients may choose any id; ours name keys and event ids.
    return (
        identity if len(identity) <= 64 and identity.replace("-", "").isalnum() else str(uuid5(NAMESPACE_OID, identity))
    )


def _start(request_id: str, message: Mapping[str, Any]) -> dict[str, Any]:
    default_mid = app.settings.account_id or ""
    try:
        request = read_request(request_id, default_mid, message)
    except BadRequestError as error:
        return _refuse(request_id, default_mid, message, error)
    return _start_request(request)


def _refuse(request_id: str, mid: str, message: Mapping[str, Any], error: BadRequestError) -> dict[str, Any]:
    key = str(message.get("customer_key") or message.get("object_id") or "(none)")[: request.MAX_TEXT_LENGTH]
    app.deps.ledger.refuse(StartRequest(request_id=request_id, customer_key=key, mid=mid), "invalid", str(error))
    log.error("request_refused", request_id=request_id, customer_key=key, problems=error.problems)
    return {"request_id": request_id, "state": "rejected", "text": str(error)}


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
    with structlog.contextvars.bound_contextvars(**names):
        outcome = service.start(request, uuid4().hex, app.deps)
        _log_outcome(outcome)
    return {"request_id": request.request_id, "state": outcome.state, **outcome.facts}


def _log_outcome(outcome: Outcome, **names: Any) -> None:
    loud = outcome.facts.get("code") in _LOUD_CODES
    level = "error" if loud else _LEVELS.get(outcome.event, "info")
    getattr(log, level)(outcome.event, state=outcome.state, **names, **outcome.facts)


def _follow(request_ids: Sequence[str]) -> dict[str, Any]:
    news = service.follow(request_ids, app.deps)
    for run, outcome in news:
        names = {"request_id": run.request_id, "customer_key": run.customer_key, "mid": run.mid}
        _log_outcome(outcome, task_id=run.task_id, **names)
    return {"followed": len(request_ids), "news": len(news)}


def _sweep() -> dict[str, Any]:
    settings = app.settings
    pause = min(WAKE_PAUSE_SECONDS, settings.lease_seconds / 2)
    swept = service.sweep(app.deps.ledger, _send_wake, _send_follow, limit=settings.sweep_batch, pause=pause)
    for request_id in swept.missing_record:
        log.error("request_record_missing", request_id=request_id)
    if swept.woken or swept.followed:
        log.debug("sweep_done", woken=swept.woken, followed=swept.followed)
    return {"woken": swept.woken, "followed": swept.followed}


def _send_wake(due: DueRequest) -> None:
    names = {"request_id": due.request_id, "customer_key": due.customer_key, "mid": due.mid}
    attempt = str(due.attempt + (due.state != "reconciling"))
    _send(wake, due.request_id, names | {"attempt": attempt}, [f"wake/{due.request_id}"])


def _send_follow(request_ids: Sequence[str]) -> None:
    _send(follow, list(request_ids), {}, [f"follow/{request_id}" for request_id in request_ids])


def _send(task: "Task[..., Any]", argument: object, headers: Mapping[str, str], once: list[str]) -> None:
    """Send a wake-up, unless one for the same waits already."""
    task.apply_async((argument,), headers={**headers, ONCE_HEADER: once}, retry=True, retry_policy=PUBLISH)  # type: ignore[dict-item]
