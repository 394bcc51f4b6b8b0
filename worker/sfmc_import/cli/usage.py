"""`sfmc-import usage`: shows how many calls the account has made."""

from collections.abc import Iterator

import click

from sfmc_import.cli.opening import open_operations
from sfmc_import.cli.output import examples, json_option, print_json, print_lines
from sfmc_import.operations.usage import PeriodUsage, UsageView

MOST_LINES = 10


@click.command(epilog=examples("sfmc-import usage", "sfmc-import usage --json"))
@json_option
def usage(*, as_json: bool) -> None:
    """Show how many calls to Marketing Cloud the account has made today and this month.

    Calls are counted by kind (perform, definition, runs, poll, other), by business unit and by definition, for all
    processes that use this Redis. A poll asks for many runs and counts for no definition. Tokens are not counted.
    A day begins at midnight in SFMC_TIME_ZONE. Each process brings its counts with its next question for permits.

    Exit code: 0, or 1 if Redis does not answer.
    """
    with open_operations() as operations:
        found = operations.usage()
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_lines(usage_lines(found))


def usage_lines(found: UsageView) -> Iterator[str]:
    """Give what a person reads."""
    yield f"{found.account or 'no account'}, days in {found.time_zone}"
    yield f"  limit       {found.calls_per_minute or 'none'} calls a minute"
    yield from _period_lines("today", found.today, found.budget_of_day)
    yield from _period_lines("this month", found.month, 0)
    yield f"this year: {found.calls_of_year} calls{_of_budget(found.budget_of_year)}"


def _period_lines(title: str, period: PeriodUsage, budget: int) -> Iterator[str]:
    yield f"{title} ({period.period}): {period.calls} calls{_of_budget(budget)}"
    yield from (f"  {name:<12}{count}" for name, count in period.kinds.items())
    yield from (f"  business unit {name or '-'}: {count}" for name, count in period.business_units.items())
    for each in period.definitions[:MOST_LINES]:
        yield f"  {each.calls:>8}  {each.customer_key or 'further definitions'}{f' of {each.mid}' if each.mid else ''}"


def _of_budget(budget: int) -> str:
    return f" of a budget of {budget}" if budget else ""
