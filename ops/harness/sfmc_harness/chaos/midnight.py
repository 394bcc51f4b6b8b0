"""A time zone of its own for a run, in which a day ends while requests wait."""

import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sfmc_harness.chaos.plan import Midnight

ZONE = "Chaos"
DAY, HALF_A_DAY = 86400, 43200
_HEADER = b"TZif" + b"\0" * 16 + struct.pack(">6l", 0, 0, 0, 0, 1, 4)


def write_zone(folder: Path, at: float) -> Midnight:
    """Write the file of the zone into `folder`, for PYTHONTZPATH; midnight there is `at`, in whole seconds.

    Only the zone is special: every clock shows real time. A clock of the sandbox that is turned would be days away
    from that of Redis, and no client could know the day.
    """
    moment = int(at)
    offset = -moment % DAY
    offset -= DAY if offset > HALF_A_DAY else 0
    folder.mkdir(exist_ok=True)
    (folder / ZONE).write_bytes(_HEADER + struct.pack(">lbb", offset, 0, 0) + b"CHA\0")
    following = (datetime.fromtimestamp(moment, UTC) + timedelta(seconds=offset)).date()
    return Midnight(moment, (f"{following - timedelta(days=1):%Y%m%d}", f"{following:%Y%m%d}"))
