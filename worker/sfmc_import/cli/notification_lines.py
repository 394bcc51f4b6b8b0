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
        is_failing = view.attempts and view.failing_since
        begun = f", failing since {view.failing_since:%Y-%m-%d %H:%M:%S} UTC" if is_failing else ""
        parts.append(f"last error {ago} ago ({tries}{begun}): {view.error}")
    if view.is_idle:
        seen = view.seen_seconds_ago
        parts.insert(0, f"no notifier runs{'' if seen is None else f' (the last one was seen {seconds(seen)} ago)'}")
    return "; ".join(parts)


def failing_lines(views: Sequence[NotificationView], now: float) -> list[str]:
    """Give a line for each that needs somebody."""
    return [line for each in views if each.needs_somebody for line in _lines(each, now)]


def _lines(view: NotificationView, now: float) -> list[str]:
    command = "notify run" if view.is_idle else f"notify {'test' if view.attempts else 'replay'} {view.name}"
    return [
        f"notification {view.name}: {numbers_line(view, now)}",
        f"  to do: {view.advice}: sfmc-import {command}",
    ]
