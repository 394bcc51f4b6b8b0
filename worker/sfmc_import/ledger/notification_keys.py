"""Describes the keys of the ledger for those who are notified; a part of schema.py."""

from sfmc_import.ledger.key_kinds import ANY, Field, Key

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
NOTIFICATION_KEYS = (ASIDE, OUTAGES)
