"""Lets every process read definitions again that somebody has changed in Marketing Cloud."""

import time

from sfmc_import.access import ReadAccess
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.shared_definitions import SharedDefinitions
from sfmc_import.operations.errors import InvalidError
from sfmc_import.operations.views import View


class RefreshedView(View):
    """What is read again: a definition, or all of a business unit."""

    mid: str
    customer_key: str | None = None
    refreshed: bool = True


def refresh(access: ReadAccess, mid: str, customer_key: str | None = None) -> RefreshedView:
    """Let what was read before count no more, in any process; raises InvalidError without a business unit."""
    if not mid:
        raise InvalidError("no business unit", "give one, or set SFMC_ACCOUNT_ID")
    shared = SharedDefinitions(access.client, access.keys, ttl=access.settings.definition_ttl, clock=time.monotonic)
    with redis_errors():
        shared.refresh(mid, customer_key)
    return RefreshedView(mid=mid, customer_key=customer_key)
