"""Until when a spent budget of calls holds requests or a watcher: the end of its day or year in the account's zone."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from sfmc_import.operations.fixing import FIXES
from sfmc_import.operations.views import AttemptView, FolderView, LastError, RequestView, WaitingView, time_of
from sfmc_import.waiting import BUDGET, BUDGET_OF_DAY, BUDGET_OF_YEAR

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
        waiting = _held_until(waiting, waiting.last_error.until)
    return view.model_copy(update={"waiting": waiting, "attempting": attempting})


def _held_until(waiting: WaitingView, until: datetime | None) -> WaitingView:
    """Say until when it is held; what failed before that ends it later, for this time does not count."""
    deadline = waiting.deadline
    if deadline is not None and waiting.then != "expired" and until is not None and waiting.until is not None:
        deadline += max(until - waiting.until, timedelta())
    return waiting.model_copy(update={"until": until, "deadline": deadline})


def _noted(of: V | None, zone: ZoneInfo) -> V | None:
    """Note the end in what failed last, where that is a budget and holds the request now."""
    error = None if of is None else of.last_error
    if of is None or error is None or error.is_past or error.code != BUDGET:
        return of
    return of.model_copy(update={"last_error": error.model_copy(update={"until": _end(error, zone)})})


def _end(error: LastError, zone: ZoneInfo) -> datetime:
    return end_of_budget(error.text, error.at, zone)


def end_of_budget(text: str, at: datetime, zone: ZoneInfo) -> datetime:
    """Give the end of the day, or of the year, in which it was spent."""
    day = at.astimezone(zone).date()
    end = day.replace(year=day.year + 1, month=1, day=1) if BUDGET_OF_YEAR in text else day + timedelta(days=1)
    return datetime.combine(end, time.min, tzinfo=zone).astimezone(UTC)


def of_watchers(advice: str, texts: Iterable[str], watchers: Sequence[str], now: float, time_zone: str) -> str:
    """Say in an advice about a spent budget whose it is, and when it is new: these watchers have set it for themselves.

    `texts` say which one is spent.
    """
    text = next((each for each in texts if BUDGET_OF_DAY in each or BUDGET_OF_YEAR in each), "")
    at = time_of(now)
    assert at is not None
    until = f"{end_of_budget(text, at, ZoneInfo(time_zone)):%Y-%m-%d %H:%M:%S} UTC" if text else ""
    names = "SFMC_CALLS_PER_YEAR" if BUDGET_OF_YEAR in text else "SFMC_CALLS_PER_DAY" if text else _EITHER
    whose = f" of {', '.join(watchers)}" if watchers else ""
    end = f"until {until}, when the budget is new" if until else "until its day or year is over"
    which = "it" if len(watchers) == 1 else "these processes"
    return advice.replace(FIXES[BUDGET], f"wait {end}, or raise {names}{whose} and start {which} again")


_EITHER = "SFMC_CALLS_PER_DAY or SFMC_CALLS_PER_YEAR"


def with_budgets_of_watchers(found: Iterable[FolderView], now: float, time_zone: str) -> tuple[FolderView, ...]:
    """Say the same of each folder whose files wait because its watcher has spent a budget."""
    return tuple(_of_folder(each, now, time_zone) for each in found)


def _of_folder(folder: FolderView, now: float, time_zone: str) -> FolderView:
    texts = [each.text for each in folder.files]

    def said(advice: str | None) -> str | None:
        return advice and of_watchers(advice, texts, folder.watchers, now, time_zone)

    if not any(FIXES[BUDGET] in (each or "") for each in (folder.advice, *(file.advice for file in folder.files))):
        return folder
    files = tuple(each.model_copy(update={"advice": said(each.advice)}) for each in folder.files)
    return folder.model_copy(update={"advice": said(folder.advice), "files": files})
