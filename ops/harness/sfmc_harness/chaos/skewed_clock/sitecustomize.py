"""A wrong wall clock for one process: Python loads this by its name when the folder is on PYTHONPATH."""

import os
import time

_right, _right_ns = time.time, time.time_ns
_skew = float(os.environ.get("CHAOS_CLOCK_SKEW", "0"))


def _wrong() -> float:
    return _right() + _skew


def _wrong_ns() -> int:
    return _right_ns() + int(_skew * 1e9)


if _skew:
    # The monotonic clocks stay right, as on a machine whose date was set wrongly.
    time.time, time.time_ns = _wrong, _wrong_ns
