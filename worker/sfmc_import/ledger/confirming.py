"""Has disk or replicas confirm what was recorded: one barrier for any number of records."""

from collections.abc import Sequence
from typing import Any

from redis import Redis

from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.ledger_settings import Durability
from sfmc_import.ports import NotConfirmedError

MARK_SECONDS = 3600
"""How long the mark of a barrier is kept, as the number by which a process notices a loss."""

UNCONFIRMED = "has not confirmed in time, by its disk or its replicas, what was recorded"
LOST = "lacks what was recorded a moment ago"


# Its first write needs no memory: a full Redis does not refuse the others, and confirms what operators do.
_MARK = "redis.call('DEL', KEYS[1]) redis.call('SET', KEYS[1], '1', 'EX', ARGV[1]) return 1"


def confirm(client: Redis, durability: Durability, mark: str, records: Sequence[str]) -> None:
    """Return once disk or replicas have everything that was written before; raises LedgerUnavailableError.

    Both take over writes in their order, so a mark that is written now stands for all before it, on whatever
    connection they came. `records` are keys that must be there: a server that took over in between may lack them.
    Without durability nothing is asked.
    """
    barrier = durability.barrier
    if barrier is None:
        return
    *found, _, answer = _asked(client, barrier, mark, records)
    if not all(found):
        raise NotConfirmedError(LOST, is_recorded=False)
    if not durability.is_met(answer):
        raise NotConfirmedError(UNCONFIRMED)


def _asked(client: Redis, barrier: tuple[Any, ...], mark: str, records: Sequence[str]) -> list[Any]:
    """Look for the records, write the mark and wait, on one connection: WAIT and WAITAOF are about its writes."""
    with redis_errors(), client.pipeline(transaction=False) as pipe:
        for each in records:
            pipe.exists(each)
        pipe.eval(_MARK, 1, mark, MARK_SECONDS)
        pipe.execute_command(*barrier)  # type: ignore[no-untyped-call]
        return list(pipe.execute())
