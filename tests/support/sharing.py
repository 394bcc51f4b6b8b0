"""How tests are shared out among processes: those of a module go to one, for they share what they started."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

SINGLE = ("tests/integration/simulation/", "tests/integration/crash_points/", "tests/contract/ledger/test_mutants")
"""Folders and modules of long tests that share nothing which is dear."""


class ByModule(LoadScopeScheduling):
    """Gives a module to a process, in the order of the collection; tests that share nothing go one by one."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        # Otherwise the modules with the most tests come first: those of the unit layer.
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(SINGLE) else nodeid.partition("::")[0]
