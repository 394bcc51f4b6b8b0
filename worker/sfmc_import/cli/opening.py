"""Opens what the commands ask and do: over Redis, or over the HTTP API where SFMC_API_URL is set."""

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

from sfmc_import.access import ReadAccess, redis_errors
from sfmc_import.operations.limits import MAX_TEXT
from sfmc_import.operations.protocol import Operations
from sfmc_import.settings import Settings, load

NO_OPERATOR = "--operator: with SFMC_API_URL the name of the token is the operator; leave it out"


def login() -> str:
    """Give the name of the user of this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"uid {os.getuid()}"


@contextmanager
def open_operations(operator: str | None = None) -> Iterator[Operations]:
    """Open them with the settings of the environment; raises SettingsError, ServiceUnavailableError."""
    settings = load(os.environ)
    if operator is not None and len(operator) > MAX_TEXT:
        raise click.UsageError(f"--operator: the name has {len(operator)} characters; it may have {MAX_TEXT}")
    if settings.api_url:
        if operator is not None:
            raise click.UsageError(NO_OPERATOR)
        from sfmc_import.api_client import ApiClient  # noqa: PLC0415 - httpx, which Redis does not need

        with ApiClient(settings.api_url, settings.api_token.get_secret_value()) as api:
            yield api
        return
    from sfmc_import.operations.local import LocalOperations  # noqa: PLC0415 - kombu, which the API does not need

    with redis_errors(settings.redis, "SFMC_REDIS_URL"):
        yield LocalOperations(ReadAccess(settings), operator or login())


def own_mid(settings: Settings, given: str | None) -> str | None:
    """Give the business unit: the one given, else that of the settings; None leaves it to the server."""
    return given or settings.account_id or None


def given_mid(given: str | None) -> str | None:
    """Do the same with the settings of the environment."""
    return own_mid(load(os.environ), given)
