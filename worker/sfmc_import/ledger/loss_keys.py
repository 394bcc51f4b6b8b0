"""Describes the keys of the ledger by which a loss of writes is noticed and outlived; a part of schema.py."""

from sfmc_import.ledger.key_kinds import ANY, Field, Key

PROBE = Key(
    name="probe",
    letter="p",
    parts=("process",),
    redis_type="string",
    ttl=("probe_ttl",),
    meaning="The last number that a process wrote; a smaller one than before means a write loss.",
)
LONGEST_CALL = Key(
    name="longest_call",
    letter="longestcall",
    redis_type="string",
    ttl=("probe_ttl",),
    meaning="The longest time that a call of any worker may take, in milliseconds; it lives for so much longer, counted"
    " from the last note of such a worker.",
)
NEWEST = Key(
    name="newest",
    letter="newest",
    redis_type="hash",
    ttl=("unfinished_ttl",),
    fields=(Field(name=ANY, meaning="business unit → TaskResultID"),),
    meaning="The newest TaskResultID known of each business unit.",
)
SERVER = Key(
    name="server",
    letter="server",
    redis_type="string",
    ttl=("unfinished_ttl",),
    meaning="The `run_id` of the server that answered last, and how many have been noted up to it: who has noted a"
    " later one knows that what was written there is missing. The time counts from the newest note.",
)
LOSS = Key(
    name="loss",
    letter="loss",
    redis_type="hash",
    ttl=("loss_ttl",),
    fields=(
        Field(name="at", kind="ms", attribute="noticed_at", meaning="when the write loss was noticed: its name"),
        Field(name="from", kind="ms", meaning="when it was first looked at on a clock that had gone back before `at`"),
        Field(name="kept", kind="ms", meaning="what was recorded before this time was recorded before the loss"),
        Field(name="since", attribute="survived_until", meaning="the time of the last event that survived"),
        Field(name="first", kind="ms", attribute="noticed_first", meaning="when it was noticed first; `at`: last"),
        Field(name="proved", attribute="is_proved", meaning="set where something was missing that had been there"),
        Field(name="empty", attribute="may_be_new", meaning="set where the ledger was empty, and may be a new one"),
        Field(name=ANY, meaning="business unit → the newest TaskResultID that survived"),
    ),
    meaning="There was a write loss: starts look for existing runs first.",
)
PAST_LOSS = Key(
    name="past_loss",
    letter="pastloss",
    redis_type="hash",
    ttl=("unfinished_ttl",),
    fields=(
        Field(name="at", kind="ms", attribute="noticed_at", meaning="when the newest write loss was noticed"),
        Field(name="from", kind="ms", meaning="when it was first looked at on a clock that had gone back before `at`"),
        Field(name="since", attribute="survived_until", meaning="the time of the last event that survived"),
        Field(
            name="earlier",
            kind="json",
            attribute="earlier_losses",
            meaning="the losses before it, the oldest first, each with the fields of this one; at most 20: of more the"
            " two oldest are one",
        ),
        Field(name=ANY, meaning="business unit → the newest TaskResultID that survived"),
    ),
    meaning="For requests from before a write loss that were held for longer than the loss was in force.",
)
MARK = Key(
    name="mark",
    letter="mark",
    redis_type="string",
    ttl=("probe_ttl",),
    meaning="`1`: written before disk or replicas are asked whether they have all that was written before it"
    " (SFMC_DURABILITY).",
)

LOSS_KEYS = (PROBE, LONGEST_CALL, NEWEST, SERVER, LOSS, PAST_LOSS, MARK)
