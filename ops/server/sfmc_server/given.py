"""What clients of the HTTP API send; what is unknown in it is refused."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1, max_length=1024)]


class Given(BaseModel):
    """What a client sends; what is unknown in it is refused."""

    model_config = ConfigDict(extra="forbid")


class FileGiven(Given):
    """The file that is to be imported."""

    location: str = Field("", max_length=4096)
    name: str = Field(min_length=1, max_length=1024)
    size: int | None = Field(None, ge=0, le=2**62)
    modified_ns: int | None = Field(None, ge=-(2**62), le=2**62)
    version: str | None = Field(None, min_length=1, max_length=1024)
    content_hash: str | None = Field(None, min_length=1, max_length=1024)


class RequestGiven(Given):
    """What is asked for: a start of a definition, named by key or ObjectID."""

    customer_key: str | None = Field(None, max_length=256)
    object_id: str | None = Field(None, max_length=64)
    mid: str | None = Field(None, max_length=32)
    file: FileGiven | None = None
    event_id: Text | None = None
    source: Text | None = None
    force: bool = False
    reason: Text | None = None
    priority: int | None = Field(None, ge=0, le=9)


class Reason(Given):
    """Why something is done."""

    reason: Text | None = None


class ReplayGiven(Reason):
    """Why a request is replayed; `force` imports also what was imported, inside the window too."""

    force: bool = False


class ResolveGiven(Reason):
    """The run that a start was; null says that nothing was started. `unchecked` asks no one about the run."""

    task_id: str | None = Field(None, pattern=r"^[0-9]{1,19}$")
    unchecked: bool = False


class ForceGiven(Given):
    """Why the window does not count."""

    reason: Text


class ReplaysGiven(ForceGiven):
    """Which requests are replayed, at most `limit`; a dry run only counts them."""

    state: Literal["rejected", "gave_up", "expired", "cancelled", "not_started", "import_failed"]
    mid: str | None = Field(None, max_length=32)
    customer_key: str | None = Field(None, max_length=256)
    limit: int = Field(100, ge=1, le=500)
    dry_run: bool = True


class PauseGiven(ForceGiven):
    """Why starts wait, and until when."""

    until: AwareDatetime | None = None
