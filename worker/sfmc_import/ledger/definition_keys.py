"""Describes what the ledger keeps of definitions beside their records, as schema.py does of all else."""

from sfmc_import.ledger.key_kinds import Key

HOME = Key(
    name="home",
    letter="home",
    parts=("mid", "object_id"),
    redis_type="string",
    ttl=("unfinished_ttl",),
    meaning="The CustomerKey that a definition had when it was seen first: all its keys have this one, also when it is "
    "changed in Marketing Cloud. The time counts from the end of a window that begins now.",
)
RENAMED = Key(
    name="renamed",
    letter="renamed",
    parts=("mid", "new_key"),
    redis_type="string",
    ttl=("unfinished_ttl",),
    meaning="The CustomerKey that a definition had first, by the one that it has now in small letters.",
)
COMPLETED = Key(
    name="completed",
    letter="completed",
    parts=("mid", "customer_key"),
    redis_type="string",
    ttl=("unfinished_ttl",),
    meaning="When the last run of a definition completed as expected, in ms; its key in small letters, for `after`.",
)
WAITERS = Key(
    name="waiters",
    letter="after",
    parts=("mid", "customer_key"),
    redis_type="zset",
    ttl=("unfinished_ttl",),
    meaning="Requests that wait for a completed run of this definition: request id → time of arrival.",
)
