"""Until when a spent budget of calls holds requests: to the end of its day or year in the zone of the account."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from sfmc_import.operations.views import AttemptView, LastError, RequestView, WaitingView
from sfmc_import.waiting import BUDGET, BUDGET_OF_YEAR

V = TypeVar("V", WaitingView, AttemptView)


def with_ends_of_budgets(views: Sequence[RequestView], time_zone: str) -> list[RequestView]:
    """Say of each request that a budget holds until when: other processes let it look again before that."""
    zone = ZoneInfo(time_zone)
    return [_with_end(each, zone) for each in views]


def _with_end(view: RequestView, zone: ZoneInfo) -> RequestView:
    waiting, attempting = _noted(view.waiting, zone), _noted(view.attempting, zone)
    if waiting is view.waiting and attempting is view.attempting:
        return view
    if waiting is not None and waiting.reason == "rate_limited" and waiting.last_error is not None:
        waiting = waiting.model_copy(update={"until": waiting.last_error.until})
    return view.model_copy(update={"waiting": waiting, "attempting": attempting})


def _noted(of: V | None, zone: ZoneInfo) -> V | None:
    """Note the end in what failed last, where that is a budget and holds the request now."""
    error = None if of is None else of.last_error
    if of is None or error is None or error.is_past or error.code != BUDGET:
        return of
    return of.model_copy(update={"last_error": error.model_copy(update={"until": _end(error, zone)})})


def _end(error: LastError, zone: ZoneInfo) -> datetime:
    """Give the end of the day, or of the year, in which it was spent."""
    day = error.at.astimezone(zone).date()
    end = day.replace(year=day.year + 1, month=1, day=1) if error.text == BUDGET_OF_YEAR else day + timedelta(days=1)
    return datetime.combine(end, time.min, tzinfo=zone).astimezone(UTC)
