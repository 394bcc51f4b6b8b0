"""The import engine: reads files and writes their rows into data extensions and lists."""

from sfmc_sandbox.importing.columns import DataExtension, Field
from sfmc_sandbox.importing.lists import MailingList, Subscriber
from sfmc_sandbox.importing.outcome import Account, Outcome
from sfmc_sandbox.importing.rows import BadRow, RowStore
from sfmc_sandbox.importing.run import run_import

__all__ = [
    "Account",
    "BadRow",
    "DataExtension",
    "Field",
    "MailingList",
    "Outcome",
    "RowStore",
    "Subscriber",
    "run_import",
]
