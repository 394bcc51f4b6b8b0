"""Completes names of definitions on the command line: quick, and silent when nothing answers."""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from sfmc_import.settings import Settings

SECONDS = 2.0
"""How long somebody who pressed the key waits at most."""

MOST = 10_000


def complete_key(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Give the definitions whose key begins so: those of the policy file, and those that requests were for."""
    found: set[str] = set()
    # A thread that is left alone: whatever hangs there does not hold the shell.
    thread = threading.Thread(target=_collect, args=(found,), daemon=True)
    thread.start()
    thread.join(SECONDS)
    return [CompletionItem(key) for key in sorted(found.copy()) if key.lower().startswith(incomplete.lower())]


def _collect(found: set[str]) -> None:
    # What the help of the commands needs not: each takes a part of a second.
    from redis.exceptions import RedisError  # noqa: PLC0415

    from sfmc_import.errors import SfmcImportError  # noqa: PLC0415
    from sfmc_import.ports import LedgerUnavailableError  # noqa: PLC0415
    from sfmc_import.settings import load  # noqa: PLC0415

    with suppress(SfmcImportError, LedgerUnavailableError, RedisError, OSError):
        settings = load(os.environ)
        found |= {key for _, key in settings.policies.definitions}
        for key in _known(settings):
            found.add(key)
            if len(found) >= MOST:
                return


def _known(settings: "Settings") -> Iterator[str]:
    if settings.api_url:
        from sfmc_import.api_client import ApiClient  # noqa: PLC0415 - httpx, which Redis does not need

        with ApiClient(settings.api_url, settings.api_token.get_secret_value()) as api:
            yield from (each.customer_key for each in api.definitions().items)
        return
    from sfmc_import.ledger.keys import Keys  # noqa: PLC0415 - only when a key is asked for
    from sfmc_import.ledger.schema import DEFINITIONS  # noqa: PLC0415
    from sfmc_import.redis_client import connect  # noqa: PLC0415

    with connect(settings.redis, retries=0, connect_seconds=SECONDS, answer_seconds=SECONDS) as redis:
        for _, key in redis.hscan_iter(Keys(settings.prefix).name_of(DEFINITIONS), count=1000):
            yield key.decode()
