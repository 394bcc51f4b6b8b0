"""`sfmc-import doctor`: checks settings, Redis, login and definitions, and prints a fix for each problem."""

import difflib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click

from sfmc_import import logs
from sfmc_import.bootstrap import open_marketing_cloud
from sfmc_import.cli.doctor_addresses import is_plain_http
from sfmc_import.cli.doctor_circuits import check_circuits, fix_of
from sfmc_import.cli.doctor_clocks import check_clocks, check_machine, time_of_ledger
from sfmc_import.cli.doctor_redis import check_redis
from sfmc_import.cli.doctor_redis import move_ledger as take_ledger
from sfmc_import.cli.doctor_starts import check_starts
from sfmc_import.cli.doctor_tokens import check_tokens
from sfmc_import.cli.output import examples, json_option, mark, print_json, print_line, seconds
from sfmc_import.clocks import Clocks
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.file_spec import is_dated, unknown_parts
from sfmc_import.marketing_cloud import SoapMarketingCloud
from sfmc_import.marketing_cloud.http import BootClock
from sfmc_import.notifications.memory import Failure, NotifierMemory
from sfmc_import.operations.notified import runs_now
from sfmc_import.operations.resolving import quick
from sfmc_import.redis_client import connect
from sfmc_import.redis_rights import ROLES, RoleName
from sfmc_import.redis_server import Finding
from sfmc_import.request import fold_key
from sfmc_import.runs import Definition
from sfmc_import.schedules import ticks
from sfmc_import.settings import Settings, SettingsError, described, load, read_all
from sfmc_import.settings.model import unplaced_schedules
from sfmc_import.settings.policy_file import Tables

WrongLines = Callable[[Tables], list[str]]
"""Says what is wrong in the lines of sources and targets, which the producers read."""


def check_marketing_cloud(
    settings: Settings, service: SoapMarketingCloud, clocks: Clocks, now: Callable[[], float]
) -> Iterator[Finding]:
    """Ask Marketing Cloud once for each business unit that the settings name; `now` is for answers without a time."""
    yield from _plain_http(settings)
    service.prepare()
    yield Finding("ok", "WSDL", "the built-in WSDL can be loaded")
    for mid, keys in named(settings).items():
        found = service.definitions(mid)
        if isinstance(found, (NotApplied, Rejected)):
            yield Finding("fail", "login", f"business unit {mid}: {found.text}", fix_of(found.code, settings))
        else:
            yield Finding("ok", "login", f"business unit {mid}: login works, {len(found)} ImportDefinitions")
            yield from _definitions(mid, keys, found)
            yield from check_dates(mid, settings, found, clocks.service() or now())
            yield from check_unknown_parts(mid, found)


def _plain_http(settings: Settings) -> Iterator[Finding]:
    for name, address in (("SFMC_AUTH_URL", settings.auth_url), ("SFMC_SOAP_URL", settings.soap_url)):
        if is_plain_http(address):
            text = f"{name} is plain http: login and token are sent without encryption"
            yield Finding("warn", "encryption", text, "use https://")


def named(settings: Settings) -> dict[str, list[str]]:
    """Give the CustomerKeys that policy and routes name, by business unit; keys with groups are not known yet."""
    named: dict[str, list[str]] = defaultdict(list, {settings.account_id: []})
    pairs = [*settings.policies.definitions, *((route.mid, route.customer_key) for route in settings.routes)]
    pairs += ((each.mid, each.customer_key) for each in settings.schedules)
    pairs += settings.policies.first
    for mid, key in dict.fromkeys(pairs):
        if "{" not in key:
            named[mid or settings.account_id].append(key)
    return named


def _definitions(mid: str, keys: Sequence[str], found: Sequence[Definition]) -> Iterator[Finding]:
    existing = [definition.customer_key for definition in found]
    folded = set(map(fold_key, existing))
    for key in keys:
        if fold_key(key) in folded:
            yield Finding("ok", "definition", f"{key} exists in business unit {mid}")
            continue
        near = difflib.get_close_matches(key, existing, n=1)
        fix = f"did you mean {near[0]}?" if near else "use the External Key that Marketing Cloud shows"
        yield Finding("fail", "definition", f"{key} of the policy file does not exist in business unit {mid}", fix)


def check_dates(mid: str, settings: Settings, found: Sequence[Definition], now: float) -> Iterator[Finding]:
    """Say which day a FileSpec with a date means now: no document says in which zone Marketing Cloud reads it.

    `now` is the time of Marketing Cloud where that is known, in seconds since 1970.
    """
    count = sum(is_dated(definition.file_spec or "") for definition in found)
    if not count:
        return
    today = datetime.fromtimestamp(now, ZoneInfo(settings.time_zone)).date()
    text = f"business unit {mid}: {count} FileSpecs have a date, which means {today} now (zone {settings.time_zone})"
    fix = "set SFMC_TIME_ZONE to the time zone of the API user; for starts by API it is not documented which one counts"
    is_set = "time_zone" in settings.model_fields_set
    yield Finding("ok", "dates", text) if is_set else Finding("warn", "dates", text, fix)


def check_unknown_parts(mid: str, found: Sequence[Definition]) -> Iterator[Finding]:
    """Name the definitions whose FileSpec cannot be compared as a whole with the name of a file."""
    parts = {each.customer_key: unknown_parts(each.file_spec or "") for each in found}
    unclear = [f"{key} ({', '.join(unknown)})" for key, unknown in parts.items() if unknown]
    if not unclear:
        return
    named = f"{', '.join(unclear[:SHOWN])}{' …' if len(unclear) > SHOWN else ''}"
    text = f"business unit {mid}: FileSpec has parts that no document explains for a start by API: {named}"
    fix = "these parts of a name are not compared before a start; if you can, use %%YEAR%%, %%MONTH%%, %%DAY%% instead"
    yield Finding("warn", "file_spec", text, fix)


SHOWN = 5
"""Definitions that one line names."""


def check_schedules(settings: Settings, now: datetime) -> Iterator[Finding]:
    """Say when each schedule ticks next, and whether beat knows its business unit."""
    for problem in unplaced_schedules(settings):
        yield Finding("fail", "schedule", problem)
    for each in settings.schedules:
        at = next(ticks(each, now)).astimezone(ZoneInfo(each.time_zone))
        yield Finding(
            "ok", "schedule", f"{each.source}: beat starts {each.customer_key} next at {at:%Y-%m-%d %H:%M %Z}"
        )


def check_notifications(settings: Settings) -> Iterator[Finding]:
    """Say whether a notifier sends what the [[notify]] of the policy file ask for."""
    for name, table in settings.notifications.items():
        try:
            with connect(settings.redis, retries=0) as client:
                memory = NotifierMemory(client, settings.redis, settings.prefix, name)
                seen, failure = memory.seen_ago(), memory.last_failure()
        except ServiceUnavailableError as error:
            yield Finding("warn", "notify", f"{name}: whether a notifier runs cannot be seen: {error}", error.fix)
            continue
        if seen is not None and runs_now(seen, table.claim_after):
            yield _of_running(name, failure)
            continue
        last = "" if seen is None else f" (the last one was seen {seconds(seen)} ago)"
        yield Finding("warn", "notify", f"{name}: no notifier runs{last}, so nothing is sent", START_NOTIFIER)


def _of_running(name: str, failure: Failure | None) -> Finding:
    if failure is None or failure.since is None:
        return Finding("ok", "notify", f"{name}: a notifier runs")
    begun = f"{datetime.fromtimestamp(failure.since, UTC):%Y-%m-%d %H:%M:%S} UTC"
    text = f"{name}: a notifier runs, and nothing is sent since {begun}: {failure.error}"
    return Finding("fail", "notify", text, f"find the cause with sfmc-import notify test {name}")


START_NOTIFIER = "start sfmc-import notify run"


@click.command(
    epilog=examples("sfmc-import doctor", "sfmc-import doctor --json | jq '.findings[] | select(.level!=\"ok\")'")
)
@click.option("--settings", "list_settings", is_flag=True, help="List all settings with default and meaning, and end.")
@click.option(
    "--role",
    type=click.Choice(list(ROLES)),
    default="worker",
    show_default=True,
    metavar="ROLE",
    help=f"Whose rights in Redis this user must have: {', '.join(ROLES)}.",
)
@click.option(
    "--move-ledger", is_flag=True, help="Give the ledger of another account to the account of these settings, and end."
)
@json_option
@click.pass_obj
def doctor(
    wrong_lines: WrongLines | None, *, list_settings: bool, role: RoleName, move_ledger: bool, as_json: bool
) -> None:
    """Check settings, Redis, the login at Marketing Cloud, and the definitions that routes and policy name.

    Prints one line for each check: ok, warn (works, but read it) or FAIL, with a fix in the next line. With
    SFMC_API_URL it checks the API and its token in the place of Redis, and the login if there is one. The lines of
    sources and targets are read, and their servers are not asked. Where settings are wrong, all is asked for which the
    others are enough.

    A ledger belongs to the business unit and the host of its first worker (SFMC_ACCOUNT_ID, SFMC_SOAP_URL); workers
    of others refuse to start. --move-ledger is for a host that has a new name, or a ledger that is used anew.

    Exit code: 0 if no check failed, also with warnings, as before the first worker starts; 1 if one failed, also when a
    request is due and no worker or no beat runs that would take it, and while starts wait because calls fail; 2 for a
    wrong option.
    """
    if list_settings or move_ledger:
        _do_instead(list_settings=list_settings, move_ledger=move_ledger, as_json=as_json)
        return
    logs.configure(level="error")
    findings = list(_shown(_all(role, wrong_lines or (lambda _: [])), as_json=as_json))
    failed = sum(finding.level == "fail" for finding in findings)
    if as_json:
        rows = [{"level": f.level, "check": f.check, "text": f.text, "fix": f.fix or None} for f in findings]
        print_json({"healthy": not failed, "findings": rows})
    elif failed:
        print_line(f"{failed} failed")
    raise SystemExit(1 if failed else 0)


def _shown(findings: Iterator[Finding], *, as_json: bool) -> Iterator[Finding]:
    """Print each as soon as it is found, for people."""
    for finding in findings:
        if not as_json:
            _show(finding)
        yield finding


def _show(finding: Finding) -> None:
    print_line(mark(finding.level), f"  {finding.check:<12}  {finding.text}")
    if finding.fix:
        print_line(f"{'':<20}→ {finding.fix}")


def _do_instead(*, list_settings: bool, move_ledger: bool, as_json: bool) -> None:
    if list_settings and move_ledger:
        raise click.UsageError("give either --settings or --move-ledger")
    if list_settings:
        _list_settings(as_json=as_json)
    else:
        _move_ledger(as_json=as_json)


def _move_ledger(*, as_json: bool) -> None:
    settings = load(os.environ)
    if settings.api_url:
        raise SettingsError(
            ["SFMC_API_URL: --move-ledger needs Redis itself; leave SFMC_API_URL out, and set SFMC_REDIS_URL"]
        )
    sentence = take_ledger(settings)
    if as_json:
        print_json({"account": settings.account})
    else:
        print_line(sentence)


def _list_settings(*, as_json: bool) -> None:
    for name, default, meaning in described():
        if as_json:
            print_json({"name": name, "default": default or None, "meaning": meaning})
        else:
            print_line(f"{name:<26}{default or '-':<26}{meaning}")


def _all(role: RoleName, wrong_lines: WrongLines) -> Iterator[Finding]:
    try:
        known = load(os.environ)
        if known.api_url:
            yield from _over_the_api(known, wrong_lines)
            return
        settings = load(os.environ, marketing_cloud=True)
    except SettingsError as error:
        problems = dict.fromkeys([*error.problems, *_all_problems(wrong_lines)])
        yield from (Finding("fail", "settings", problem) for problem in problems)
        yield from _check_what_is_sound(role)
        return
    count, routes = len(settings.policies.definitions), len(settings.routes)
    yield from _settings(settings, wrong_lines, f"policy for {count} definitions, {routes} routes")
    yield from check_schedules(settings, datetime.fromtimestamp(time_of_ledger(settings), UTC))
    yield from _of_redis(settings, role)
    clocks = BootClock()
    yield from _ask_marketing_cloud(settings, clocks)
    yield from check_clocks(settings, clocks)


def _all_problems(wrong_lines: WrongLines) -> list[str]:
    """Give what is wrong in the lines of sources and targets too, where other settings are wrong."""
    try:
        load(os.environ, more=wrong_lines)
    except SettingsError as error:
        return list(error.problems)
    return []


def _settings(settings: Settings, wrong_lines: WrongLines, more: str) -> Iterator[Finding]:
    """Name each wrong line of a source or target; a process that reads none of them works all the same."""
    tables = Tables(routes=settings.routes, sources=settings.sources, targets=settings.targets)
    problems = wrong_lines(tables)
    yield from (Finding("fail", "settings", problem) for problem in problems)
    if not problems:
        yield Finding("ok", "settings", f"all are valid; {more}")


def _over_the_api(settings: Settings, wrong_lines: WrongLines) -> Iterator[Finding]:
    """Check what is used from here: the API, and Marketing Cloud where there is a login; others have the Redis."""
    yield from _settings(settings, wrong_lines, "with SFMC_API_URL the API is checked, and no Redis")
    yield from _ask_api(settings)
    if not (settings.client_id or settings.username):
        yield Finding("ok", "login", "none is given: Marketing Cloud is not asked from here")
        return
    try:
        complete = load(os.environ, marketing_cloud=True)
    except SettingsError as error:
        yield from (Finding("fail", "settings", problem) for problem in error.problems)
        return
    clocks = BootClock()
    yield from _ask_marketing_cloud(complete, clocks)
    yield from check_machine(clocks)


def _ask_marketing_cloud(settings: Settings, clocks: BootClock) -> Iterator[Finding]:
    service = open_marketing_cloud(quick(settings), clock=clocks)
    yield from check_marketing_cloud(settings, service, clocks, lambda: time_of_ledger(settings))


_OF_API = {"api_url", "api_token"}
_OF_REDIS = {"redis_url", "redis_password", "broker_url", "broker_password", "prefix"}
_OF_MARKETING_CLOUD = {
    *("auth_url", "soap_url", "account_id", "client_id", "client_secret", "username", "password"),
    *("proxy", "ca_bundle"),
}
"""Settings without which nothing is asked there."""


def _check_what_is_sound(role: RoleName) -> Iterator[Finding]:
    """Ask all for which the settings are sound: what is wrong may stand beside it."""
    found = read_all(os.environ, marketing_cloud=True)
    settings, suspect = found.settings, found.suspect
    if settings.api_url or suspect & _OF_API:
        if not suspect & _OF_API:
            yield from _ask_api(settings)
    elif not suspect & _OF_REDIS:
        yield from _of_redis(settings, role)
    if (settings.client_id or settings.username) and not suspect & _OF_MARKETING_CLOUD:
        yield from _ask_marketing_cloud(settings, BootClock())


def _of_redis(settings: Settings, role: RoleName) -> Iterator[Finding]:
    yield from check_redis(settings, role)
    yield from check_tokens(settings, role)
    yield from check_notifications(settings)
    yield from check_circuits(settings)
    yield from check_starts(settings)


def _ask_api(settings: Settings) -> Iterator[Finding]:
    from sfmc_import.api_client import ApiClient  # noqa: PLC0415 - httpx, which Redis does not need
    from sfmc_import.cli.doctor_api import check_api  # noqa: PLC0415 - as above

    with ApiClient(settings.api_url, settings.api_token.get_secret_value()) as api:
        yield from check_api(api)
