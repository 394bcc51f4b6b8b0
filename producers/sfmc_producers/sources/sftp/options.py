"""The lines of a [[source]] of kind `sftp`, and what follows from them."""

import base64
import binascii
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, FilePath, model_validator

from sfmc_import.settings.values import Seconds
from sfmc_producers.sources.tables import Options
from sfmc_producers.stability import IGNORED_NAMES, NETWORK_SECONDS, StabilityRule

_HOST = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_KEY = re.compile(r"([a-z0-9@.-]{1,64}) ([A-Za-z0-9+/=]{16,16384})(?: .*)?")


def check_host(value: str) -> str:
    """Accept the name or the address of a server, in small letters: the identity of a file has it."""
    if not _HOST.fullmatch(value) or value.startswith("-"):
        raise ValueError("not the name or the address of a server; without user, port and sftp://")
    return value.lower()


def check_folder(value: str) -> str:
    """Accept the absolute path of a folder, in one spelling; what is relative depends on the user."""
    parts = [part for part in value.split("/") if part not in {"", "."}]
    if not value.startswith("/") or ".." in parts or not value.isprintable():
        raise ValueError("not a path that begins with / and has no ..")
    return "/" + "/".join(parts)


def check_host_key(value: str) -> str:
    """Accept a fingerprint as `ssh-keygen -l` prints it, or a public key as `ssh-keyscan` does, without the host."""
    if _FINGERPRINT.fullmatch(value.rstrip("=")):
        return value.rstrip("=")
    match = _KEY.fullmatch(value)
    if match is None or not _is_base64(match[2]):
        raise ValueError("neither SHA256:… as ssh-keygen -l prints it nor a key such as ssh-ed25519 AAAA…")
    return f"{match[1]} {match[2]}"


def check_fingerprint(value: str) -> str:
    """Accept the fingerprint of a key as `ssh-add -l` prints it."""
    if not _FINGERPRINT.fullmatch(value.rstrip("=")):
        raise ValueError("not SHA256:… as ssh-add -l prints it")
    return value.rstrip("=")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


Host = Annotated[str, AfterValidator(check_host)]
Folder = Annotated[str, AfterValidator(check_folder)]
HostKey = Annotated[str, AfterValidator(check_host_key)]
Fingerprint = Annotated[str, AfterValidator(check_fingerprint)]
Suffix = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^/]+$")]


class SftpOptions(Options):
    """The lines of a [[source]] of kind `sftp`."""

    host: Host = Field(description="the name of the server")
    port: int = Field(22, ge=1, le=65535, description="its port")
    user: str = Field(min_length=1, max_length=256, description="the user who logs in")
    dir: Folder = Field(description="the folder, a path that begins with /")
    host_keys: tuple[HostKey, ...] = Field(
        (), max_length=32, description="the fingerprints or public keys of the server that are accepted, any of them"
    )
    known_hosts: FilePath | None = Field(None, description="a file in the form of OpenSSH, instead of host_keys")
    agent: bool = Field(False, description="true: log in with a key of the agent at SSH_AUTH_SOCK")
    agent_key: Fingerprint | None = Field(None, description="which key of the agent: its SHA256 fingerprint")
    pattern: str = Field("*", min_length=1, description="a glob of names; other files are not looked at")
    recursive: bool = Field(False, description="true: subfolders too")
    every: Seconds = Field(60.0, description="the time between two listings")
    stable: Seconds = Field(NETWORK_SECONDS, description="how long a file must be unchanged")
    marker: Suffix | None = Field(None, description='what the name of a marker adds, such as ".done"')
    empty: Literal["run", "skip"] = Field("skip", description="run or skip (files without a byte)")
    ignored: tuple[str, ...] = Field((), description="globs of further names that never count")
    complete: tuple[str, ...] = Field((), description="globs of names that count although they are ignored")
    after: Literal["keep", "move", "delete"] = Field("keep", description="keep, move or delete (after acceptance)")
    move_to: Folder | None = Field(None, description='the folder of the same server for after = "move"')
    connections: int = Field(2, ge=1, le=10, description="the most connections at a time, 1 to 10")
    timeout: Seconds = Field(30.0, description="the time for one answer of the server")
    listing_timeout: Seconds = Field(600.0, description="the time for one listing with all subfolders")
    keepalive: Seconds = Field(60.0, description="the time between two signs of life on a connection")
    idle_close: Seconds = Field(300.0, description="a connection that is not used for longer is closed")
    max_files: int = Field(1_000_000, ge=1, description="a listing with more entries is not used")

    @property
    def location(self) -> str:
        """What stands for the folder in the identity of its files; the user does not belong to it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"sftp://{host}:{self.port}{self.dir.rstrip('/')}"

    @property
    def rule(self) -> StabilityRule:
        """When a file counts as finished."""
        return StabilityRule(
            seconds=self.stable,
            ignored=(*IGNORED_NAMES, *self.ignored),
            complete=self.complete,
            marker=self.marker,
            empty=self.empty,
        )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if bool(self.host_keys) == (self.known_hosts is not None):
            raise ValueError("give either host_keys or known_hosts: a server whose key is not checked can be anybody")
        if (self.after == "move") != (self.move_to is not None):
            raise ValueError('after = "move" and move_to belong together')
        if self.move_to == self.dir:
            raise ValueError("move_to is the folder itself; name another one")
        if self.agent_key is not None and not self.agent:
            raise ValueError("agent_key needs agent = true")
        return self
