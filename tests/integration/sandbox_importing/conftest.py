"""A business unit with folders and a row store for imports of larger files."""

import pytest

from tests.unit.sfmc_sandbox.importing.world import World


@pytest.fixture
def world(tmp_path):
    with World(tmp_path) as made:
        yield made
