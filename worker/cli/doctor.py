"""`sfmc-import doctor`: looks at everything that must be well and says how to mend what is not; changes nothing."""

import os
from collections.abc import Iterator

import click
from redis.exceptions import RedisError

from worker import logs
from worker.adapters.redis_client import connect
from worker.adapters.redis_fitness import Finding, judge
from worker.adapters.redis_fitness import look as look_at_redis
from worker.bootstrap import open_marketing_cloud
from worker.cli.cloud_checks import cloud_findings
from worker.cli.printing import examples, json_option, mark, print_json
from worker.settings import RedisAddress, Settings, SettingsError, load

# A look at something that is down should not take as long as a worker's patience.
QUERY_SECONDS = 5.0


@click.command(
    epilog=examples("sfmc-import doctor", "sfmc-import doctor --json | jq '.findings[] | select(.level!=\"ok\")'")
)
@json_option
def doctor(*, as_json: bool) -> None:
    """Look at settings, Redis, the login at Marketing Cloud and the definitions that routes and policy name.

    One line for each thing, marked ok, warn (works, but read it) or FAIL, and below it how to mend it.

    Exit code: 0, or 1 when something fails.
    """
    logs.configure(level="error")
    findings = []
    for finding in _all():
        findings.append(finding)
        if not as_json:
            _show(finding)
    failed = sum(finding.level == "fail" for finding in findings)
    if as_json:
        rows = [{"level": f.level, "check": f.check, "text": f.text, "mend": f.mend or None} for f in findings]
        print_json({"healthy": not failed, "findings": rows})
    elif failed:
        click.echo(f"{failed} to mend")
    raise SystemExit(1 if failed else 0)


def _show(finding: Finding) -> None:
    click.echo(f"{mark(finding.level)}  {finding.check:<12}  {finding.text}")
    if finding.mend:
        click.echo(f"{'':<20}→ {finding.mend}")


def _all() -> Iterator[Finding]:
    try:
        settings = load(os.environ, marketing_cloud=True)
    except SettingsError as error:
        yield from (Finding("fail", "settings", problem) for problem in error.problems)
        yield from _without_login()
        return
    count, routes = len(settings.policies.definitions), len(settings.routes)
    yield Finding("ok", "settings", f"all are sound; {count} definitions with a policy of their own, {routes} routes")
    yield from _redis(settings)
    patient = settings.model_copy(update={"retry_seconds": QUERY_SECONDS})
    yield from cloud_findings(settings, open_marketing_cloud(patient))


def _without_login() -> Iterator[Finding]:
    """Look at Redis all the same when only the login at Marketing Cloud is missing."""
    try:
        settings = load(os.environ)
    except SettingsError:
        return
    yield from _redis(settings)


def _redis(settings: Settings) -> Iterator[Finding]:
    places = {"Redis": settings.redis}
    if settings.broker != settings.redis:
        places["broker"] = settings.broker
    for name, place in places.items():
        yield from _one_redis(name, place, settings)


def _one_redis(name: str, place: RedisAddress, settings: Settings) -> Iterator[Finding]:
    with connect(place, retries=0) as client:
        try:
            condition = look_at_redis(client)
        except (RedisError, OSError) as error:
            yield Finding("fail", name, f"{place.shown} does not answer: {error}", "start it, or set SFMC_REDIS_URL")
            return
    yield Finding("ok", name, f"{place.shown} answers")
    yield from judge(condition, durability=settings.durability, replicas=settings.wait_replicas)
