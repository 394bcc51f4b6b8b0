"""The lines of a [[target]], what can go wrong at one, and what a connection to one can do."""

from collections.abc import Callable
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from sfmc_import.settings.values import Seconds
from sfmc_producers.checked_files import OpenContent


class TargetUnavailableError(Exception):
    """The target does not answer now."""


class TargetRefusedError(Exception):
    """The target refuses the login, or is not the one it should be: each further try could lock the user."""


class LoginRefusedError(TargetRefusedError):
    """The target refuses the login: no process tries it again for a while, not even after a restart."""


class FileRefusedError(Exception):
    """The target refuses this file now: no space, no right, a rename that is not done, a wrong size."""


class TargetOptions(BaseModel):
    """What every [[target]] can say; times in seconds or as "15m", "6h", "2d"."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    connections: int = Field(2, ge=1, le=10, description="how many connections each process opens at most, 1 to 10")
    lock_out: Seconds = Field(1800.0, description="seconds without a try after a refused login")


class Session(Protocol):
    """A connection to a target, used by one thread; raises the three errors above."""

    @property
    def is_connected(self) -> bool:
        """Whether it has logged in."""
        ...

    def connect(self) -> None:
        """Log in, unless that was done."""
        ...

    def upload(self, temporary: str, open_content: OpenContent, tick: Callable[[int], None]) -> int:
        """Write the content under its temporary name; `tick` is called with the bytes so far. Gives the size."""
        ...

    def rename(self, temporary: str, name: str, size: int) -> None:
        """Put the whole file in the place of any other of this name."""
        ...

    def size(self, name: str) -> int | None:
        """Give the size of a file; None without one."""
        ...

    def discard(self, temporary: str) -> None:
        """Remove what an upload left."""
        ...

    def close(self) -> None:
        """Cut the connection."""
        ...
