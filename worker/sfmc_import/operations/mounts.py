"""Whether a folder lies on another file system than before: it was unmounted, or another one is mounted there."""

from collections.abc import Iterable
from typing import NamedTuple

from sfmc_import.ledger.reading import SeenFolder


class Mount(NamedTuple):
    """What a watcher says of the file system of a folder: type, source, the part of it, and where it is mounted."""

    kind: str
    source: str
    root: str
    point: str


def read_mount(text: str) -> Mount | None:
    """Read it; None where the watcher could not know."""
    parts = text.split(" ")
    return Mount(*parts) if len(parts) == len(Mount._fields) else None


def changed_mount(mount: str, host: str, location: str, seen: Iterable[SeenFolder]) -> SeenFolder | None:
    """Give as what the folder was read before on this host, if that was mounted and is not so now.

    A folder on which something was mounted since is as it should be: its watcher began before the mount.
    """
    now = read_mount(mount)
    if now is None:
        return None
    own = [each for each in seen if each.host == host and each.location == location and each.mount != mount]
    changed = [each for each in own if _is_gone(read_mount(each.mount), now)]
    return max(changed, key=lambda each: each.seen_at, default=None)


def _is_gone(before: Mount | None, now: Mount) -> bool:
    return before is not None and (before.point == now.point or _is_below(before.point, now.point))


def _is_below(point: str, other: str) -> bool:
    return point.startswith(other.rstrip("/") + "/")
