"""What clients of the HTTP API send; what is unknown in it is refused."""

import base64
from typing import Annotated, Any, Literal, Self

from fastapi import Body
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    WithJsonSchema,
    model_validator,
)

Whole = Annotated[int, Strict()]
"""A whole number, and neither true nor a text."""

Flag = Annotated[bool, Strict()]
Number = Annotated[float, Strict()]


def _from_base64(value: object) -> bytes:
    try:
        return base64.b64decode(value, validate=True)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        # The one of pydantic passes over what is no base64.
        raise ValueError("it must be base64") from None


FromBase64 = Annotated[bytes, BeforeValidator(_from_base64), WithJsonSchema({"type": "string", "format": "base64"})]
Shown = Annotated[str, Field(min_length=1, max_length=16_384)]
"""A path as a person reads it: a character that is no text has four."""

Text = Annotated[str, Field(min_length=1, max_length=1024)]


class Given(BaseModel):
    """What a client sends; what is unknown in it is refused."""

    model_config = ConfigDict(extra="forbid")


class FileGiven(Given):
    """The file that is to be imported."""

    location: str = Field("", max_length=4096)
    name: str = Field(min_length=1, max_length=1024)
    size: Whole | None = Field(None, ge=0, le=2**62)
    modified_ns: Whole | None = Field(None, ge=-(2**63), lt=2**63)
    version: str | None = Field(None, min_length=1, max_length=1024)
    content_hash: str | None = Field(None, min_length=1, max_length=1024)
    arrived_as: str | None = Field(None, min_length=1, max_length=1024)


class RequestGiven(Given):
    """What is asked for: a start of a definition, named by key or ObjectID."""

    customer_key: str | None = Field(None, max_length=256)
    object_id: str | None = Field(None, max_length=64)
    mid: str | None = Field(None, max_length=32)
    file: FileGiven | None = None
    event_id: Text | None = None
    source: Text | None = None
    force: Flag = False
    reason: Text | None = None
    priority: Whole | None = Field(None, ge=0, le=9)
    reply_to: str | None = Field(None, max_length=255)
    reply_queue: str | None = Field(None, max_length=128)


class Reason(Given):
    """Why something is done."""

    reason: Text | None = None


OptionalReason = Annotated[Reason, Body(default_factory=Reason)]
"""A reason that need not be given: then the body may be left out."""


class ReplayGiven(Reason):
    """Why a request is replayed; `force` imports also what was imported, inside the window too."""

    force: Flag = False


OptionalReplay = Annotated[ReplayGiven, Body(default_factory=ReplayGiven)]


class ResolveGiven(Reason):
    """The run that a start was; null says that nothing was started. `unchecked` asks no one about the run.

    `force` records a run although another operator has said that nothing was started, and the request was replayed.
    """

    task_id: str | None = Field(None, pattern=r"^[0-9]{1,19}$")
    unchecked: Flag = False
    force: Flag = False


class ForceGiven(Given):
    """Why the window does not count."""

    reason: Text


class SettleGiven(Given):
    """What was done about a bad end."""

    reason: Text


class ReplaysGiven(ForceGiven):
    """Which requests are replayed, at most `limit`; a dry run only counts them."""

    state: Literal["rejected", "gave_up", "expired", "cancelled", "not_started", "import_failed"]
    mid: str | None = Field(None, max_length=32)
    customer_key: str | None = Field(None, max_length=256)
    limit: Whole = Field(100, ge=1, le=500)
    dry_run: Flag = True


class PauseGiven(ForceGiven):
    """Why starts wait, and until when."""

    until: AwareDatetime | None = None


class RefreshGiven(Given):
    """What is to be read again: a definition, or all of a business unit."""

    customer_key: str | None = Field(None, min_length=1, max_length=256)
    mid: str | None = Field(None, pattern=r"^[0-9]{1,19}$")


class Nothing(Given):
    """An empty object."""


OptionalNothing = Annotated[Nothing, Body(default_factory=Nothing)]


class ExplainGiven(Given):
    """A file, or an event as its source gets it; `source` names a source of the policy file."""

    file: FileGiven | None = None
    event: dict[str, Any] | None = None
    source: str | None = Field(None, max_length=64)
    mid: str | None = Field(None, pattern=r"^[0-9]{1,19}$")


class RejectionGiven(Given):
    """A request that must not be started, with the code and the text of its end."""

    customer_key: str = Field(min_length=1, max_length=256)
    mid: str | None = Field(None, max_length=32)
    file: FileGiven | None = None
    event_id: Text | None = None
    source: Text | None = None
    code: str = Field(min_length=1, max_length=64)
    text: str = Field(min_length=1, max_length=4096)


class ArrivalGiven(Given):
    """A file that starts nothing."""

    name: Literal["unrouted", "ambiguous_route"]
    file: FileGiven
    text: str = Field(min_length=1, max_length=4096)
    customer_keys: list[Annotated[str, Field(min_length=1, max_length=256)]] = Field([], max_length=100)
    reason: Literal["no_match", "date_differs", "case_differs", "blanks_differ"] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.reason is None) == (self.name == "unrouted"):
            raise ValueError("unrouted needs a reason, and ambiguous_route has none")
        if self.name == "ambiguous_route" and len(self.customer_keys) < 2:
            raise ValueError("ambiguous_route needs two customer_keys")
        return self


class RecordGiven(Given):
    """A record that a source cannot read, with the reason."""

    source: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")
    record_id: str = Field(min_length=1, max_length=256)
    body_base64: FromBase64 = Field(max_length=210_000)
    text: str = Field(min_length=1, max_length=4096)


class WaitingFileGiven(Given):
    """A file that waits in a folder."""

    name: Shown
    reason: str = Field(min_length=1, max_length=64)
    age: Number = Field(ge=0, le=2**40)
    size: Whole | None = Field(None, ge=0, le=2**62)
    text: str | None = Field(None, max_length=4096)
    code: str | None = Field(None, max_length=64)
    again: Number | None = Field(None, ge=0, le=2**40)


class OldDefinitionsGiven(Given):
    """A list of definitions that a watcher routes by although it could not be read anew."""

    mid: str = Field(max_length=32)
    age: Number = Field(ge=0, le=2**40)
    looked: Number = Field(ge=0, le=2**40)
    code: str = Field(max_length=64)
    text: Shown


class FolderGiven(Given):
    """What a watcher says of one folder."""

    folder: Shown
    location: str = Field(max_length=4096)
    state: str = Field(min_length=1, max_length=64)
    age: Number | None = Field(None, ge=0, le=2**40)
    looked: Number | None = Field(None, ge=0, le=2**40)
    again: Number | None = Field(None, ge=0, le=2**40)
    text: Shown | None = None
    mount: Shown | None = None
    definitions: list[OldDefinitionsGiven] | None = Field(None, max_length=100)
    files: list[WaitingFileGiven] = Field(max_length=1000)
    more: Whole = Field(ge=0, le=2**31)


class FoldersGiven(Given):
    """What a watcher says of its folders; null when it ends. `clock` is by how many seconds its clock is ahead."""

    folders: list[FolderGiven] | None = Field(max_length=1000)
    clock: Number | None = Field(None, ge=-(2**40), le=2**40)


class FolderNameGiven(Given):
    """A folder, by its location or its path."""

    name: str = Field(min_length=1, max_length=4096)
