"""Checks whether a server is fit for the ledger: version, mode, role, eviction, persistence, memory."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from redis import Redis
from redis.exceptions import NoPermissionError, ResponseError

from sfmc_import.redis_rights import BEFORE, NEWER, RoleName, Try, tries

MIN_VERSION = (6, 2)
WAITAOF_VERSION = (7, 2)
WAITAOF_TRUE_VERSION = (8, 0)
CLOCK_DIFFERENCE = 5.0
"""Seconds of difference between Redis and this machine that are reported; decisions use Redis time alone."""

Level = Literal["ok", "warn", "fail"]
Holds = Literal["all", "ledger", "queue"]
"""What a server has of ours: the ledger with its events, the queue with its dead letters, or both."""

_KEPT: Mapping[Holds, str] = {
    "ledger": "a lower SFMC_STREAM_MAXLEN drops the oldest events with the next event, a lower SFMC_REQUEST_TTL counts"
    " for requests that end from then on; delete no key by hand",
    "queue": "workers take what lies in the queue meanwhile; of its keys delete dead letters alone, by their command: a"
    " message of another sender is nowhere else",
}

EARLY = (
    "this server answers WAITAOF before its disk has the write, unless appendfsync is always: a kill of Redis loses"
    " nothing that was confirmed, a power failure can lose the last second of it"
)

MEMORY, REPLICAS = "memory", "replicas"
"""The checks that end no process: workers make room in a Redis that is full, and replicas come back."""

ROLE, PERSISTENCE = "role", "persistence"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; `fix` says what to do unless the level is ok."""

    level: Level
    check: str
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a server reports; `appendfsync` is None where CONFIG is forbidden, `ahead` is in seconds."""

    info: Mapping[str, Any]
    appendfsync: str | None
    ahead: float


def inspect_server(client: Redis, now: Callable[[], float] = time.time) -> Condition:
    """Read the state of a server; raises RedisError when it does not answer."""
    asked: Any = client
    try:
        seconds, microseconds = asked.time()
    except ResponseError as error:
        if "HELLO" not in str(error):
            raise
        # The greeting of redis-py: servers before 6.0 refuse it, and the connection with it.
        return Condition({"redis_version": "before 6.0"}, None, 0.0)
    return Condition(asked.info(), _appendfsync(asked), seconds + microseconds / 1e6 - now())


def _appendfsync(client: Any) -> str | None:
    try:
        found = client.config_get("appendfsync")
    except ResponseError:  # managed services forbid CONFIG
        return None
    text = found.get("appendfsync") or found.get(b"appendfsync")
    return text.decode() if isinstance(text, bytes) else text


def check_server(
    condition: Condition, *, durability: str = "none", replicas: int = 0, holds: Holds = "all"
) -> list[Finding]:
    """Check a server for these settings of durability; of a server that is too old only the version is checked."""
    if _as_number(condition.info) < MIN_VERSION:
        return [_version(condition.info, durability)]
    return [
        _version(condition.info, durability),
        _cluster(condition.info),
        _role(condition.info),
        _eviction(condition.info),
        _persistence(condition, durability),
        *_replicas(condition.info, durability, replicas),
        *_writes_alone(condition.info),
        memory_finding(condition.info, holds),
        _clock(condition.ahead),
    ]


def _as_number(info: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(part) for part in str(info.get("redis_version", "0")).split(".")[:2] if part.isdigit())


def _version(info: Mapping[str, Any], durability: str) -> Finding:
    reported = str(info.get("redis_version", "0"))
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {reported}"
    version = _as_number(info)
    if version < MIN_VERSION:
        return Finding("fail", "version", f"{name} is too old", "use Redis 6.2 or later, or Valkey")
    if durability == "waitaof" and version < WAITAOF_VERSION:
        return Finding(
            "fail", "version", f"{name} has no WAITAOF", "use Redis 7.2 or later, Valkey, or SFMC_DURABILITY=none"
        )
    return Finding("ok", "version", name)


def _role(info: Mapping[str, Any]) -> Finding:
    role = str(info.get("role", "master"))
    if role == "master":
        return Finding("ok", ROLE, "primary")
    return Finding(
        "fail",
        ROLE,
        "this server is a replica, which takes no writes",
        "set SFMC_REDIS_URL to the primary, or to sentinel://…",
    )


def _cluster(info: Mapping[str, Any]) -> Finding:
    if not int(info.get("cluster_enabled", 0)) and info.get("redis_mode") != "cluster":
        return Finding("ok", "mode", "no cluster")
    text = "this server is part of a cluster, over whose slots Celery's queue cannot be spread"
    return Finding("fail", "mode", text, "use one primary with replicas: Sentinel, or a service with cluster mode off")


FULL, NEARLY_FULL = 1.0, 0.8
MEGABYTE = 2**20


def memory_finding(info: Mapping[str, Any], holds: Holds = "all") -> Finding:
    """Say how much of the memory is used, whether that is too much, and what makes room in one that `holds` this."""
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    bound = limit or int(info.get("total_system_memory", 0))
    of = f" of {bound / MEGABYTE:.0f} MB {'(maxmemory)' if limit else 'of the machine'}" if bound else ""
    text = f"{used / MEGABYTE:.0f} MB{of} are used"
    share = used / bound if bound else 0.0
    if share < NEARLY_FULL:
        return Finding("ok", MEMORY, text)
    fix = f"{_more_memory(used, limit, int(info.get('total_system_memory', 0)))}; {_kept(holds)}"
    if share < FULL or not limit:
        return Finding("warn", MEMORY, text, fix)
    return Finding("fail", MEMORY, f"{text}: new requests are refused, those accepted are worked off", fix)


def _more_memory(used: int, limit: int, machine: int) -> str:
    """Say what to raise: to twice of what is used, where the machine has that and as much again for all else."""
    wanted = 2 * max(used, limit)
    more = f"raise maxmemory of this Redis to {max(1, wanted // MEGABYTE)} MB, in its configuration and by CONFIG SET"
    if limit and (not machine or 2 * wanted <= machine):
        return more
    larger = "give the machine of this Redis more memory"
    larger += f" than its {machine // MEGABYTE} MB" if machine else ""
    return f"{larger}, and {more}" if limit else larger


def _kept(holds: Holds) -> str:
    return f"{_KEPT['ledger']} but dead letters, by their command" if holds == "all" else _KEPT[holds]


def is_doubtful(info: Mapping[str, Any]) -> bool:
    """Tell whether this server may refuse writes: for want of memory, of its disk, or of replicas; or it is one."""
    return (
        (memory_finding(info).level != "ok" and bool(int(info.get("maxmemory", 0))))
        or info.get("aof_last_write_status", "ok") != "ok"
        or info.get("rdb_last_bgsave_status", "ok") != "ok"
        or str(info.get("role", "master")) != "master"
        or ("min_slaves_good_slaves" in info and not int(info["min_slaves_good_slaves"]))
    )


def _eviction(info: Mapping[str, Any]) -> Finding:
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy == "noeviction":
        return Finding("ok", "eviction", "no key is evicted (noeviction)")
    text = f"maxmemory-policy {policy} deletes records of the ledger when memory is full"
    return Finding("fail", "eviction", text, "set maxmemory-policy noeviction in the configuration of Redis")


def _persistence(condition: Condition, durability: str) -> Finding:
    if not int(condition.info.get("aof_enabled", 0)):
        text = "no append-only file: a restart of Redis loses the requests since its last snapshot, or all requests"
        return Finding("warn", PERSISTENCE, text, "set appendonly yes in the configuration of Redis")
    if condition.info.get("aof_last_write_status", "ok") != "ok":
        return Finding(
            "fail", PERSISTENCE, "Redis cannot write its append-only file", "free space on the disk of Redis"
        )
    if condition.appendfsync != "always" and durability == "waitaof" and _answers_early(condition.info):
        return Finding("warn", PERSISTENCE, EARLY, "set appendfsync always in Redis")
    if condition.appendfsync == "always" or durability == "waitaof":
        return Finding("ok", PERSISTENCE, "every start is on disk before it is sent, as is what a source lets go of")
    text = f"appendfsync is {condition.appendfsync or 'unknown'}: a power failure can lose the last second of writes"
    return Finding(
        "warn", PERSISTENCE, text, "set appendfsync always in Redis, or SFMC_DURABILITY=waitaof (Redis 7.2 or later)"
    )


def _answers_early(info: Mapping[str, Any]) -> bool:
    """Whether WAITAOF with `everysec` is answered when a write has reached the file, and not the disk yet.

    redis/redis#13793 corrected this for Redis 8.0; Valkey 9.1 is as it was.
    """
    return "valkey_version" in info or _as_number(info) < WAITAOF_TRUE_VERSION


def _replicas(info: Mapping[str, Any], durability: str, replicas: int) -> list[Finding]:
    connected = int(info.get("connected_slaves", 0))
    if durability == "none" or connected >= replicas:
        return []
    text = f"{connected} replicas are connected, but {replicas} must confirm each start and what a source lets go of"
    return [Finding("fail", REPLICAS, text, "connect the replicas, or lower SFMC_WAIT_REPLICAS")]


def _writes_alone(info: Mapping[str, Any]) -> list[Finding]:
    """Whether a primary that has lost its replicas goes on taking writes: only then INFO lacks this field."""
    if not int(info.get("connected_slaves", 0)) or "min_slaves_good_slaves" in info:
        return []
    text = "a primary that is cut off from its replicas takes writes that a failover then loses, for some 12 s"
    fix = "set min-replicas-to-write 1 and min-replicas-max-lag 2 in Redis: redis.md says what it costs"
    return [Finding("warn", "failover", text, fix)]


_HELD = "if the clock of Redis went back, what waits is looked at with the next sweeps, and windows count from then"


def _clock(ahead: float) -> Finding:
    if abs(ahead) <= CLOCK_DIFFERENCE:
        return Finding("ok", "clock", "the clocks of Redis and of this machine agree")
    text = f"the clock of Redis is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine"
    fix = "synchronise both clocks (NTP); until then log and event times differ, and more starts end as start_unknown"
    # If it went back, the ledger has times of before.
    return Finding("warn", "clock", text, fix if ahead > 0 else f"{fix}; {_HELD}")


def check_rights(client: Redis, role: RoleName, prefix: str) -> Finding:
    """Try every right of a role in a transaction that is thrown away, and name those that are missing."""
    tried = list(tries(role, prefix))
    before = [one for one in tried if one.words[0] in BEFORE]
    connection: Any = client.connection_pool.get_connection()
    try:
        missing = _refused(connection, before)
        connection.send_command("MULTI")
        refused = _refusal(connection)
        if refused:
            return _missing_rights(role, ["+multi"])
        missing += _refused(connection, [one for one in tried if one not in before])
    finally:
        # Without EXEC nothing of it is done.
        connection.disconnect()
        client.connection_pool.release(connection)
    needed = [right for right in missing if right[1:] not in NEWER]
    if needed:
        return _missing_rights(role, needed)
    return Finding("ok", "rights", f"this user has the rights of a {role}")


def _refused(connection: Any, tried: Sequence[Try]) -> list[str]:
    for one in tried:
        connection.send_command(*one.words)
    return [one.right for one in tried if "NOPERM" in _refusal(connection)]


def _refusal(connection: Any) -> str:
    try:
        connection.read_response()
    except NoPermissionError as error:
        return f"NOPERM {error}"
    except ResponseError as error:
        return str(error)
    return ""


def _missing_rights(role: str, missing: list[str]) -> Finding:
    text = f"this user lacks rights of a {role}: {' '.join(dict.fromkeys(missing))}"
    return Finding("fail", "rights", text, "give them with ACL SETUSER, as ops/docs/redis.md says")
