"""Describes the keys of the ledger for those who operate it; a part of schema.py."""

from sfmc_import.ledger.key_kinds import ANY, Field, Key

TOKENS = Key(
    name="tokens",
    letter="tokens",
    redis_type="hash",
    fields=(Field(name=ANY, meaning="SHA-256 of the token → name, role, who made it and when as JSON"),),
    meaning="Tokens of the HTTP API. Bounded: one field for each token, until it is revoked.",
)
SESSION = Key(
    name="session",
    letter="session",
    parts=("session",),
    redis_type="string",
    ttl=("session_ttl",),
    meaning="Who is logged in at the console: SHA-256 of the cookie → SHA-256 of the token. A revoked token ends it.",
)
FAILURES = Key(
    name="failures",
    letter="failures",
    redis_type="zset",
    ttl=("request_ttl",),
    meaning="The newest 1,000 requests that ended badly, did not go on, were not replayed and are not settled by"
    " an import since: request id → time of the end.",
)
WARNINGS = Key(
    name="warnings",
    letter="warnings",
    redis_type="zset",
    ttl=("request_ttl",),
    meaning="The newest 1,000 requests whose import completed without rows, or without some, and that no"
    " import since has settled: request id → time of the end.",
)
FAILED_FILE = Key(
    name="failed_file",
    letter="failed",
    parts=("place",),
    redis_type="zset",
    ttl=("request_ttl",),
    meaning="The newest ten requests for one file of one definition that an import of this file may settle (business"
    " unit, length of the key, key, file name): request id → time of the end.",
)
PAUSES = Key(
    name="pauses",
    letter="pauses",
    redis_type="hash",
    fields=(
        Field(
            name=ANY,
            meaning="`all`, `mid:MID` or `key:MID:NAME`, a CustomerKey or ObjectID → operator, reason, since, until as"
            " JSON; `over` when somebody has seen that it is over; `homes` are the first keys of the definitions that"
            " it is for, `free` those that were resumed",
        ),
    ),
    meaning="What operators have paused. Bounded: one field for each pause, until it is"
    " lifted, or has been over for `seen_ttl`.",
)
PAUSED = Key(
    name="paused",
    letter="paused",
    redis_type="zset",
    ttl=("unfinished_ttl",),
    meaning="Requests that wait for a pause: request id → time of arrival. The time counts from the end of the pause.",
)
UNPAUSED = Key(
    name="unpaused",
    letter="unpaused",
    redis_type="zset",
    ttl=("unfinished_ttl",),
    meaning="Requests whose pause was lifted and that are to be woken: request id → time of arrival. Who lifted it"
    " wakes them, and else the sweep.",
)
REPLAYS = Key(
    name="replays",
    letter="replays",
    parts=("digest",),
    redis_type="string",
    ttl=("request_ttl",),
    meaning="What a call with an Idempotency-Key replays, as JSON, so that the same call replays nothing twice; or a"
    " digest of the body of another call with one. The digest in the name is of the caller and the key.",
)
OPERATOR_KEYS = (FAILURES, WARNINGS, FAILED_FILE, TOKENS, SESSION, PAUSES, PAUSED, UNPAUSED, REPLAYS)
