"""Whether Redis takes writes now: a server that is full, or whose disk is, still answers every question."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import uuid4

from redis import Redis
from redis.exceptions import NoPermissionError, RedisError

from sfmc_import.access import ReadAccess
from sfmc_import.access import redis_errors as errors_at
from sfmc_import.display import clause
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.operations.views import FolderView, Time, View, time_of
from sfmc_import.processes import LATE_SECONDS
from sfmc_import.redis_address import RedisAddress
from sfmc_import.redis_errors import trouble
from sfmc_import.redis_server import Finding, Holds, is_doubtful, memory_finding
from sfmc_import.request import QUEUE


class ServerTroubleView(View):
    """What is wrong with a server, in the words of `doctor`, and what somebody should do.

    `since` is when a process met it first: a worker or beat that noted it, a watcher whose files wait for it, or a
    server that is asked. `not_before` is when Redis took the last heartbeat of a process: it lasts since then, or since
    later where none has run on.
    """

    server: str
    check: str
    text: str
    fix: str
    since: Time | None = None
    not_before: Time | None = None


def sentence(trouble: ServerTroubleView) -> str:
    """Say what is wrong and since when."""
    return f"{clause(trouble.text)}{_since(trouble.not_before, trouble.since)}"


def _since(first: datetime | None, last: datetime | None) -> str:
    """Say since when, of which is known that it was not before the first and not after the last of these times."""
    if first and last:
        return f", since {first:%Y-%m-%d %H:%M:%S} UTC, or at the latest {last:%H:%M:%S}"
    if first:
        return f", since {first:%Y-%m-%d %H:%M:%S} UTC or later: then it took the last heartbeat of a process"
    return f", since {last:%Y-%m-%d %H:%M:%S} UTC or before" if last else ""


def with_their_begin(
    access: ReadAccess, found: Iterable[ServerTroubleView], folders: Iterable[FolderView]
) -> tuple[ServerTroubleView, ...]:
    """Add since when: processes note it, a folder whose files wait for Redis knows it, and who has asked before."""
    held = (file for folder in folders for file in folder.files if file.code == WAITS_FOR_REDIS)
    moments = [file.since for file in held if file.since is not None]
    met = {each.server: time_of(access.outages.failed(f"writes of {each.server}")) for each in found}
    for server in {"Redis", "broker"} - met.keys():
        access.outages.answered(f"writes of {server}")
    if not met:
        return ()
    full = time_of(access.reader.full_since())
    noted = {"Redis": [full, *moments], "broker": [_broker_since(access)]}
    begun = {server: min(filter(None, (at, *noted[server])), default=None) for server, at in met.items()}
    last = _last_heartbeat(access) if "Redis" in met else None
    if full is None and _is_of_before(begun.get("Redis"), last):
        begun["Redis"] = _noted_anew(access)
    return tuple(_with_times(each, begun[each.server], last) for each in found)


def _is_of_before(since: datetime | None, last: datetime | None) -> bool:
    """Tell whether Redis took a heartbeat after that: what was noted then was over. A full one takes them too."""
    return since is not None and last is not None and since < last


def _noted_anew(access: ReadAccess) -> datetime | None:
    """Forget what was noted of a trouble that was over, and note the one that is met now."""
    access.outages.answered("writes of Redis")
    return time_of(access.outages.failed("writes of Redis"))


def _broker_since(access: ReadAccess) -> datetime | None:
    """Give since when a beat cannot send there, for whatever reason."""
    return time_of(access.reader.broker_away_since())


def _last_heartbeat(access: ReadAccess) -> datetime | None:
    """Give when the Redis of the ledger took the last heartbeat of a process, if that is not just now.

    A replica gets those that its primary takes.
    """
    heard = access.reader.last_heartbeat()
    return None if heard is None or access.reader.now() - heard < LATE_SECONDS else time_of(heard)


def _with_times(trouble: ServerTroubleView, since: datetime | None, last: datetime | None) -> ServerTroubleView:
    first = last if trouble.server == "Redis" and last and (since is None or last <= since) else None
    return trouble.model_copy(update={"since": since, "not_before": first})


WAITS_FOR_REDIS = "redis"
"""The code of files that wait because Redis does not take their requests."""


def server_troubles(access: ReadAccess) -> tuple[ServerTroubleView, ...]:
    """Say what keeps Redis from taking writes. One question, and where the answer is doubtful one write."""
    settings = access.settings
    is_alone = settings.broker == settings.redis
    holds: Holds = "all" if is_alone else "ledger"
    found = _of("Redis", holds, access.client, access.keys.tag, settings.redis, "SFMC_REDIS_URL")
    if not is_alone:
        queue = f"{settings.broker_prefix}{QUEUE}:"
        # That it does not answer is said by `broker` of the numbers of its queue.
        with suppress(ServiceUnavailableError):
            found += _of("broker", "queue", access.broker, queue, settings.broker, access.broker_variable)
    return tuple(found)


def _of(
    server: str, holds: Holds, client: Redis, begin: str, place: RedisAddress, variable: str
) -> list[ServerTroubleView]:
    with errors_at(place, variable):
        info: Mapping[str, Any] = dict(client.info())
    if not is_doubtful(info):
        return []
    # What a refused write says is more than how much memory is used; what makes room is known of the memory.
    memory = memory_finding(info, holds)
    findings = (_refusal(client, begin, place, variable), memory)
    wrong = next((each for each in findings if each.level == "fail"), None)
    if wrong is None:
        return []
    text = wrong.text if wrong.check == WRITTEN.check and server == "Redis" else f"{server}: {wrong.text}"
    fix = memory.fix if memory.level == "fail" else wrong.fix
    return [ServerTroubleView(server=server, check=wrong.check, text=text, fix=fix)]


def _refusal(client: Redis, begin: str, place: RedisAddress, variable: str) -> Finding:
    """Try a write as `check_writes`; whose user may not write learns nothing by it."""
    try:
        _write_and_delete(client, begin)
    except NoPermissionError:
        return Finding("warn", "writes", "not tried: this user may not write")
    except (RedisError, OSError) as error:
        return _not_written(error, place, variable)
    return WRITTEN


def check_writes(client: Redis, begin: str, place: RedisAddress, variable: str) -> Finding:
    """Write a key of its own, whose name has this beginning, and delete it in the same transaction.

    A server may answer all questions and yet refuse every write. Of the rights it needs those that each role has.
    """
    try:
        _write_and_delete(client, begin)
    except (RedisError, OSError) as error:
        return _not_written(error, place, variable)
    return WRITTEN


WRITTEN = Finding("ok", "writes", "a key was written and deleted again")


def _not_written(error: BaseException, place: RedisAddress, variable: str) -> Finding:
    wrong = trouble(error, place, variable)
    return Finding("fail", "writes", wrong.text, wrong.fix)


def _write_and_delete(client: Redis, begin: str) -> None:
    name = f"{begin}doctor:{uuid4().hex}"
    with client.pipeline(transaction=True) as pipe:
        pipe.hset(name, "written", "1")
        # An end at once deletes it; only a worker may use DEL.
        pipe.pexpire(name, 0)
        pipe.execute()
