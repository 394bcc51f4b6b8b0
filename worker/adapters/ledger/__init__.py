"""The ledger in Redis: one Lua script for each step, and what reads them; no decisions outside the scripts."""

from worker.adapters.ledger.redis_ledger import LedgerSettings, RedisLedger

__all__ = ["LedgerSettings", "RedisLedger"]
