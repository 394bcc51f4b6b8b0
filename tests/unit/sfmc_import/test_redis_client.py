from copy import deepcopy

import pytest
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from sfmc_import.redis_client import CommandRetry


class Silent:
    """A server that never answers, asked as redis-py asks: for the connection within the command."""

    def __init__(self, retry: CommandRetry) -> None:
        self.retry, self.asked = retry, 0

    def ask(self) -> None:
        self.asked += 1
        raise RedisConnectionError("silence")

    def connect(self) -> None:
        self.retry.call_with_retry(self.ask, lambda _error: None)

    def command(self) -> None:
        self.retry.call_with_retry(self.connect, lambda _error, _count: None, with_failure_count=True)


def test_a_connection_within_a_command_is_tried_as_often_as_the_command() -> None:
    server = Silent(CommandRetry(NoBackoff(), 3, seconds=60))

    with pytest.raises(RedisConnectionError):
        server.command()

    assert server.asked == 4


def test_no_try_begins_after_the_deadline() -> None:
    server = Silent(CommandRetry(NoBackoff(), 1000, seconds=0.0))

    with pytest.raises(RedisConnectionError):
        server.command()

    assert server.asked == 1


def test_a_command_after_one_that_failed_has_its_own_time() -> None:
    retry = CommandRetry(NoBackoff(), 3, seconds=60)
    for _ in range(2):
        server = Silent(retry)
        with pytest.raises(RedisConnectionError):
            server.command()
        assert server.asked == 4


def test_the_copies_of_a_policy_repeat_within_one_command_and_two_policies_do_not() -> None:
    class Outer(Silent):
        def __init__(self, inner: CommandRetry) -> None:
            super().__init__(CommandRetry(NoBackoff(), 3, seconds=60))
            self._inner = inner

        def connect(self) -> None:
            self._inner.call_with_retry(self.ask, lambda _error: None)

    other = Outer(CommandRetry(NoBackoff(), 1, seconds=60))
    copied = Silent(CommandRetry(NoBackoff(), 3, seconds=60))
    policy, copied.retry = copied.retry, deepcopy(copied.retry)

    for server in (other, copied):
        with pytest.raises(RedisConnectionError):
            policy.call_with_retry(server.connect, lambda _error: None)

    assert (other.asked, copied.asked) == (8, 4)
