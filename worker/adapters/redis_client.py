"""Opens clients of Redis or Valkey with bounded waiting; what is asked of them lives elsewhere."""

from typing import Any

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel

from worker.settings import RedisAddress

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 5.0


def connect(address: RedisAddress, *, answer_seconds: float = ANSWER_SECONDS, retries: int = 3) -> Redis:
    """Open a client that gives bytes; it connects on first use.

    A command whose answer was lost is sent again, so only commands that bear repetition may be used:
    every script of the ledger does. A blocking command must block for less than `answer_seconds`.
    """
    options: dict[str, Any] = {
        "socket_timeout": answer_seconds,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_keepalive": address.scheme != "unix",
        "retry": Retry(ExponentialWithJitterBackoff(base=0.02, cap=0.5), retries),
        "retry_on_error": [RedisConnectionError, RedisTimeoutError],
        "health_check_interval": 15,
    }
    if address.scheme == "sentinel":
        return _of_sentinel(address, options)
    if address.scheme == "unix":
        options.pop("socket_keepalive")
    return Redis.from_url(address.client_url, **options)


def _of_sentinel(address: RedisAddress, options: dict[str, Any]) -> Redis:
    login = {"password": address.sentinel_password} if address.sentinel_password else {}
    sentinel: Any = Sentinel(list(address.hosts), sentinel_kwargs=login, **options)  # type: ignore[no-untyped-call]
    credentials = {"username": address.username, "password": address.password, "db": address.db}
    client: Redis = sentinel.master_for(address.master_name or "", **credentials)
    return client
