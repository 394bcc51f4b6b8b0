"""The lines about a notification: whether it sends, what waits, what failed last, what was set aside."""

from collections.abc import Sequence

from sfmc_import.cli.output import seconds
from sfmc_import.operations.notified import NotificationView


def numbers_line(view: NotificationView, now: float) -> str:
    """Say of one how much waits, what failed last and when, how often it was tried, and what was set aside."""
    backlog = "unknown" if view.backlog is None else view.backlog
    parts = [f"not handled: {backlog}", f"set aside: {view.set_aside}"]
    if view.error is not None and view.error_at is not None:
        ago = seconds(max(0.0, now - view.error_at.timestamp()))
        tries = f"tried {view.attempts} times in vain" if view.attempts else "sent since"
        parts.append(f"last error {ago} ago ({tries}): {view.error}")
    return "; ".join(parts)


def failing_lines(views: Sequence[NotificationView], now: float) -> list[str]:
    """Give a line for each that needs somebody."""
    return [f"notification {each.name}: {numbers_line(each, now)}" for each in views if each.needs_somebody]
