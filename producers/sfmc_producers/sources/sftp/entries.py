"""What a listing of an SFTP server shows, without trust in it: files, subfolders, and names that cannot be used."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

from asyncssh import FILEXFER_TYPE_DIRECTORY, FILEXFER_TYPE_REGULAR, FILEXFER_TYPE_SYMLINK, FILEXFER_TYPE_UNKNOWN

from sfmc_producers.stability import FileStat

NS = 10**9


class Attributes(Protocol):
    """The attributes of an entry; a server need not send them."""

    type: int
    size: int | None
    mtime: int | None


@dataclass(frozen=True, slots=True)
class Subfolder:
    """A folder in the folder; `name` is its path within it."""

    name: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """An entry that is no file of ours: a link, a device, one without size or time, or a name that is no text.

    `name` are the bytes of its path; `reason` is a static name, and "unnamable" what no rename on our side can help.
    """

    name: bytes
    reason: str


Entry = FileStat | Subfolder | Skipped


def needs_look(attributes: Attributes) -> bool:
    """Say whether the listing leaves out what must be known, so that the server is asked for this entry alone."""
    if attributes.type == FILEXFER_TYPE_REGULAR:
        return attributes.size is None or attributes.mtime is None
    return attributes.type == FILEXFER_TYPE_UNKNOWN


def is_same(attributes: Attributes | None, file: FileStat) -> bool:
    """Say whether a path still shows the file that was seen."""
    if attributes is None or attributes.type != FILEXFER_TYPE_REGULAR or attributes.mtime is None:
        return False
    return (attributes.size, attributes.mtime * NS) == (file.size, file.modified_ns)


def is_name(name: bytes) -> bool:
    """Say whether an entry has a name of its own; . and .. are the folder and the one above."""
    return name not in {b".", b"..", b""}


def read_entry(within: str, name: bytes, attributes: Attributes | None) -> Entry:
    """Read one entry of the folder `within` ("" or a path that ends with /)."""
    path = within.encode() + name
    text = _text(name)
    if text is None:
        return Skipped(path, "unnamable")
    if attributes is None:
        return Skipped(path, "gone")
    if attributes.type == FILEXFER_TYPE_DIRECTORY:
        return Subfolder(within + text)
    if attributes.type != FILEXFER_TYPE_REGULAR:
        return Skipped(path, "link" if attributes.type == FILEXFER_TYPE_SYMLINK else "special")
    if attributes.size is None or attributes.mtime is None:
        return Skipped(path, "no_attributes")
    return FileStat(within + text, attributes.size, attributes.mtime * NS)


def _text(name: bytes) -> str | None:
    """Give a name as text; None for bytes that are none, and for a path where a name should be."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return None
    return None if "/" in text or "\0" in text else text


@dataclass(slots=True)
class Handled:
    """Remembers states of files that need nothing more, by a digest of 16 bytes each.

    A complete listing forgets what it did not show. `key` makes the digests unpredictable for who names the files.
    """

    key: bytes
    _rounds: dict[bytes, int] = field(default_factory=dict)
    _round: int = 0

    def begin(self) -> None:
        """Begin a listing."""
        self._round += 1

    def has(self, *state: object) -> bool:
        """Say whether this state is known; it is then seen in this listing."""
        digest = self.digest(*state)
        if digest not in self._rounds:
            return False
        self._rounds[digest] = self._round
        return True

    def add(self, *state: object) -> None:
        """Remember this state."""
        self._rounds[self.digest(*state)] = self._round

    def discard(self, *state: object) -> None:
        """Forget this state."""
        self._rounds.pop(self.digest(*state), None)

    def clear(self) -> None:
        """Forget everything."""
        self._rounds.clear()

    def end(self) -> None:
        """End a listing that was complete."""
        for digest in [each for each, seen in self._rounds.items() if seen != self._round]:
            del self._rounds[digest]

    def __len__(self) -> int:
        return len(self._rounds)

    def digest(self, *state: object) -> bytes:
        """Give the digest of a state."""
        text = "\0".join(map(str, state)).encode("utf-8", "surrogateescape")
        return blake2b(text, digest_size=16, key=self.key).digest()


def other_names(name: str, fingerprint: str) -> Iterator[str]:
    """Give the names that a moved file may have: its own, then with a part of its fingerprint, then numbered."""
    yield name
    yield f"{name}.{fingerprint[:12]}"
    yield from (f"{name}.{fingerprint[:12]}.{number}" for number in range(2, 10))
