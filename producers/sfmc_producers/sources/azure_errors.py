"""What the errors of Azure's storage mean: who must act, a person or time."""

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ResourceNotFoundError

from sfmc_producers.sources.deadlines import DeadlineError
from sfmc_producers.sources.receiving import SourceRefusedError, SourceUnavailableError

MISSING = frozenset({
    "AccountIsDisabled", "ContainerNotFound", "ContainerBeingDeleted", "QueueNotFound", "QueueBeingDeleted",
    "ResourceNotFound",
})  # fmt: skip


@contextmanager
def azure_errors(what: str, fix: str) -> Iterator[None]:
    """Turn trouble into SourceRefusedError, where a person must act, or SourceUnavailableError; `what` names whom.

    `fix` says what to do about a login that is refused.
    """
    try:
        yield
    except ClientAuthenticationError as error:
        raise SourceRefusedError(f"{what}: the login is refused ({code_of(error)})", fix) from error
    except ResourceNotFoundError as error:
        if code_of(error) in MISSING:
            raise SourceRefusedError(f"{what}: it is not there ({code_of(error)})", "check its name") from error
        raise SourceUnavailableError(f"{what}: {code_of(error)}") from error
    except HttpResponseError as error:
        if error.status_code in {401, 403}:
            raise SourceRefusedError(f"{what}: the login is refused ({code_of(error)})", fix) from error
        raise SourceUnavailableError(f"{what}: {code_of(error)}") from error
    except (AzureError, DeadlineError, OSError) as error:
        raise SourceUnavailableError(f"{what}: {error}") from error


def code_of(error: HttpResponseError) -> str:
    """Give the code of an answer, or its status."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or f"HTTP {error.status_code}")
