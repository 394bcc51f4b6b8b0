"""The least rights in Redis of each kind of process: as rules of its ACL, and as commands to try."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from sfmc_import.request import QUEUE, broker_prefix

RoleName = Literal["worker", "beat", "producer", "reader", "notifier", "operator", "server"]

LEDGER, STREAM = "{{{prefix}events}}:*", "{prefix}events"
SHARED = "{{{prefix}events}}/*"
"""Definitions as processes read them, for who could write them could change what a start is checked against; and the
access tokens that processes share, sealed."""
SHARED_DEFINITIONS, MARKS = "{{{prefix}events}}/definitions*", "{{{prefix}events}}/refreshed"
"""The part of it that `definitions refresh` needs."""

MOVES = "{celery}{{{prefix}events}}:transport:*"
QUEUES, BINDINGS = "{queue}*", "{celery}_kombu.binding*"
RESULTS = "{celery}celery-task-meta-*"

CONNECTING = ("hello", "ping", "select", "client|setinfo", "info", "time", "multi")
SCRIPTS = ("eval", "evalsha", "script|load")
READING = (
    "exists", "scan", "get", "hget", "hgetall", "hlen", "hmget", "hscan", "llen", "xinfo|consumers", "xinfo|groups",
    "xlen", "xrange", "xread", "xrevrange", "zcard", "zcount", "zrange", "zrangebyscore", "zscore",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Role:
    """What a kind of process does: its commands, and the keys and channels that it does it with."""

    commands: tuple[str, ...]
    keys: tuple[str, ...]
    channels: tuple[str, ...] = ()


ROLES: Mapping[RoleName, Role] = {
    "worker": Role(
        (*CONNECTING, *SCRIPTS, *READING, "exec", "blmove", "blpop", "del", "expire", "hdel", "hexists",
         "hincrby", "hset", "lmove",
         "lpush", "lrange", "lrem", "ltrim", "mget", "pexpire", "publish", "rename", "rpush", "sadd", "set",
         "setex", "smembers", "srem", "wait", "waitaof", "xadd", "zadd", "zpopmin", "zrem", "zremrangebyscore",
         "zunionstore"),
        (STREAM, LEDGER, SHARED, MOVES, QUEUES, BINDINGS, RESULTS),
        (RESULTS,),
    ),
    "beat": Role(
        (*CONNECTING, *SCRIPTS, "del", "exec", "exists", "expire", "get", "hdel", "hget", "hgetall", "hincrby", "hlen",
         "hmget", "hset", "llen", "lpush", "lrem", "pexpire", "rename", "rpush", "sadd", "set", "smembers", "srem",
         "wait", "waitaof", "xadd", "zadd", "zcard", "zpopmin", "zrange", "zrem", "zremrangebyscore", "zscore",
         "zunionstore"),
        (STREAM, LEDGER, MOVES, QUEUES, BINDINGS),
    ),
    "producer": Role(
        (*CONNECTING, *SCRIPTS, "exec", "del", "exists", "get", "hdel", "hget", "hgetall", "hincrby", "hlen", "hmget",
         "hset", "llen", "lpush", "lrange", "lrem", "ltrim", "pexpire", "rename", "rpush", "sadd", "set", "smembers",
         "subscribe", "unsubscribe", "unwatch", "wait", "waitaof", "watch", "xack", "xadd", "xautoclaim", "xclaim",
         "xdel",
         "xgroup|create", "xgroup|delconsumer", "xinfo|consumers", "xinfo|groups", "xlen", "xpending", "xrange",
         "xread", "xreadgroup", "zadd", "zcard", "zpopmin", "zrange", "zrem", "zscore", "zunionstore"),
        (STREAM, LEDGER, MOVES, QUEUES, BINDINGS, RESULTS),
        (RESULTS,),
    ),
    "reader": Role((*CONNECTING, *READING), (STREAM, LEDGER, MOVES, QUEUES)),
    "operator": Role(
        (*CONNECTING, *SCRIPTS, *READING, "del", "exec", "hdel", "hset", "lpush", "lrange", "lrem", "pexpire", "rename",
         "rpush", "set", "wait", "waitaof", "xadd", "xdel", "zadd", "zpopmin", "zrem", "zunionstore"),
        (STREAM, LEDGER, SHARED_DEFINITIONS, MARKS, MOVES, QUEUES, BINDINGS),
    ),
    "server": Role(
        (*CONNECTING, *SCRIPTS, *READING, "del", "exec", "hdel", "hset", "lpush", "lrange", "lrem", "ltrim", "pexpire",
         "rename", "rpush", "set", "wait", "waitaof", "xadd", "xdel", "zadd", "zpopmin", "zrem", "zunionstore"),
        (STREAM, LEDGER, SHARED_DEFINITIONS, MARKS, MOVES, QUEUES, BINDINGS),
    ),
    "notifier": Role(
        (*CONNECTING, "hdel", "hgetall", "hset", "hsetnx", "pexpire", "xack", "xadd", "xautoclaim", "xclaim", "xdel",
         "xgroup|create", "xgroup|delconsumer", "xinfo|consumers", "xinfo|groups", "xinfo|stream", "xlen", "xpending",
         "xrange", "xread", "xreadgroup", "xrevrange"),
        (STREAM, LEDGER),
    ),
}  # fmt: skip


def patterns(kinds: tuple[str, ...], prefix: str) -> tuple[str, ...]:
    """Give the patterns of keys or channels under a prefix (SFMC_PREFIX)."""
    celery = broker_prefix(prefix)
    # Without a prefix of Celery the keys of the transport are among those of the ledger.
    needed = (kind for kind in kinds if celery or kind != MOVES)
    return tuple(kind.format(prefix=prefix, celery=celery, queue=f"{celery}{QUEUE}") for kind in needed)


def rules(name: RoleName, prefix: str) -> tuple[str, ...]:
    """Give the rules of a role, as ACL SETUSER takes them after name and password."""
    role = ROLES[name]
    keys = (f"~{pattern}" for pattern in patterns(role.keys, prefix))
    channels = (f"&{pattern}" for pattern in patterns(role.channels, prefix))
    return ("on", "resetchannels", *keys, *channels, "-@all", *(f"+{command}" for command in role.commands))


# What stands behind a command so that Redis checks its rights; {key} is a key, other words mean nothing.
ARGUMENTS: Mapping[str, str] = {
    "hello": "", "ping": "", "select": "0", "client|setinfo": "lib-name sfmc-import", "info": "server", "time": "",
    "multi": "", "exec": "", "eval": "return 1 {key}", "evalsha": "0 1 {key}", "script|load": "return", "get": "{key}",
    "hget": "{key} f", "hgetall": "{key}", "hlen": "{key}", "hmget": "{key} f", "llen": "{key}", "xlen": "{key}",
    "xrange": "{key} - +", "xread": "STREAMS {key} 0", "xrevrange": "{key} + -", "zcard": "{key}",
    "zcount": "{key} 0 1", "zrange": "{key} 0 1", "zrangebyscore": "{key} 0 1", "zscore": "{key} m",
    "blmove": "{key} {key} LEFT LEFT 0", "blpop": "{key} 0", "del": "{key}", "exists": "{key}", "expire": "{key} 1",
    "hdel": "{key} f", "hexists": "{key} f", "hincrby": "{key} f 1", "hset": "{key} f v",
    "hsetnx": "{key} f v",
    "lmove": "{key} {key} LEFT LEFT",
    "lpush": "{key} v", "lrem": "{key} 1 v",
    "ltrim": "{key} 0 1", "scan": "0", "hscan": "{key} 0", "lrange": "{key} 0 1",
    "mget": "{key}", "pexpire": "{key} 1", "rpush": "{key} v",
    "sadd": "{key} m", "set": "{key} v", "setex": "{key} 1 v", "smembers": "{key}", "srem": "{key} m", "wait": "0 1",
    "waitaof": "0 0 1", "xadd": "{key} * f v", "zadd": "{key} 1 m", "zpopmin": "{key}", "zrem": "{key} m",
    "xack": "{key} g 0-1", "xautoclaim": "{key} g c 1 0-0", "xclaim": "{key} g c 1 0-1", "xdel": "{key} 0-1",
    "xgroup|create": "{key} g $", "xgroup|delconsumer": "{key} g c", "xinfo|consumers": "{key} g",
    "xinfo|groups": "{key}", "xinfo|stream": "{key}", "xpending": "{key} g",
    "xreadgroup": "GROUP g c STREAMS {key} >",
    "unwatch": "", "watch": "{key}",
    "zremrangebyscore": "{key} 0 1", "publish": "{channel} m", "rename": "{key} {key}", "zunionstore": "{key} 1 {key}",
}  # fmt: skip
PROBES: Mapping[str, str] = {"producer": "lpush", "notifier": "xlen"}
"""The command by which the rights to a key are tried, where it is not LLEN."""

UNTRIED = frozenset({"hello", "multi", "exec", "subscribe", "unsubscribe"})
"""Commands that are not tried: the connection needs them before, or they would leave the transaction."""
BEFORE = ("unwatch", "watch")
"""Commands that are tried before the transaction, where they change nothing: within it they are refused to everyone."""
NEWER = frozenset({"waitaof", "client|setinfo"})
"""Commands that not every server has, and that only some settings need."""


@dataclass(frozen=True, slots=True)
class Try:
    """One command that must be permitted; `right` is the rule that permits it."""

    words: tuple[str, ...]
    right: str


def tries(name: RoleName, prefix: str) -> Iterator[Try]:
    """Give commands that together need every right of a role; for a transaction that is never carried out."""
    role = ROLES[name]
    keys, channels = patterns(role.keys, prefix), patterns(role.channels, prefix)
    own = _example(keys[1])
    for command in role.commands:
        if command not in UNTRIED and command != "publish":
            yield Try(_words(command, own), f"+{command}")
    for pattern in keys:
        yield Try(_words(PROBES.get(name, "llen"), _example(pattern)), f"~{pattern}")
    for pattern in channels if "publish" in role.commands else ():
        yield Try(("publish", _example(pattern), "m"), f"+publish &{pattern}")


def _example(pattern: str) -> str:
    return pattern.replace("*", "-")


def _words(command: str, key: str) -> tuple[str, ...]:
    arguments = (word.format(key=key) for word in ARGUMENTS[command].split())
    return (*command.split("|"), *arguments)
