"""Lets every process read definitions again that somebody has changed in Marketing Cloud."""

import time

from uuid_utils import uuid7

from sfmc_import.access import ReadAccess
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.operations import knowing
from sfmc_import.operations.errors import InvalidError
from sfmc_import.operations.limits import MAX_TEXT, check_key
from sfmc_import.operations.views import View
from sfmc_import.request import is_mid
from sfmc_import.states import DEFINITIONS_REFRESHED


class RefreshedView(View):
    """What is read again: a definition, or all of a business unit; `hint` where that is not known here."""

    mid: str
    customer_key: str | None = None
    refreshed: bool = True
    hint: str | None = None


def refresh(access: ReadAccess, mid: str, customer_key: str | None, operator: str) -> RefreshedView:
    """Let what was read before count no more, in any process; an event says who did it.

    Raises InvalidError for what can name no definition.
    """
    if not mid:
        raise InvalidError("no business unit", "give one, or set SFMC_ACCOUNT_ID")
    if not is_mid(mid):
        raise InvalidError(f"{mid[:40]!r} is no MID", "a MID has up to 19 digits")
    if customer_key is not None:
        check_key(customer_key)
    hint = knowing.hint(access, mid, customer_key)
    from sfmc_import.ledger.shared_definitions import SharedDefinitions  # noqa: PLC0415 - what only reads needs no log

    shared = SharedDefinitions(access.client, access.keys, ttl=access.settings.definition_ttl, clock=time.monotonic)
    with redis_errors():
        shared.refresh(mid, customer_key)
    said = {"operator": operator[:MAX_TEXT], "mid": mid, "customer_key": customer_key}
    access.report(f"refresh/{uuid7()}", DEFINITIONS_REFRESHED, mid, customer_key or mid, said)
    return RefreshedView(mid=mid, customer_key=customer_key, hint=hint)
