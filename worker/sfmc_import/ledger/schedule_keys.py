"""What is known of schedules, and what makes the ids of ticks and files that others cannot foresee."""

from sfmc_import.ledger.key_kinds import Key

SCHEDULE = Key(
    name="schedule", letter="schedule", parts=("source",), redis_type="string", ttl=("schedule_ttl",),
    meaning="Until when the ticks of a schedule are done, in seconds since 1970. The time counts from the last look.",
)  # fmt: skip
OWN_IDS = Key(
    name="own_ids", letter="own_ids", redis_type="string",
    meaning="A secret from which the ids of ticks and files are made whose usual id another request has taken. Bounded:"
    " one key.",
)  # fmt: skip
SCHEDULE_KEYS = (SCHEDULE, OWN_IDS)
