"""A file that is not known while Redis takes no writes may be there all the same, and the answer says so."""

from collections.abc import Iterator
from typing import Any

import pytest

from sfmc_import.operations import requests
from sfmc_import.operations.errors import NotFoundError
from sfmc_import.operations.status import standing
from tests.support.console import MID, World, console_over

SAID = "no watcher can say which files it holds, and no file becomes a request"


@pytest.fixture
def world(redis_server: Any) -> Iterator[World]:
    with console_over(redis_server.url) as made:
        yield made


@pytest.fixture
def replica(world: World) -> Iterator[World]:
    world.access.client.replicaof("127.0.0.1", 9)
    try:
        yield world
    finally:
        world.access.client.replicaof("NO", "ONE")


def test_a_file_that_is_not_known_may_be_held_by_a_watcher_that_cannot_say_so(replica: World) -> None:
    with pytest.raises(NotFoundError) as of_file:
        requests.find(replica.access, "v2.csv", MID)
    with pytest.raises(NotFoundError) as of_definition:
        standing(replica.access, "unknown", MID)

    assert all(SAID in str(each.value) and "replica" in str(each.value) for each in (of_file, of_definition))


def test_nothing_of_the_kind_is_said_while_redis_takes_writes(world: World) -> None:
    with pytest.raises(NotFoundError) as found:
        requests.find(world.access, "v2.csv", MID)

    assert SAID not in str(found.value)
