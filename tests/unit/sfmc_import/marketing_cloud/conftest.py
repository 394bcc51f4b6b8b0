"""The account whose processes share tokens; what is left in Redis must be described and have an end."""

from collections.abc import Iterator

import pytest

from tests.support.token_account import Account


@pytest.fixture
def account() -> Iterator[Account]:
    made = Account()
    yield made
    assert made.world.undescribed() == []
    assert made.world.endless_keys() == []
    made.world.close()
