"""Times that people type."""

from datetime import UTC, datetime

import click

from sfmc_import.display import in_calendar
from sfmc_import.settings.values import read_duration


def read_since(text: str, now: float) -> float:
    """Read a time such as 2026-03-01T06:00, in UTC without a zone, or an age such as 6h or 2d."""
    age = read_duration(text)
    if isinstance(age, float):
        return in_calendar(now - age)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no time: give one such as 2026-03-01T06:00, or an age such as 6h or 2d"
        raise click.BadParameter(message, param_hint="'--since'") from None
    return in_calendar((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
