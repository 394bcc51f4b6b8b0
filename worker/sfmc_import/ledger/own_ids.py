"""Makes ids of requests that cannot be foreseen, and are the same each time, from a secret in Redis."""

import secrets
from uuid import UUID, uuid5

from redis import Redis

from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.watching_keys import OWN_IDS

# A name space of our own, so that no other program's uuid5 of the same text is equal.
NAMESPACE = UUID("6f0f7c1c-52b7-5b0e-9d7e-3a7b0c2f4e11")


def own_id(client: Redis, keys: Keys, usual: str) -> str:
    """Give the id of a request whose `usual` id another one has taken; raises LedgerUnavailableError."""
    name = keys.name_of(OWN_IDS)
    with redis_errors():
        # Whoever comes first decides, and dies without harm after it.
        client.set(name, secrets.token_hex(32), nx=True)
        secret = client.get(name)
    return str(uuid5(NAMESPACE, f"{secret!r}\n{usual}"))
