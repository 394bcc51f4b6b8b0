"""The import engine of the sandbox: files become rows; it knows nothing of SOAP and HTTP."""

from ops.sandbox.importing.fields import DataExtension, Field
from ops.sandbox.importing.lists import MailingList, Subscriber
from ops.sandbox.importing.outcome import Account, Outcome
from ops.sandbox.importing.rows import BadRow, RowStore
from ops.sandbox.importing.running import run_import

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
