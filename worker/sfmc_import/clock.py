"""The clock that deadlines are held against; nothing here knows what a deadline is for."""

import time

# Only Linux has CLOCK_BOOTTIME; elsewhere the monotonic clock stands in and may stop while a machine sleeps.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class BootClock:
    """CLOCK_BOOTTIME: steady, never set back, and counting while the machine sleeps."""

    def boottime(self) -> float:
        """Seconds since an arbitrary start."""
        return time.clock_gettime(_CLOCK)
