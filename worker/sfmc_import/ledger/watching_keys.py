"""What is known of folders and of those who watch them, of schedules, and of processes that run no more."""

from hashlib import sha1

from sfmc_import.ledger.key_kinds import ANY, Field, Key
from sfmc_import.ledger.ledger_settings import WATCH_SECONDS

BROKER_AWAY = "broker_away"
FULL = "full"
WATCHERS = Key(
    name="watchers",
    letter="watchers",
    redis_type="hash",
    ttl=("watch_ttl",),
    fields=(Field(name=ANY, meaning="watcher → when it said so in ms, a blank, its folders as JSON"),),
    meaning="What each folder watcher says of its folders and of files that wait. Older entries are removed.",
)
FOLDERS = Key(
    name="folders",
    letter="folders",
    redis_type="zset",
    ttl=("folders_ttl",),
    meaning="`watched` or `stopped` (its watcher has ended as it should), a blank, and as JSON the location of a"
    " folder, its path, the host of its watcher and its file system → when it was read last. The 500 newest, none with"
    " more than 2,048 bytes.",
)
LAST_SEEN = Key(
    name="last_seen",
    letter="last_seen",
    redis_type="hash",
    ttl=("unfinished_ttl",),
    fields=(
        Field(name="worker", kind="ms", meaning="the last heartbeat of any worker, or its end"),
        Field(name="beat", kind="ms", meaning="the same of any beat"),
        Field(name=BROKER_AWAY, kind="ms", meaning="since when a beat cannot reach the broker, until one can"),
        Field(name=FULL, kind="ms", meaning="since when this server has no memory for what is new, until it has"),
    ),
    meaning="Since when no worker, or no beat, runs. The time counts from the newest.",
)
SWEPT = Key(
    name="swept",
    letter="swept",
    redis_type="string",
    ttl=("probe_ttl",),
    meaning="When requests that are due were looked for last; if that is ahead, the clock of Redis went back.",
)
LOOKS = Key(
    name="looks",
    letter="looks",
    redis_type="zset",
    ttl=("unfinished_ttl",),
    meaning="Requests that waited when the clock of Redis went back: request id → when it was due. Each sweep lets some"
    " of them be looked at. The time counts from when that was noticed.",
)
WAITS = Key(
    name="waits",
    letter="waits",
    parts=("place",),
    redis_type="hash",
    ttl=("probe_ttl",),
    fields=(
        Field(
            name=ANY,
            meaning="location of a folder, name of a file or nothing, and reason or state as JSON → since when in ms,"
            " when that was noted last in ms, and by which watcher",
        ),
    ),
    meaning="Since when files of a folder wait, and it is in trouble, for 15 seconds or more: also after a restart of"
    " its watcher. `place` is a digest of its location. The time counts from the newest.",
)
CLOCKS = Key(
    name="clocks",
    letter="clocks",
    redis_type="hash",
    ttl=("watch_ttl",),
    fields=(Field(name=ANY, meaning="process → when it said so in ms, a blank, by how many ms its clock is ahead"),),
    meaning="Processes whose clock differs from that of Redis. Older entries are removed. The time counts from the"
    " newest.",
)
SCHEDULE = Key(
    name="schedule", letter="schedule", parts=("source",), redis_type="string", ttl=("schedule_ttl",),
    meaning="Until when the ticks of a schedule are done, in seconds since 1970. The time counts from the last look.",
)  # fmt: skip
OWN_IDS = Key(
    name="own_ids", letter="own_ids", redis_type="string",
    meaning="A secret from which the ids of ticks and files are made whose usual id another request has taken. Bounded:"
    " one key.",
)  # fmt: skip


def place_of_waits(location: str) -> str:
    """Give what stands for the location of a folder, which may be long, in the name of a key."""
    return sha1(location.encode(), usedforsecurity=False).hexdigest()


def clock_said(text: bytes) -> tuple[float, float]:
    """Give when a process said so, in seconds since 1970, and by how many seconds its clock is ahead."""
    at, _, ahead = text.partition(b" ")
    return int(at) / 1000, int(ahead) / 1000


def is_old_clock(text: bytes, now: float) -> bool:
    """Tell whether a process has said nothing of its clock for so long that it counts as ended."""
    return abs(now - clock_said(text)[0]) > WATCH_SECONDS


WATCHING_KEYS = (WATCHERS, FOLDERS, LAST_SEEN, SWEPT, LOOKS, WAITS, CLOCKS, SCHEDULE, OWN_IDS)
