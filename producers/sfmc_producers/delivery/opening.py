"""Puts the targets together from the settings; what is wrong in any of them is said at once."""

import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from sfmc_import.errors import MissingExtraError, extra_needed, noted, require_none
from sfmc_import.ledger.keys import Keys
from sfmc_import.redis_client import connect
from sfmc_import.routing import Route
from sfmc_import.settings import Settings
from sfmc_import.settings.policy_file import TargetTable
from sfmc_import.settings.problems import field_problems
from sfmc_producers.delivery.deliveries import Target
from sfmc_producers.delivery.key_files import read_keys
from sfmc_producers.delivery.locations import OF_DEFINITION, Described, problems_of
from sfmc_producers.delivery.progress import WatchFile
from sfmc_producers.delivery.records import Records
from sfmc_producers.delivery.targets import TargetOptions
from sfmc_producers.delivery.unpacking import Decryption
from sfmc_producers.ledger import require_redis

if TYPE_CHECKING:
    from sfmc_producers.delivery.s3 import S3Options
    from sfmc_producers.delivery.sftp import SftpOptions

CLOSE_SECONDS = 5.0
T = TypeVar("T", bound=TargetOptions)


def open_targets(settings: Settings, watch: WatchFile, problems: list[str]) -> Mapping[str, Target]:
    """Read the [[target]] tables; nothing connects. `watch` follows the files on their way.

    What is wrong goes to `problems`, also a route that delivers nowhere; a target of which that is said can be missing.
    """
    wrong: list[str] = []
    made: list[Target | None] = []
    if settings.targets:
        require_redis(settings, "a route that delivers")
        keys = Keys(settings.prefix)
        records = Records(connect(settings.redis), keys, settings.request_ttl, settings.follow_deadline)
        made = [_open(table, settings, records, wrong) for table in settings.targets]
    found = {each.name: each for each in made if each is not None}
    if None not in made:
        wrong += problems_of(settings.routes, map(_described, found.values()), settings.account_id)
    usable: dict[str, Target] = {}
    for each in found.values():
        with noted(wrong):
            each.watch, each.decrypt = watch, _open_pgp(each.name, settings)
            usable[each.name] = each
    problems += wrong
    return usable


def close_targets(targets: Mapping[str, Target], seconds: float = CLOSE_SECONDS) -> None:
    """End all connections in order; what is being uploaded stops, and the next process goes on with it."""
    deadline = time.monotonic() + seconds
    for each in targets.values():
        each.close(max(0.0, deadline - time.monotonic()))


def require_keys(routes: Iterable[Route], targets: Mapping[str, Target]) -> None:
    """Raise SettingsError for each route that decrypts without a key, and for trusted keys that cannot be read."""
    pgp = [route for route in routes if route.deliver and "pgp" in route.unpack]
    decrypting = {route.deliver for route in pgp if route.deliver}
    missing = [each.name for each in targets.values() if each.decrypt is None and _is_meant(each, decrypting)]
    text = "missing; a route unpacks pgp: give the private key, as text (environment or secret file)"
    problems = [f"{_variable(name, 'PGP_KEY')}: {text}" for name in sorted(missing)]
    for route in pgp:
        for each in targets.values():
            if _is_meant(each, {route.deliver or ""}):
                problems += _untrusted(each, route)
    require_none(problems)


def _untrusted(target: Target, route: Route) -> list[str]:
    """Let a target trust the keys of a route; say which cannot be read, also where its own key is missing."""
    problems: list[str] = []
    where = f"route {route.pattern} verify_with"
    for file in route.verify_with:
        with noted(problems):
            if target.decrypt is None:
                read_keys(file, where)
            else:
                target.decrypt.trust((file,), where)
    return problems


def _is_meant(target: Target, named: Collection[str]) -> bool:
    """Tell whether one of these names is that of the target, or of its kind where it is a file location."""
    is_location = target.options.location is not None
    return target.name in named or (is_location and target.kind in OF_DEFINITION and target.kind in named)


def _open_pgp(name: str, settings: Settings) -> Decryption | None:
    keys = settings.target_secret(name, "pgp_key")
    if keys is None:
        return None
    with extra_needed("unpack = pgp", "pgp"):
        from sfmc_producers.delivery.pgp import Pgp  # noqa: PLC0415 - an extra
    return Pgp(keys, settings.target_secret(name, "pgp_passphrase"), _variable(name, "PGP_KEY"))


def _variable(name: str, what: str) -> str:
    return f"SFMC_TARGET_{name.upper().replace('-', '_')}_{what}"


def target_problems(tables: Iterable[TargetTable], routes: Iterable[Route]) -> list[str]:
    """Say what is wrong in the lines of targets, and which routes lead to none.

    What needs a library that is not there is not looked at.
    """
    problems: list[str] = []
    described: list[Described] = []
    for table in tables:
        _check_head(table, problems)
        with suppress(MissingExtraError), _extra_of(table):
            if table.kind in OPTIONS:
                _read(OPTIONS[table.kind](), table, problems)
        location, mid = table.lines.get("location"), table.lines.get("mid")
        described.append(Described(table.name, table.kind, location and str(location), mid and str(mid)))
    return problems + problems_of(routes, described, "")


def _described(target: Target) -> Described:
    return Described(target.name, target.kind, target.options.location, target.options.mid)


def _check_head(table: TargetTable, problems: list[str]) -> None:
    if table.kind not in OPEN:
        problems.append(f"{table.where} kind: {table.kind!r}: there is no such kind; use sftp or s3")
    elif table.name in OF_DEFINITION:
        text = f"deliver = {table.name!r} stands for the file location of a definition; choose another name"
        problems.append(f"{table.where} name: {text}")


def _extra_of(table: TargetTable) -> AbstractContextManager[None]:
    return extra_needed(f"a target of kind {table.kind}", {"sftp": "sftp", "s3": "aws"}.get(table.kind, table.kind))


def _open(table: TargetTable, settings: Settings, records: Records, problems: list[str]) -> Target | None:
    _check_head(table, problems)
    if table.kind not in OPEN:
        return None
    with _extra_of(table):
        return OPEN[table.kind](table, settings, records, problems)


def _read(model: type[T], table: TargetTable, problems: list[str]) -> T | None:
    try:
        return model.model_validate(table.lines)
    except ValidationError as error:
        problems += [f"{table.where} {line}" for line in field_problems(error, model, table.lines, str).values()]
        return None


def _open_sftp(table: TargetTable, settings: Settings, records: Records, problems: list[str]) -> Target | None:
    from sfmc_producers.delivery.sftp import SftpSession  # noqa: PLC0415 - an extra

    options = _read(_sftp_options(), table, problems)
    if options is None:
        return None
    password = settings.target_secret(table.name, "password")
    ways = sum((password is not None, options.key_file is not None, options.agent))
    if ways != 1:
        secret = _variable(table.name, "PASSWORD")
        problems.append(f"{table.where}: give one way to log in: key_file, agent, or {secret}")
    open_one = partial(SftpSession, options, password)
    return Target(table.name, options, options.place, open_one, records, random.random, options.account, "sftp")


def _open_s3(table: TargetTable, settings: Settings, records: Records, problems: list[str]) -> Target | None:  # noqa: ARG001 - as the others
    from sfmc_producers.delivery.s3 import S3Session  # noqa: PLC0415 - an extra

    options = _read(_s3_options(), table, problems)
    if options is None:
        return None
    open_one = partial(S3Session, options)
    return Target(table.name, options, options.place, open_one, records, random.random, options.place, "s3")


def _sftp_options() -> "type[SftpOptions]":
    from sfmc_producers.delivery.sftp import SftpOptions  # noqa: PLC0415 - an extra

    return SftpOptions


def _s3_options() -> "type[S3Options]":
    from sfmc_producers.delivery.s3 import S3Options  # noqa: PLC0415 - an extra

    return S3Options


OPTIONS: Mapping[str, Callable[[], type[TargetOptions]]] = {"sftp": _sftp_options, "s3": _s3_options}
Open = Callable[[TargetTable, Settings, Records, list[str]], Target | None]
OPEN: Mapping[str, Open] = {"sftp": _open_sftp, "s3": _open_s3}
