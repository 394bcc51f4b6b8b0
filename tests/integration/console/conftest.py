from collections.abc import Iterator

import pytest

from tests.support.console import World, console_over


@pytest.fixture
def world(redis_server) -> Iterator[World]:
    with console_over(redis_server.url) as made:
        yield made
