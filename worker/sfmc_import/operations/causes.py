"""Names why Redis confirms nothing, or takes no writes, in the advice of what waits for it, where that is known."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from redis import Redis
from redis.exceptions import RedisError

from sfmc_import.access import ReadAccess
from sfmc_import.operations.fixing import CONFIRM, REDIS
from sfmc_import.operations.views import View
from sfmc_import.redis_server import MEMORY, PERSISTENCE, REPLICAS, ROLE, Condition, check_server
from sfmc_import.settings import Settings

V = TypeVar("V", bound=View)
KNOWN = {ROLE, PERSISTENCE, REPLICAS, MEMORY}
"""The checks of a server that say why it confirms nothing."""


def with_cause(access: ReadAccess, views: Iterable[V]) -> tuple[V, ...]:
    """Put what keeps Redis from it in the place of all that may; Redis is asked once, where some advice is of it."""
    return with_cause_of(access.client, access.settings, views)


def with_cause_of(client: Redis, settings: Settings, views: Iterable[V]) -> tuple[V, ...]:
    """Do the same for whoever has a connection to Redis alone."""
    found = tuple(views)
    if not any(map(_is_of_redis, found)):
        return found
    fix = REDIS
    with suppress(RedisError):
        info: Mapping[str, Any] = dict(client.info())
        fix = cause(info, settings)
    return tuple(_replaced(each, fix) if _is_of_redis(each) else each for each in found)


def cause(info: Mapping[str, Any], settings: Settings) -> str:
    """Say what helps, with what is wrong where this server says it."""
    condition = Condition(info, None, 0.0)
    found = check_server(condition, durability=settings.durability, replicas=settings.wait_replicas)
    wrong = next((each for each in found if each.level == "fail" and each.check in KNOWN), None)
    if wrong is not None:
        return f"{wrong.fix} ({wrong.text})"
    return REDIS if settings.durability == "none" else CONFIRM


def _is_of_redis(view: View) -> bool:
    return REDIS in (getattr(view, "advice", None) or "")


def _replaced(view: V, fix: str) -> V:
    return view.model_copy(update={"advice": str(getattr(view, "advice", "")).replace(REDIS, fix)})
