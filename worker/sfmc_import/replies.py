"""Sends the end of a request to the task that its sender has named, at least once, whatever dies in between."""

from collections.abc import Callable

import structlog
from kombu.exceptions import KombuError
from redis.exceptions import RedisError, ResponseError

from sfmc_import.ports import Ledger
from sfmc_import.states import Reply

BATCH = 100
GIVEN_UP_SECONDS = 86_400.0
"""A reply that could not be sent for a day is dropped: its event is on the stream, and the log names it."""

AWAY = (KombuError, RedisError, OSError)
"""Errors of a broker that is away: it is not asked for each of them."""

log = structlog.get_logger("sfmc_import.tasks")


def send_replies(ledger: Ledger, send: Callable[[Reply], str], pause: float) -> int:
    """Send what is due, and count it. What is not sent, or was and is not noted, is due again after `pause` seconds.

    `send` gives the key that proves it, where that is in the Redis of the ledger: another server may have taken over.
    """
    count = 0
    for reply in ledger.replies(BATCH, pause):
        error, proof = _send(reply, send)
        if error is None:
            ledger.reply_sent(reply, proof)
            count += 1
            continue
        if reply.age > GIVEN_UP_SECONDS:
            ledger.reply_sent(reply)
            _log(reply, "reply_given_up", error)
            continue
        _log(reply, "reply_not_sent", error)
        # One that is refused, for its queue is none or may not be written, or that meets an error of ours, keeps no
        # other waiting.
        if isinstance(error, AWAY) and not isinstance(error.__cause__ or error, ResponseError):
            break
    return count


def _send(reply: Reply, send: Callable[[Reply], str]) -> tuple[Exception | None, str]:
    try:
        return None, send(reply)
    except Exception as error:  # noqa: BLE001 - the edge to one reply: it is tried again, and the others are sent
        return error, ""


def _log(reply: Reply, event: str, error: Exception) -> None:
    facts = {"request_id": reply.request_id, "task": reply.task, "queue": reply.queue, "error": str(error)}
    if event == "reply_given_up":
        log.error("reply_given_up", **facts)
    else:
        log.warning("reply_not_sent", **facts)
