"""How each notification of the policy file does: what waits, what failed last, what was set aside."""

from sfmc_import.access import ReadAccess
from sfmc_import.notifications.memory import NotifierMemory
from sfmc_import.operations.views import Time, View, time_of
from sfmc_import.settings.notify_table import KINDS


class NotificationView(View):
    """A notification. `attempts` in vain since something was sent, `error` and `error_at` of the last that failed.

    `failing_since` is when the first of these attempts failed, `is_idle` whether a notifier ran and none does now: it
    died, was stopped, or Redis has forgotten it with a restart.
    `backlog` counts the events that it has not handled, `seen_seconds_ago` when a notifier asked for events last; null
    where Redis does not say it to this process.
    """

    name: str
    kind: str
    seen_seconds_ago: float | None
    backlog: int | None
    set_aside: int
    attempts: int = 0
    error: str | None = None
    error_at: Time | None = None
    failing_since: Time | None = None
    is_idle: bool = False

    @property
    def needs_somebody(self) -> bool:
        """Whether something was not sent: it fails now, or was set aside; or no notifier runs."""
        return bool(self.attempts or self.set_aside or self.is_idle)

    @property
    def advice(self) -> str:
        """What to do first; empty where nothing is."""
        if self.is_idle:
            return "start a notifier: nothing is sent meanwhile"
        if self.attempts:
            return "find the cause with a test of this notification; each message is tried again until its deadline"
        return "correct the cause, and send again what was set aside" if self.set_aside else ""


NOTIFIER_SECONDS = 90.0
"""A notifier asks for events every second, and three times in `claim_after` while it tries a message again."""


def notifications(access: ReadAccess) -> tuple[NotificationView, ...]:
    """Give them in the order of the policy file; raises ServiceUnavailableError."""
    kinds = {table: kind for kind, table in KINDS.items()}
    tables = access.settings.notifications.items()
    return tuple(_view(access, name, kinds[type(table)], table.claim_after) for name, table in tables)


def runs_now(seen_seconds_ago: float, claim_after: float) -> bool:
    """Tell whether a notifier that asked for events so many seconds ago runs."""
    return seen_seconds_ago <= max(NOTIFIER_SECONDS, claim_after)


def _view(access: ReadAccess, name: str, kind: str, claim_after: float) -> NotificationView:
    memory = NotifierMemory(access.client, access.settings.redis, access.settings.prefix, name)
    failure, seen = memory.last_failure(), memory.seen_ago()
    return NotificationView(
        name=name,
        kind=kind,
        seen_seconds_ago=seen,
        is_idle=memory.has_run() and (seen is None or not runs_now(seen, claim_after)),
        backlog=memory.backlog(),
        set_aside=memory.count_aside(),
        attempts=0 if failure is None else failure.attempts,
        error=None if failure is None else failure.error,
        error_at=None if failure is None else time_of(failure.at),
        failing_since=None if failure is None else time_of(failure.since),
    )
