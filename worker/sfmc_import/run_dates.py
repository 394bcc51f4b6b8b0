"""Says what the StartDate of a run, a text without a zone in no promised form, proves about when it began."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone

SERVER_ZONE = timezone(timedelta(hours=-6))
"""Marketing Cloud writes its own dates in Central Standard Time, in summer too (Marketing Cloud docs, "Dates")."""

LAST_ZONE = timezone(timedelta(hours=-12))
"""Where a time of day comes last: what is over by a clock there is over by every clock."""

DATE_FORMS = ("%m/%d/%Y %I:%M:%S %p", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f")
OTHER_FORMS = ("%d/%m/%Y %I:%M:%S %p",)
"""How the same text is read where the day comes first."""

CLOCKS_APART = 300.0

EARLIEST, LATEST = 946_684_800.0, 7_258_118_400.0
"""The years 2000 and 2200, in seconds since 1970: a date that is not between them (1/1/0001) stands for none."""


def began_at(text: str | None) -> float | None:
    """Give the time that a StartDate means, in seconds since 1970; None for a text in another form."""
    return next(_readings(text, DATE_FORMS, SERVER_ZONE), None)


def seems_older(text: str | None, moment: float) -> bool:
    """Tell whether a run began before this moment, if its StartDate is what the documentation says of dates."""
    began = began_at(text)
    return began is not None and began < moment - CLOCKS_APART


def seems_newer(text: str | None, moment: float) -> bool:
    """Tell whether a run began after this moment, if its StartDate is what the documentation says of dates."""
    began = began_at(text)
    return began is not None and began > moment + CLOCKS_APART


def is_older(text: str | None, moment: float) -> bool:
    """Tell whether a run began before this moment, whatever the zone and the order of day and month."""
    readings = list(_readings(text, DATE_FORMS + OTHER_FORMS, LAST_ZONE))
    return bool(readings) and max(readings) < moment - CLOCKS_APART


def _readings(text: str | None, forms: tuple[str, ...], zone: timezone) -> Iterator[float]:
    for form in forms:
        with suppress(ValueError):
            moment = datetime.strptime(text or "", form).replace(tzinfo=zone).timestamp()
            if EARLIEST < moment < LATEST:
                yield moment
