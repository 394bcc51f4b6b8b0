"""The lines of a [[target]], what can go wrong at one, and what a connection to one can do."""

from collections.abc import Callable
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from sfmc_import.settings.values import Mid, Seconds
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

    location: str | None = Field(
        None, min_length=1, max_length=256, description="the CustomerKey or ObjectID of the file location that it is"
    )
    mid: Mid | None = Field(None, description="the business unit of that location; without it that of SFMC_ACCOUNT_ID")
    connections: int = Field(2, ge=1, le=10, description="how many connections each process opens at most, 1 to 10")
    idle: Seconds = Field(60.0, description="seconds after which a connection that nothing needs is closed")
    max_unpacked: int = Field(50 * 1024**3, ge=1, description="the most bytes that an unpacked file may have")
    max_ratio: int = Field(200, ge=1, description="how many times as large as the packed file it may be")
    progress_every: Seconds = Field(10.0, description="seconds between two lines about a file that is being delivered")
    lock_out: Seconds = Field(1800.0, description="seconds without a try after a refused login")


class Session(Protocol):
    """A connection to a target, used by one thread; raises the three errors above.

    `temporary` names an upload, which is no file yet, and is the same for the same content; `name` is that of the file.
    """

    @property
    def is_connected(self) -> bool:
        """Whether it has logged in."""
        ...

    def connect(self) -> None:
        """Log in, unless that was done."""
        ...

    def upload(self, temporary: str, name: str, open_content: OpenContent, tick: Callable[[int], None]) -> int:
        """Send the content, from where an earlier attempt was cut; gives its size.

        `tick` is called with the bytes so far; what it raises ends the upload, and what was sent stays.
        """
        ...

    def rename(self, temporary: str, name: str, size: int) -> None:
        """Put the whole file in the place of any other of this name."""
        ...

    def is_renamed(self, temporary: str, name: str, size: int) -> bool:
        """Tell whether an earlier attempt has done that, whose answer was lost."""
        ...

    def prepare(self, temporary: str) -> None:
        """See to it, before the first attempt, that no bytes of another program become part of the file."""
        ...

    def is_sent(self, temporary: str, size: int) -> bool:
        """Tell whether all of an upload that was whole before is still there, so that only the rename is missing."""
        ...

    def tells_apart(self, name: str, size: int) -> bool:
        """Tell, before the rename, whether `is_renamed` can tell the new file from the one that has the name now."""
        ...

    def discard(self, temporary: str, name: str) -> None:
        """Remove what an upload left."""
        ...

    def close(self) -> None:
        """End the connection in order, or cut it when it does not answer."""
        ...
