"""How many requests of a definition wait for a worker to take them, as far as a bounded look finds out."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from sfmc_import.access import ReadAccess
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.request import QUEUE, fold_key
from sfmc_transport import queues

LOOKED_AT = 1000
CHUNK = 500
"""How many of the requests that are due next are looked at, and how many at once."""


@dataclass(frozen=True, slots=True)
class Queued:
    """What a look found: requests by business unit and first key of the definition, folded.

    `unseen` messages may hold more for any definition; None where the queue cannot be asked.
    """

    counts: Mapping[tuple[str, str], int]
    unseen: int | None

    def of(self, mid: str, home: str) -> dict[str, Any]:
        """Give the two fields of a view of a definition."""
        return {"queued": self.counts.get((mid, fold_key(home)), 0), "queued_unseen": self.unseen}


def look(access: ReadAccess, most: int = LOOKED_AT) -> Queued:
    """Look at the requests that are due next, at most `most`, and count the messages of the queue."""
    client: Any = access.client
    with redis_errors():
        due = client.zcard(access.keys.due)
    end = min(due, most)
    names = [name for begin in range(0, end, CHUNK) for name in _queued(access, begin, min(end, begin + CHUNK))]
    # One may be asked for by an earlier key of its definition, or by its ObjectID.
    pairs = list(dict.fromkeys(names))
    homes = dict(zip(pairs, access.reader.homes_of_names(pairs), strict=True)) if pairs else {}
    counts = Counter((pair[0], fold_key(homes[pair])) for pair in names)
    waiting = _messages(access)
    # A request has one message; one that other programs sent has no request yet.
    return Queued(counts, None if waiting is None else max(due - end, waiting - len(names), 0))


def _queued(access: ReadAccess, begin: int, end: int) -> Iterator[tuple[str, str]]:
    """Yield business unit and key of some that no worker has taken; a follow-up counts as one behind the holder."""
    client: Any = access.client
    with redis_errors():
        ids = client.zrange(access.keys.due, begin, end - 1)
        with access.client.pipeline(transaction=False) as pipe:
            for request_id in ids:
                pipe.hmget(access.keys.request(request_id.decode()), "state", "wait", "mid", "key")
            answers = pipe.execute()
    for state, wait, mid, key in answers:
        if wait == b"queued" and state != b"deferred":
            yield mid.decode(), key.decode()


def _messages(access: ReadAccess) -> int | None:
    try:
        return queues.length(access.broker, access.broker_keys.queue(QUEUE))
    except RedisError:
        return None


def queued_text(queued: int, unseen: int | None) -> str:
    """Say how many requests of a definition wait for a worker, and what may hold more."""
    if unseen is None:
        return f"at least {queued}; the queue does not say whether it holds more"
    if unseen == 0:
        return str(queued)
    messages = "1 message" if unseen == 1 else f"{unseen} messages"
    return f"at least {queued}; {messages} that no worker has taken may hold more for it"
