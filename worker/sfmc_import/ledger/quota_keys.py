"""Describes the keys of the quota: permits, the circuit breaker, and what was used."""

from sfmc_import.ledger.key_kinds import ANY, Field, Key

QUOTA = Key(
    name="quota",
    letter="quota",
    parts=("account",),
    redis_type="hash",
    ttl=("probe_ttl",),
    fields=(
        Field(name="at", meaning="when permits were given last, in ms"),
        Field(name="shared", meaning="permits that any kind of call may take"),
        Field(
            name=ANY,
            meaning="kind of call → its own permits; `next_` and the kind → until when others were given a time",
        ),
    ),
    meaning="Permits for calls of an account, which is the host of its SOAP API. Lost, it begins anew with one tenth of"
    " a minute.",
)
CIRCUIT = Key(
    name="circuit",
    letter="circuit",
    parts=("account",),
    redis_type="hash",
    ttl=("probe_ttl",),
    fields=(
        Field(
            name=ANY,
            meaning="nothing for the account; `@` and the id of a login, before it the business unit where it fails"
            " there alone → the circuit as JSON",
        ),
    ),
    meaning="Failures that hit the whole account, or one login: whether calls are made, and which one tries alone. A"
    " circuit that no call has touched for 10 minutes is forgotten.",
)
USAGE = Key(
    name="usage",
    letter="usage",
    parts=("account", "period"),
    redis_type="hash",
    ttl=("usage_day_ttl", "usage_ttl"),
    fields=(
        Field(name="all", kind="int", meaning="all calls"),
        Field(name="budget_warned", kind="int", meaning="the budget of which 80 % were used, once this was said"),
        Field(name="budget_spent", kind="int", meaning="the budget that was used, once this was said"),
        Field(
            name=ANY,
            meaning="`k:` and the kind, `u:` and the business unit, `d:` with business unit and CustomerKey → calls",
        ),
    ),
    meaning="Calls of a day, a month or a year, by which it is named. The first time is that of a day. Bounded: 10,000"
    " fields, then further definitions are counted together.",
)
HELD = Key(
    name="held",
    letter="held",
    redis_type="zset",
    ttl=("unfinished_ttl",),
    meaning="Requests that wait for a budget: request id → time of arrival. They are woken when it is not spent any"
    " more, or was raised.",
)
QUOTA_KEYS = (QUOTA, CIRCUIT, USAGE, HELD)
