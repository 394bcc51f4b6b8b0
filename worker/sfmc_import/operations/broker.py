"""Whether the broker answers, where it is another Redis than that of the ledger."""

from typing import Any

from redis.exceptions import RedisError

from sfmc_import import request
from sfmc_import.access import ReadAccess, redis_errors
from sfmc_import.display import clause
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.operations.absent import absent_kinds, commands_of, once_they_run
from sfmc_import.operations.in_doubt import missing
from sfmc_import.operations.views import RequestView, Time, View, time_of
from sfmc_import.redis_client import connect
from sfmc_transport import dead_letters, queues

ADVICE = "Requests stay in the ledger, runs in Marketing Cloud go on, and starts go on when it answers again."
NO_WORKER_HEARS = "The broker does not answer, so no worker hears of it."
PING_SECONDS = 1.0


class BrokerView(View):
    """A broker that does not answer: what it said, since when, what to do, and what happens until then.

    `since` is what a beat has noted; null where none has met it yet.
    """

    text: str
    since: Time | None = None
    fix: str
    advice: str = ADVICE


def sentence(broker: BrokerView) -> str:
    """Say it to a person."""
    since = "" if broker.since is None else f", since {broker.since:%Y-%m-%d %H:%M:%S} UTC"
    return f"{clause(broker.text)}{since}; {clause(broker.fix)}. {broker.advice}"


def queue_numbers(access: ReadAccess) -> dict[str, int]:
    """Count what is in the queue, in work and among the dead letters; raises ServiceUnavailableError."""
    broker: Any = access.broker
    keys = access.broker_keys
    with redis_errors(access.settings.broker, access.broker_variable):
        return {
            "queued": queues.length(broker, keys.queue(request.QUEUE)),
            "in_flight": broker.hlen(keys.unacked_key),
            "dead_letters": dead_letters.count(broker, keys),
        }


def queue_state(access: ReadAccess) -> dict[str, Any]:
    """Give the same, or without numbers what is wrong with a broker that is not the Redis of the ledger."""
    try:
        numbers: dict[str, Any] = queue_numbers(access)
    except ServiceUnavailableError as error:
        if not _has_its_own(access):
            raise
        unknown = dict.fromkeys(("queued", "in_flight", "dead_letters"))
        since = time_of(access.reader.broker_away_since())
        return {**unknown, "broker": BrokerView(text=str(error), since=since, fix=error.advice.in_words() or error.fix)}
    return {**numbers, "broker": None}


def said_of_processes(access: ReadAccess, views: list[RequestView]) -> list[RequestView]:
    """Say of requests which process that would take them on does not run, or that none hears of them."""
    if not any(each.waiting or each.attempting for each in views):
        return views
    absent = [f"{each[0].upper()}{each[1:]}." for each in missing(access)]
    of_worker = [each for each in absent if "a worker" in each or "o worker" in each]
    to_hear = [NO_WORKER_HEARS] if any(map(_is_queued, views)) and _is_unheard(access) else []
    return [_with(each, of_worker + to_hear if _is_queued(each) else absent, of_worker) for each in views]


def _is_unheard(access: ReadAccess) -> bool:
    return _has_its_own(access) and not _answers(access)


def _has_its_own(access: ReadAccess) -> bool:
    return access.settings.broker != access.settings.redis


def _is_queued(view: RequestView) -> bool:
    return view.waiting is not None and view.waiting.reason == "queued"


def _with(view: RequestView, of_wait: list[str], of_attempt: list[str]) -> RequestView:
    """Add what is missing: an attempt needs its worker alone."""
    if view.attempting and of_attempt:
        text = " ".join([view.attempting.text or "", *of_attempt]).strip()
        update: dict[str, Any] = {"attempting": view.attempting.model_copy(update={"text": text})}
        return view.model_copy(update=update | {"advice": _started_first(view.advice, of_attempt)})
    if view.waiting and of_wait and view.waiting.reason != "paused":
        text = " ".join([view.waiting.text, *of_wait])
        update = {"waiting": view.waiting.model_copy(update={"text": text})}
        return view.model_copy(update=update | {"advice": _started_first(view.advice, of_wait)})
    return view


def _started_first(advice: str | None, absent: list[str]) -> str | None:
    """Say in an advice which processes must be started: what waits for them does not go on by itself."""
    kinds = absent_kinds(absent)
    if advice is None or not kinds:
        return advice
    if advice.startswith("wait:"):
        return f"start {commands_of(kinds)}; it goes on by itself after that"
    return f"{advice}{once_they_run(kinds)}"


def _answers(access: ReadAccess) -> bool:
    with connect(
        access.settings.broker, connect_seconds=PING_SECONDS, answer_seconds=PING_SECONDS, retries=0
    ) as client:
        try:
            return bool(client.ping())
        except (RedisError, OSError):
            return False
