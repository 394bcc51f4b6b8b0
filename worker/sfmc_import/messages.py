"""The messages of imports.start: their times, who waits for their result, and what becomes of one that is refused."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from celery.backends.base import DisabledBackend
from celery.states import READY_STATES, SUCCESS
from redis import Redis
from redis.exceptions import RedisError

from sfmc_import.following import FOLLOW_BATCH
from sfmc_import.ledger.keys import Keys as LedgerKeys
from sfmc_import.ledger.schema import REPORT
from sfmc_import.ports import Ledger, LedgerUnavailableError
from sfmc_import.request import (
    FOLLOW,
    MAX_TEXT_LENGTH,
    START,
    SWEEP,
    WAKE,
    BadRequestError,
    Delivery,
    arguments_by_name,
    is_mid,
    plain_mid,
    read_request,
    request_id_of,
)
from sfmc_import.settings import Settings
from sfmc_import.states import Result
from sfmc_transport import Keys, dead_letters
from sfmc_transport.consumer import Request
from sfmc_transport.dead_letters import DeadLetter
from sfmc_transport.unpacking import unpacked

ASKED_TIMES = "sfmc_asked_times"
"""The name under which a task finds the times that its sender asked for."""


class MessageRequest(Request):
    """Takes a message when it is first seen: the ledger keeps its ETA and its expiry, not the memory of a worker.

    Celery would hold a message with an ETA in this process, drop one that expired or was revoked, and end a start that
    takes longer than its sender allows.
    """

    def __init__(self, message: Any, *, headers: Any = None, **options: Any) -> None:
        given: dict[str, Any] = dict(message.headers if headers is None else headers)
        times = {name: given.pop(name, None) for name in ("eta", "expires")}
        given |= {ASKED_TIMES: times, "timelimit": None}
        super().__init__(message, headers=given, **options)
        app: Any = self.app
        settings: Settings = app.settings
        if settings.broker == settings.redis:
            # A primary that took over may lack the record: then it must not forget the message.
            message.record = LedgerKeys(settings.prefix).request(request_id_of(self.id))

    def revoked(self) -> bool:
        """No: whether a request starts is for the ledger to say, and Celery would drop the message without an event."""
        return False


log = structlog.get_logger("sfmc_import.tasks")
EVENT = "message_rejected"
RETURNED = "returned_too_often"
ID_TAKEN = "id_taken"
"""Why a message is refused whose id was accepted with other content."""

BATCH = 100


def publish_rejections(broker: Redis, settings: Settings, ledger: Ledger) -> int:
    """Publish the events of dead letters that have none, and count them; each comes once, whoever dies in between."""
    keys, count = Keys(settings.transport_prefix, settings.broker_prefix), 0
    for name, letter in dead_letters.unreported(broker, keys, BATCH):
        try:
            count += _publish(name, letter, broker, settings, ledger)
        except (RedisError, LedgerUnavailableError):
            raise
        except Exception:
            log.exception("imports_sweep_failed", dead_letter=name)
    return count


def _publish(name: str, letter: DeadLetter | None, broker: Redis, settings: Settings, ledger: Ledger) -> int:
    """Publish the event of one dead letter; 0 where its request goes on."""
    keys, count = Keys(settings.transport_prefix, settings.broker_prefix), 0
    if letter is not None and _goes_on(letter, settings.account_id or "", ledger):
        record = _record_of(letter, settings)
    else:
        data = _without_a_foreign_id(rejection_of(name, letter, settings.account_id), ledger)
        report = f"dead-letter/{name}"
        ledger.report(report, EVENT, data["mid"], data["customer_key"] or "(none)", data)
        record, count = LedgerKeys(settings.prefix).name_of(REPORT, report, EVENT), 1
    dead_letters.reported(broker, keys, name, record if settings.broker == settings.redis else "")
    return count


def _record_of(letter: DeadLetter, settings: Settings) -> str:
    """Name the record of a request that goes on from the ledger; nothing for what is sent again by each sweep."""
    headers, _ = read_message(letter.entry)
    request_id = _request_id(headers)
    return LedgerKeys(settings.prefix).request(request_id) if request_id else ""


def _without_a_foreign_id(data: dict[str, Any], ledger: Ledger) -> dict[str, Any]:
    """Let an event name a request that the ledger has only if the message was compared with it and is another one.

    What cannot be read, or is no request, could name any: its id stays in `message_id`.
    """
    known = data["request_id"] is not None and ledger.load(data["request_id"]) is not None
    return data | {"request_id": None} if known and data["reason"] != ID_TAKEN else data


def _goes_on(letter: DeadLetter, default_mid: str, ledger: Ledger) -> bool:
    """Tell whether the ledger has the request of a message whose workers died; one that is new is recorded.

    Another message may have ended these workers, before the first word about this one was written. From the ledger
    a request starts without its message, and of those that lost a worker only one acts at a time. No sender waits for
    a sweep or for what it sends to follow runs: the next sweep does the same.
    """
    headers, arguments = read_message(letter.entry)
    if letter.reason != RETURNED or not headers.get("id"):
        return False
    if headers.get("task") in {SWEEP, FOLLOW}:
        return True
    if headers.get("task") == WAKE:
        return ledger.load(str(headers.get("request_id"))) is not None
    if headers.get("task") != START:
        return False
    times = Delivery(eta=headers.get("eta"), expires=headers.get("expires"))
    try:
        request = read_request(request_id_of(headers["id"]), default_mid, arguments, times)
        waits = headers.get("ignore_result") is False
        ledger.accept(replace(request, caller=str(headers["id"]) if waits else None))
    except BadRequestError:
        return False
    return True


def rejection_of(name: str, letter: DeadLetter | None, default_mid: str) -> dict[str, Any]:
    """Give what an event says of a dead letter, as far as its message can be read."""
    if letter is None:
        return _facts({}, {}, default_mid) | {"reason": "unknown", "text": "no longer kept", "dead_letter": name}
    headers, arguments = read_message(letter.entry)
    known = {"reason": letter.reason, "text": letter.detail or letter.reason, "queue": letter.queue}
    texts = {field: _text(value) for field, value in known.items() if value}
    return _facts(headers, arguments, default_mid) | texts | {"dead_letter": name}


def _facts(headers: Mapping[str, Any], arguments: Mapping[str, Any], default_mid: str) -> dict[str, Any]:
    task, message_id = headers.get("task"), headers.get("id")
    mid = plain_mid(str(arguments.get("mid") or headers.get("mid") or ""))
    named = {"task": task, "message_id": message_id, "source": arguments.get("source")}
    return {
        "request_id": _request_id(headers),
        "customer_key": _text(arguments.get("customer_key")) or _text(headers.get("customer_key")),
        "mid": mid if is_mid(mid) else default_mid,
        "file": None,
        "attempt": 0,
        **{field: _text(value) for field, value in named.items() if _text(value)},
    }


def _request_id(headers: Mapping[str, Any]) -> str | None:
    """Give the id of the request that a message is about: a start is its own, a wake-up names one."""
    if headers.get("task") == WAKE:
        return _text(headers.get("request_id"))
    return request_id_of(headers["id"]) if headers.get("task") == START and headers.get("id") else None


def request_ids_of(named: object) -> list[str]:
    """Give the request ids that a message of our own names: any program may write one that looks like it."""
    given = named if isinstance(named, list) and len(named) <= FOLLOW_BATCH else []
    ids = [text for each in given if (text := _text(each))]
    if not ids or ids != named:
        raise BadRequestError([f"request ids must be 1 to {FOLLOW_BATCH} texts of up to {MAX_TEXT_LENGTH} characters"])
    return ids


def read_message(entry: bytes) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Give the headers and the named arguments of a Celery message of either protocol; empty where unreadable.

    The positional arguments of `imports.start` count as named.
    """
    payload = dead_letters.read_parts(entry)
    headers = payload["headers"]
    try:
        return _read_body(headers, _body(payload))
    except (ValueError, RecursionError):
        return headers, {}


def _read_body(headers: Mapping[str, Any], body: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    if isinstance(body, Mapping):
        headers = {**body, **headers}
        return headers, _named(headers, body.get("args"), body.get("kwargs"))
    if isinstance(body, list) and len(body) > 1:
        return headers, _named(headers, body[0], body[1])
    return headers, {}


def _named(headers: Mapping[str, Any], args: Any, kwargs: Any) -> Mapping[str, Any]:
    found = dict(kwargs) if isinstance(kwargs, Mapping) else {}
    if headers.get("task") != START or not isinstance(args, list):
        return found
    try:
        return arguments_by_name(args, found)
    except BadRequestError:
        return found


def _body(payload: Mapping[str, Any]) -> Any:
    """Decode a body as the properties say; as Celery usually writes it where they say nothing."""
    body, encoding = payload["body"], payload["properties"].get("body_encoding")
    packed = payload["headers"].get("compression")
    if packed is not None:
        return _unpacked(body, packed)
    if encoding == "base64":
        return json.loads(base64.b64decode(body))
    try:
        return json.loads(body)
    except ValueError:
        return json.loads(base64.b64decode(body, validate=True))


def _unpacked(body: str, compression: object) -> Any:
    try:
        return json.loads(unpacked(base64.b64decode(body, validate=True), compression))
    except Exception as error:  # foreign bytes: each decoder has errors of its own
        raise ValueError("the packed body cannot be read") from error


def _text(value: Any) -> str | None:
    """Give a text that JSON can carry, cut; None for what is no text."""
    if not isinstance(value, str) or not value:
        return None
    return value[:MAX_TEXT_LENGTH].encode("utf-8", "replace").decode()


def caller_of(context: Any) -> str | None:
    """Give the id of a task whose sender waits for the outcome.

    Whoever chained something to the task gets what is known at once: Celery goes on when the task returns.
    """
    chained = any(getattr(context, name, None) for name in ("callbacks", "chain", "chord"))
    # The attribute would also be False for a message that does not say it.
    waits = vars(context).get("ignore_result") is False and not chained
    return str(context.id) if waits and context.id else None


def store_results(backend: Any, ledger: Ledger, *, is_beside: bool = False) -> int:
    """Store the results of requests that have started or ended meanwhile, and count them.

    `is_beside` says that they are in the Redis of the ledger: there a result must be where it is noted as stored.
    """
    found = () if isinstance(backend, DisabledBackend) else ledger.results(BATCH)
    count = 0
    for result in found:
        try:
            _store(result, backend)
            ledger.result_stored(result, _text_of(backend.get_key_for_task(result.caller)) if is_beside else "")
            count += 1
        except (RedisError, LedgerUnavailableError):
            raise
        except Exception:
            log.exception("imports_sweep_failed", request_id=result.request_id)
    return count


def _store(result: Result, backend: Any) -> None:
    # The task itself has stored it where the outcome was known at once.
    if backend.get_state(result.caller) not in READY_STATES:
        given = {"task_id": result.task_id, "held_by": result.held_by}
        facts = {name: value for name, value in given.items() if value is not None}
        backend.store_result(result.caller, {"request_id": result.request_id, "state": result.state, **facts}, SUCCESS)


def _text_of(key: bytes | str) -> str:
    return key.decode() if isinstance(key, bytes) else key
