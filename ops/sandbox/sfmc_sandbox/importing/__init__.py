"""The import engine of the sandbox: files become rows; it knows nothing of SOAP and HTTP."""

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
