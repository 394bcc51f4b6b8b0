"""How long what an operator writes may be: the same by every way in, and nothing is cut."""

from sfmc_import.operations.errors import InvalidError

MAX_TEXT = 1024
"""The longest reason and name of an operator."""

MAX_KEY = 256
"""The longest name of a definition; Marketing Cloud itself has shorter ones."""


def check_reason(reason: str | None) -> None:
    """Raise InvalidError for a reason that is too long."""
    if reason is not None and len(reason) > MAX_TEXT:
        raise InvalidError(f"the reason has {len(reason)} characters; it may have {MAX_TEXT}", field="reason")


def check_key(customer_key: str) -> None:
    """Raise InvalidError for what can name no definition."""
    if not customer_key.strip():
        raise InvalidError("the CustomerKey is empty")
    if len(customer_key) > MAX_KEY:
        raise InvalidError(f"the CustomerKey has {len(customer_key)} characters; it may have {MAX_KEY}")
