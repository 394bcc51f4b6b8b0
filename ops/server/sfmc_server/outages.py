"""What API and console say while Redis does not do its part: what it does, what helps, and since when."""

from dataclasses import dataclass

from redis.exceptions import RedisError

from sfmc_import.access import ReadAccess
from sfmc_import.display import date_of
from sfmc_import.errors import UnconfirmedError
from sfmc_import.ports import LedgerUnavailableError, NotConfirmedError
from sfmc_import.redis_errors import in_short, trouble

REDIS = "Redis"
"""The name under which the memory of outages has the Redis of the ledger: one for API, console and its feed."""

NO_WRITES = "writes of Redis"
"""The name for a Redis that answers and refuses, as the status notes it too."""

AWAY = "does not answer"


@dataclass(frozen=True, slots=True)
class Said:
    """What Redis does (`text`), what to do, and since when as a clause, empty where that is not known."""

    text: str
    fix: str
    since: str = ""

    @property
    def is_away(self) -> bool:
        """Tell whether there was no answer at all."""
        return self.text == AWAY


def said_of_redis(error: Exception, access: ReadAccess) -> Said | None:
    """Say it, and note it; None for an error of something else."""
    cause = cause_of(error)
    if not isinstance(cause, (RedisError, LedgerUnavailableError)):
        return None
    place = access.settings.redis
    if trouble(cause, place, "SFMC_REDIS_URL").is_away:
        return Said(AWAY, "start it", _since_an_answer(access))
    text, fix = in_short(cause, place, "SFMC_REDIS_URL")
    advice = getattr(error, "advice", None)
    known = advice.in_words() if advice else ""
    met = access.outages.failed(NO_WRITES)
    return Said(text, known or fix, f"so since {_moment(met)} or before" if met else "")


def cause_of(error: Exception) -> BaseException:
    """Give what a client of Redis met."""
    cause = error if isinstance(error, RedisError) else error.__cause__ or error
    return cause.__cause__ if isinstance(cause.__cause__, RedisError) else cause


RECORDED = "it is recorded, and goes on by itself; only if Redis fails now, it may be lost"
"""What is so of an action that disk or replicas have not confirmed in time."""


def unconfirmed(error: Exception) -> tuple[bool, str]:
    """Tell whether what was asked for is recorded and not confirmed, and give the id of the request that names it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UnconfirmedError):
            return True, cause.request_id
        if isinstance(cause, NotConfirmedError):
            return cause.is_recorded, ""
        cause = cause.__cause__
    return False, ""


def _since_an_answer(access: ReadAccess) -> str:
    last, met = access.outages.last_answer(REDIS), access.outages.failed(REDIS)
    if last is not None:
        return f"it answered this server last at {_moment(last)}"
    return f"it has not answered this server since {_moment(met)}" if met else ""


def _moment(seconds: float) -> str:
    return f"{date_of(seconds):%Y-%m-%d %H:%M:%S} UTC"
