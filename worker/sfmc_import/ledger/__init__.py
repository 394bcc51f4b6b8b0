"""The ledger in Redis: each step is one Lua script; schema.py describes the keys."""

from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.ledger_settings import LedgerSettings
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.ledger.redis_ledger import RedisLedger

__all__ = ["Keys", "LedgerReader", "LedgerSettings", "RedisLedger"]
