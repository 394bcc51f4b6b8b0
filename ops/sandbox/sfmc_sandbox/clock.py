"""The clock of the sandbox, which tests can set, advance and freeze, and Marketing Cloud's date formats."""

import time
from datetime import UTC, datetime, timedelta, timezone
from datetime import time as time_of_day
from threading import Lock
from zoneinfo import ZoneInfo

SERVER_ZONE = timezone(timedelta(hours=-6))
"""Marketing Cloud's server time: US Central standard time, without daylight saving."""


class Clock:
    """Real time plus an offset, or a standing time when frozen. Safe to use from several threads.

    `zone` is the time zone in which the dates of FileSpec are read (an IANA name).
    """

    def __init__(self, zone: str = "UTC") -> None:
        self.zone = zone
        self._first_zone = zone
        self._lock = Lock()
        self._offset = 0.0
        self._frozen: float | None = None

    def timestamp(self) -> float:
        """Seconds since 1970 by this clock."""
        with self._lock:
            return self._frozen if self._frozen is not None else time.time() + self._offset

    def now(self) -> datetime:
        """The time by this clock, in UTC."""
        return datetime.fromtimestamp(self.timestamp(), UTC)

    def local(self) -> datetime:
        """The time by this clock, in its zone."""
        return self.now().astimezone(ZoneInfo(self.zone))

    def next_midnight(self) -> datetime:
        """The end of the present day in the zone, in UTC."""
        zone = ZoneInfo(self.zone)
        tomorrow = self.local().date() + timedelta(days=1)
        return datetime.combine(tomorrow, time_of_day(), zone).astimezone(UTC)

    def set(self, moment: datetime) -> None:
        """Set the clock to `moment` (with a zone)."""
        with self._lock:
            self._offset = moment.timestamp() - time.time()
            self._frozen = None if self._frozen is None else moment.timestamp()

    def advance(self, seconds: float) -> None:
        """Jump ahead by `seconds`; negative values go back."""
        with self._lock:
            self._offset += seconds
            self._frozen = None if self._frozen is None else self._frozen + seconds

    def freeze(self) -> None:
        """Stand still until `resume` is called."""
        moment = self.timestamp()
        with self._lock:
            self._frozen = moment

    def resume(self) -> None:
        """Run on from the time at which the clock was frozen."""
        with self._lock:
            if self._frozen is not None:
                self._offset = self._frozen - time.time()
                self._frozen = None

    def reset(self) -> None:
        """Show real time again, in the first zone."""
        with self._lock:
            self._offset, self._frozen, self.zone = 0.0, None, self._first_zone


def server_date_time(timestamp: float) -> str:
    """An xsd:dateTime as Marketing Cloud writes it: server time, no offset."""
    return datetime.fromtimestamp(timestamp, SERVER_ZONE).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]


def us_date_time(timestamp: float) -> str:
    """A date as string-typed properties carry it: `5/9/2024 12:00:00 AM`, server time."""
    moment = datetime.fromtimestamp(timestamp, SERVER_ZONE)
    return f"{moment.month}/{moment.day}/{moment.year} {moment.hour % 12 or 12}:{moment:%M:%S %p}"
