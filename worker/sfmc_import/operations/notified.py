"""How each notification of the policy file does: what waits, what failed last, what was set aside."""

from sfmc_import.access import ReadAccess
from sfmc_import.notifications.memory import NotifierMemory
from sfmc_import.operations.views import Time, View, time_of
from sfmc_import.settings.notify_table import KINDS


class NotificationView(View):
    """A notification. `attempts` in vain since something was sent, `error` and `error_at` of the last that failed.

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

    @property
    def needs_somebody(self) -> bool:
        """Whether something was not sent: it fails now, or was set aside."""
        return bool(self.attempts or self.set_aside)


def notifications(access: ReadAccess) -> tuple[NotificationView, ...]:
    """Give them in the order of the policy file; raises ServiceUnavailableError."""
    kinds = {table: kind for kind, table in KINDS.items()}
    return tuple(_view(access, name, kinds[type(table)]) for name, table in access.settings.notifications.items())


def _view(access: ReadAccess, name: str, kind: str) -> NotificationView:
    memory = NotifierMemory(access.client, access.settings.redis, access.settings.prefix, name)
    failure = memory.last_failure()
    return NotificationView(
        name=name,
        kind=kind,
        seen_seconds_ago=memory.seen_ago(),
        backlog=memory.backlog(),
        set_aside=memory.count_aside(),
        attempts=0 if failure is None else failure.attempts,
        error=None if failure is None else failure.error,
        error_at=None if failure is None else time_of(failure.at),
    )
