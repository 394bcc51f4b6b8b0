"""Describes the keys of the access tokens that the processes of an account share."""

from sfmc_import.ledger.key_kinds import Key

TOKEN = Key(
    name="token",
    letter="/token",
    parts=("mid", "login"),
    redis_type="string",
    ttl=("token_ttl",),
    meaning="The access token of a business unit, sealed with SFMC_TOKEN_KEY; `login` is made of that key, the client"
    " and the address of the token endpoint. The time is what is left of its life. Who may only submit has no right to"
    " it.",
)
TOKEN_LEASE = Key(
    name="token_lease",
    letter="/token_lease",
    parts=("mid", "login"),
    redis_type="string",
    ttl=("token_lease_ttl",),
    meaning="Which question for a token is under way: other processes wait for its answer.",
)
TOKEN_KEYS = (TOKEN, TOKEN_LEASE)
