"""One authenticated call on its way through an operation; holds data only."""

from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from ops.sandbox.objects.refusal import NO_ACCESS, RefusalError
from ops.sandbox.security import Caller
from ops.sandbox.settings import SandboxSettings
from ops.sandbox.wire.decode import Decoded


@dataclass(frozen=True)
class Call:
    """Who calls, with which payload; `request_id` goes into the answer, `effects` change the runs it starts."""

    caller: Caller
    payload: etree._Element
    request_id: str
    effects: dict[str, Any] = field(default_factory=dict)


def caller_for(caller: Caller, client: Any, settings: SandboxSettings) -> Caller:
    """The caller in the business unit that a ClientID names, or unchanged when it names none.

    Raises RefusalError 4 for a business unit that does not exist or that this principal may not use.
    """
    mid = (client or {}).get("ID") or (client or {}).get("ClientID")
    if not mid or mid == caller.mid:
        return caller
    if mid not in settings.mids or not caller.principal.may_act_in(mid):
        raise RefusalError(NO_ACCESS, f"No access to the account {mid}.")
    return Caller(caller.principal, mid)


def echo(sent: Decoded, **identities: Any) -> dict[str, Any]:
    """An object as results repeat it: PartnerKey and ObjectID nil unless known, the rest as it was sent."""
    return {"PartnerKey": None, "ObjectID": None, **sent.values, "xsi:type": sent.type, **identities}


def refused(refusal: RefusalError) -> dict[str, Any]:
    """The fields of a result that says no."""
    fields: dict[str, Any] = {"StatusCode": "Error", "StatusMessage": refusal.message}
    if refusal.code is not None:
        fields["ErrorCode"] = refusal.code
    return fields


def overall(results: list[dict[str, Any]]) -> str:
    """OverallStatus of Perform, Create, Update and Delete: `OK`, `Error`, or `Has Errors` when only some failed."""
    failed = sum(result["StatusCode"] != "OK" for result in results)
    if not failed:
        return "OK"
    return "Error" if failed == len(results) else "Has Errors"
