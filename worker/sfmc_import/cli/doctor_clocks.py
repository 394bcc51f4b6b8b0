"""What `doctor` finds out about clocks: how far those of Redis and this machine are from that of Marketing Cloud."""

import time
from collections.abc import Iterator

from redis.exceptions import RedisError

from sfmc_import.clocks import Clocks, how_wrong
from sfmc_import.errors import SfmcImportError
from sfmc_import.redis_client import connect
from sfmc_import.redis_server import Finding, Level
from sfmc_import.settings import Settings

CHECK = "clock"
SERVICE = "Marketing Cloud"
UNTRUE = "the dates of runs prove little, so more starts in doubt end as start_unknown"
FIX_REDIS = "synchronise the machine of Redis (NTP)"
FIX_MACHINE = (
    "synchronise this machine (NTP): it says the day of FileSpec with the others, and stands in where no answer does"
)
_LEVELS: tuple[Level, Level, Level] = ("ok", "warn", "fail")


def time_of_ledger(settings: Settings) -> float:
    """Give the time of Redis, in seconds since 1970; that of this machine where Redis does not answer."""
    try:
        return _from_the_api(settings) if settings.api_url else _from_redis(settings)
    except (RedisError, OSError, SfmcImportError):
        # What is wrong with it is a finding of its own.
        return time.time()


def _from_redis(settings: Settings) -> float:
    with connect(settings.redis, retries=0) as client:
        seconds, microseconds = client.time()
    return float(seconds) + float(microseconds) / 1e6


def _from_the_api(settings: Settings) -> float:
    from sfmc_import.api_client import ApiClient  # noqa: PLC0415 - httpx, which Redis does not need

    with ApiClient(settings.api_url, settings.api_token.get_secret_value()) as api:
        return api.now()


def check_clocks(settings: Settings, clocks: Clocks) -> Iterator[Finding]:
    """Compare the clocks of Redis and of this machine with the time that answers of Marketing Cloud named."""
    if clocks.service() is None:
        text = f"the clock of {SERVICE} is not known: no answer has named its time"
        yield Finding("warn", CHECK, text, "see the findings above, or let what is between pass the header Date")
        return
    with connect(settings.redis, retries=0) as client:
        try:
            asked = clocks.boottime()
            seconds, microseconds = client.time()
        except (RedisError, OSError):
            # The findings above say why Redis does not answer.
            pass
        else:
            clocks.note_redis(seconds + microseconds / 1e6, asked)
            yield of_redis(clocks.redis_ahead())
    yield from check_machine(clocks)


def of_redis(ahead: float) -> Finding:
    """Say how far the clock of Redis is off, and what comes of it."""
    level = _LEVELS[how_wrong(ahead)]
    if level == "ok":
        return Finding(level, CHECK, f"the clocks of Redis and {SERVICE} agree")
    text = f"the clock of Redis is {_off(ahead)} that of {SERVICE}"
    return Finding(level, CHECK, f"{text}: {UNTRUE}" if level == "fail" else text, FIX_REDIS)


def check_machine(clocks: Clocks) -> Iterator[Finding]:
    """Say how far the clock of this machine is off, if it is; nothing where that of Marketing Cloud is not known."""
    service = clocks.service()
    ahead = 0.0 if service is None else clocks.wall() - service
    if how_wrong(ahead):
        yield Finding("warn", CHECK, f"the clock of this machine is {_off(ahead)} that of {SERVICE}", FIX_MACHINE)


def _off(ahead: float) -> str:
    return f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'}"
