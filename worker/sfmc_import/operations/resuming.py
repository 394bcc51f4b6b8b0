"""Follows a run again whose following had timed out."""

from sfmc_import.access import ReadAccess
from sfmc_import.operations.errors import ConflictError
from sfmc_import.operations.requests import no_request


def follow_again(access: ReadAccess, request_id: str) -> None:
    """Let the workers ask for the result again; raises NotFoundError, and ConflictError where it is not timed out."""
    record = access.reader.request(request_id)
    if record is None:
        raise no_request(access, request_id)
    policy = access.settings.policy(record["mid"], record["customer_key"])
    ledger = access.ledger()
    if not ledger.resume(request_id, policy):
        state = record["state"]
        raise ConflictError(f"request {request_id} is {state}: it has no run to follow", state=state)
    ledger.confirm([])
