"""The ledger in Redis: one Lua script for each step, and what reads them; no decisions outside the scripts."""

from sfmc_import.ledger.redis_ledger import RedisLedger
from sfmc_import.ledger.schema import LedgerSettings

__all__ = ["LedgerSettings", "RedisLedger"]
