"""What helps where Redis confirms nothing names what is wrong with it."""

import pytest

from sfmc_import.operations.causes import cause
from sfmc_import.operations.fixing import CONFIRM, REDIS
from sfmc_import.settings import load

FINE = {"redis_version": "8.0.0", "role": "master", "aof_enabled": 1, "aof_last_write_status": "ok"}


@pytest.mark.parametrize(
    ("info", "helps"),
    [
        ({"connected_slaves": 0}, "connect the replicas, or lower SFMC_WAIT_REPLICAS (0 replicas are connected"),
        ({"connected_slaves": 1, "aof_last_write_status": "err"}, "free space on the disk of Redis (Redis cannot"),
        ({"connected_slaves": 1, "role": "slave"}, "set SFMC_REDIS_URL to the primary"),
        ({"connected_slaves": 1, "maxmemory": 10, "used_memory": 10}, "raise maxmemory of this Redis"),
        ({"connected_slaves": 1}, CONFIRM),
    ],
    ids=["replicas", "disk", "role", "memory", "late"],
)
def test_the_cause_is_named_where_the_server_says_it(info: dict[str, object], helps: str) -> None:
    settings = load({"SFMC_DURABILITY": "waitaof", "SFMC_WAIT_REPLICAS": "1"})

    assert cause(FINE | info, settings).startswith(helps)


def test_where_nothing_must_be_confirmed_and_nothing_is_wrong_the_advice_stays_general() -> None:
    assert cause(FINE, load({})) == REDIS
