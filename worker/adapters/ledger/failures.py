"""Which failure of Redis means that it is down, and which that a script has a defect; nothing is repeated here."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import RedisError, ResponseError

from worker.ports import LedgerDownError

# States of a server that pass: they reach a script as an error of the command that met them.
_PASSING = re.compile(r"(READONLY|MISCONF|NOREPLICAS|OOM|LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOAUTH|NOPERM)\b")


def is_defect(error: RedisError) -> bool:
    """Tell whether a script itself failed: repeating it would fail for ever."""
    # Valkey and Redis name the place in the script; subclasses of ResponseError stand for states of the server.
    return type(error) is ResponseError and "user_script" in str(error) and not _PASSING.match(str(error))


@contextmanager
def redis_errors() -> Iterator[None]:
    """Turn every trouble with Redis into LedgerDownError; a defect of a script stays what it is."""
    try:
        yield
    except RedisError as error:
        if is_defect(error):
            raise
        raise LedgerDownError(str(error)) from error
