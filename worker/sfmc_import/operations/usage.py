"""How many calls the account has made today, this month and this year, by kind, business unit and definition."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sfmc_import.access import ReadAccess
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.quota_keys import USAGE
from sfmc_import.operations.views import View

MOST_DEFINITIONS = 100
"""Definitions of a period that are shown, those with the most calls first."""


class DefinitionUsage(View):
    """Calls that were for one definition."""

    mid: str
    customer_key: str
    calls: int


class PeriodUsage(View):
    """Calls of a day or a month; `definitions` has those with the most calls."""

    period: str
    calls: int
    kinds: dict[str, int]
    business_units: dict[str, int]
    definitions: list[DefinitionUsage]


class UsageView(View):
    """What was used, beside what may be; a limit or a budget of 0 is none. Days are those of `time_zone`."""

    account: str
    time_zone: str
    calls_per_minute: int
    budget_of_day: int
    budget_of_year: int
    when_budget_spent: str
    calls_of_year: int
    today: PeriodUsage
    month: PeriodUsage


def usage(access: ReadAccess) -> UsageView:
    """Give what the account has used, in the day, month and year of the clock of Redis."""
    settings = access.settings
    account = account_of(access)
    day = _day(access)
    return UsageView(
        account=account,
        time_zone=settings.time_zone,
        calls_per_minute=settings.calls_per_minute,
        budget_of_day=settings.calls_per_day,
        budget_of_year=settings.calls_per_year,
        when_budget_spent=settings.when_budget_spent,
        calls_of_year=_counts(access, account, day[:4]).get("all", 0),
        today=_period(day, _counts(access, account, day)),
        month=_period(day[:7], _counts(access, account, day[:7])),
    )


class CallsView(View):
    """How many calls were made, in a few numbers; a budget or a limit of 0 is none."""

    today: int
    month: int
    year: int
    budget_of_day: int
    budget_of_year: int
    calls_per_minute: int

    @property
    def share(self) -> float | None:
        """The greater share of a budget that is used; None without one."""
        used = [(self.today, self.budget_of_day), (self.year, self.budget_of_year)]
        return max((made / budget for made, budget in used if budget), default=None)


def calls(access: ReadAccess) -> CallsView:
    """Give the numbers alone, however many definitions were counted."""
    settings, account, day = access.settings, account_of(access), _day(access)
    with redis_errors(), access.client.pipeline(transaction=False) as pipe:
        for period in (day, day[:7], day[:4]):
            pipe.hget(access.keys.name_of(USAGE, account, period), "all")
        today, month, year = (int(found or 0) for found in pipe.execute())
    return CallsView(
        today=today,
        month=month,
        year=year,
        budget_of_day=settings.calls_per_day,
        budget_of_year=settings.calls_per_year,
        calls_per_minute=settings.calls_per_minute,
    )


def _day(access: ReadAccess) -> str:
    zone = ZoneInfo(access.settings.time_zone)
    return datetime.fromtimestamp(access.reader.now(), UTC).astimezone(zone).date().isoformat()


def account_of(access: ReadAccess) -> str:
    """Give the host by which calls are counted: that of the settings, or the one that the workers use."""
    if access.settings.tenant:
        return access.settings.tenant
    with redis_errors():
        client: Any = access.client
        found = client.hget(access.keys.account, "account")
    return "" if found is None else str(found.decode()).rpartition(" at ")[2].lower()


def _counts(access: ReadAccess, account: str, period: str) -> Mapping[str, int]:
    with redis_errors():
        client: Any = access.client
        found = client.hgetall(access.keys.name_of(USAGE, account, period))
    return {name.decode("utf-8", "replace"): int(count) for name, count in found.items()}


def _period(name: str, counts: Mapping[str, int]) -> PeriodUsage:
    by_definition = sorted(_named(counts, "d:").items(), key=lambda each: (-each[1], each[0]))
    return PeriodUsage(
        period=name,
        calls=counts.get("all", 0),
        kinds=_named(counts, "k:"),
        business_units=_named(counts, "u:"),
        definitions=[_definition(place, calls) for place, calls in by_definition[:MOST_DEFINITIONS]],
    )


def _named(counts: Mapping[str, int], begin: str) -> dict[str, int]:
    return {name.removeprefix(begin): count for name, count in sorted(counts.items()) if name.startswith(begin)}


def _definition(place: str, calls: int) -> DefinitionUsage:
    mid, _, key = place.partition(":")
    return DefinitionUsage(mid=mid, customer_key=key, calls=calls)
