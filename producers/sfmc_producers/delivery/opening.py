"""Puts the targets together from the settings; what is wrong in any of them is said at once."""

import random
from collections.abc import Mapping
from functools import partial

from pydantic import ValidationError

from sfmc_import.errors import SettingsError, extra_needed
from sfmc_import.ledger.schema import Keys
from sfmc_import.redis_client import connect
from sfmc_import.settings import Settings
from sfmc_import.settings.policy_file import TargetTable
from sfmc_import.settings.problems import field_problems
from sfmc_producers.delivery.deliveries import Target
from sfmc_producers.delivery.records import Records


def open_targets(settings: Settings) -> Mapping[str, Target]:
    """Read the [[target]] tables; nothing connects. Raises SettingsError."""
    if not settings.targets:
        return {}
    problems: list[str] = []
    records = Records(connect(settings.redis), Keys(settings.prefix), settings.request_ttl)
    made = [_open(table, settings, records, problems) for table in settings.targets]
    if problems:
        raise SettingsError(problems)
    return {each.name: each for each in made if each is not None}


def _open(table: TargetTable, settings: Settings, records: Records, problems: list[str]) -> Target | None:
    if table.kind != "sftp":
        problems.append(f"{table.where} kind: {table.kind!r}: there is no such kind; use sftp")
        return None
    with extra_needed("a target of kind sftp", "sftp"):
        from sfmc_producers.delivery.sftp import SftpOptions, SftpSession  # noqa: PLC0415 - an extra
    try:
        options = SftpOptions.model_validate(table.lines)
    except ValidationError as error:
        problems += [f"{table.where} {line}" for line in field_problems(error, SftpOptions, table.lines, str).values()]
        return None
    password = settings.target_secret(table.name, "password")
    ways = sum((password is not None, options.key_file is not None, options.agent))
    if ways != 1:
        secret = f"SFMC_TARGET_{table.name.upper().replace('-', '_')}_PASSWORD"
        problems.append(f"{table.where}: give one way to log in: key_file, agent, or {secret}")
    account = f"{options.user}@{options.host}:{options.port}"
    open_one = partial(SftpSession, options, password)
    return Target(table.name, options, options.place, open_one, records, random.random, account)
