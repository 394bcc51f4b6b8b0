"""The Python client of the HTTP API (`sfmc-import serve`), for threads and for asyncio.

    from sfmc_import.api_client import ApiClient

    with ApiClient("https://imports.example.com", token) as api:
        api.submit(customer_key="contacts", idempotency_key="2026-03-01/contacts")

What may be repeated without harm is repeated for a few seconds: reading, a submission with an Idempotency-Key, and any
call that did not reach the server. Problems become exceptions by their `type`.
"""

from sfmc_import.api_client.aio import AsyncApiClient
from sfmc_import.api_client.sync import ApiClient
from sfmc_import.api_client.wire import ForbiddenError, ServerEvent, Submitted, UnauthorizedError
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.operations.errors import ConflictError, InvalidError, NotFoundError, OperationError

__all__ = [
    "ApiClient",
    "AsyncApiClient",
    "ConflictError",
    "ForbiddenError",
    "InvalidError",
    "NotFoundError",
    "OperationError",
    "ServerEvent",
    "ServiceUnavailableError",
    "Submitted",
    "UnauthorizedError",
]
