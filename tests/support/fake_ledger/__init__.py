"""A ledger in memory: the Python twin of the Lua scripts, with a clock of its own; holds no tests."""

from tests.support.fake_ledger.memory import MemoryLedger

__all__ = ["MemoryLedger"]
