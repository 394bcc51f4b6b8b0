"""Tries to move or delete accepted files of a folder, and knows since when its file system refuses that."""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sfmc_producers.listing import Progress, reason_of
from sfmc_producers.removing import Removed, Remover
from sfmc_producers.stability import FileStat

OF_ONE_FILE = frozenset({errno.ENAMETOOLONG, errno.EBUSY, errno.EPERM, errno.ETXTBSY})
"""Errors of a removal that say nothing of the other files."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors of a file system, or of the share of a user, that has no room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """Since when accepted files can be neither moved nor deleted, in the watcher's seconds, and why."""

    since: float
    text: str
    is_full: bool = False


class Removals:
    """Removes accepted files; one thread does so, others may read `stuck`. `log` is that of the folder."""

    def __init__(self, remover: Remover, progress: Progress, clock: Callable[[], float], log: Any) -> None:
        self._remover, self._progress, self._clock, self._log = remover, progress, clock, log
        self._failed = self._said = ""
        self.why = ""
        """Why the last one was refused."""
        self.stuck: Stuck | None = None

    def begin(self) -> None:
        """Let a scan ask the file system again."""
        self._failed = ""

    def end(self, *, is_anything_left: bool) -> None:
        """Let a look end: where nothing is left to be removed, nothing is refused."""
        if not is_anything_left:
            self.stuck = None

    def remove(self, file: FileStat) -> Removed | None:
        """Remove a file that was accepted."""
        return self._try(file.name, partial(self._remover.remove, file))

    def finish(self, hidden: str) -> Removed | None:
        """Go on with a file whose removal a process did not end."""
        return self._try(hidden, partial(self._remover.finish, hidden))

    def _try(self, name: str, action: Callable[[], Removed]) -> Removed | None:
        """None when the file system refuses: then it is not asked again in this scan, unless the file itself is why."""
        if self._failed:
            self.why = self._failed
            return None
        self._progress.at(str(self._remover.folder / name))
        try:
            removed = action()
        except OSError as error:
            self._note(name, error)
            return None
        finally:
            self._progress.answered()
        self._said, self.stuck = "", None
        if removed.outcome in {"moved", "deleted", "put_back"}:
            more = {"to": removed.to} if removed.to else {}
            self._log.info("file_removed", file=name, outcome=removed.outcome, **more)
        return removed

    def _note(self, name: str, error: OSError) -> None:
        self.why = reason_of(error)
        if error.errno not in OF_ONE_FILE:
            self._failed = self.why
            since = self._clock() if self.stuck is None else self.stuck.since
            self.stuck = Stuck(since=since, text=self.why, is_full=error.errno in FULL)
        if self.why != self._said:
            self._log.warning("file_not_removed", file=name, reason=self.why, action="waiting")
        self._said = self.why
