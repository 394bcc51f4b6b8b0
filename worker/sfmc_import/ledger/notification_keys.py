"""Describes the keys of the ledger for those who are notified or answered; a part of schema.py."""

import orjson

from sfmc_import.ledger.key_kinds import ANY, Field, Key
from sfmc_import.states import Reply

ASIDE = Key(
    name="aside",
    letter="aside",
    parts=("group",),
    redis_type="stream",
    ttl=("request_ttl",),
    fields=(
        Field(name="event", kind="json", meaning="the CloudEvent"),
        Field(name="reason", meaning="why it was not handled"),
    ),
    meaning="Events that a consumer group of the stream could not handle: the newest 1,000. The time counts from the"
    " newest.",
)
OUTAGES = Key(
    name="outages",
    letter="outages",
    parts=("group",),
    redis_type="hash",
    ttl=("request_ttl",),
    fields=(
        Field(name=ANY, meaning="business unit → what hits its whole account: code, since when, how many, as JSON"),
    ),
    meaning="The outages that a notification has said to have begun. The time counts from the newest change.",
)
TRIES = Key(
    name="tries",
    letter="tries",
    parts=("group",),
    redis_type="hash",
    ttl=("request_ttl",),
    fields=(
        Field(
            name="attempts", kind="int", meaning="how often the message was tried in vain; 0 when one was sent since"
        ),
        Field(name="error", meaning="what the other side, or the way to it, said last"),
        Field(name="at", kind="ms", meaning="when it said that"),
        Field(name="since", kind="ms", meaning="since when nothing was sent, and something failed"),
    ),
    meaning="What a notification could not send last. The time counts from the newest failure.",
)
REPLIES = Key(
    name="replies",
    letter="replies",
    redis_type="zset",
    ttl=("unfinished_ttl",),
    meaning="Ends of requests that are sent to a task of their sender (`reply_to`): task, queue, time and event as JSON"
    " → when it is sent next, in ms. The time counts from the newest.",
)
NOTIFICATION_KEYS = (ASIDE, OUTAGES, TRIES, REPLIES)


def read_reply(now: int, text: bytes) -> Reply:
    """Read what REPLIES has of an end; `now` is the time of Redis in ms."""
    fields = orjson.loads(text)
    at, event = fields.pop("at"), orjson.loads(fields.pop("event"))
    return Reply(**fields, event=event, age=(now - at) / 1000, stored=text)
