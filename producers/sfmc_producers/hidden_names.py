"""Names of files on their way out of a folder: each says what was accepted, so that any process can end the removal."""

import hashlib
import os
import re
from typing import NamedTuple

PREFIX = ".sfmc-import-"
_HIDDEN = re.compile(rf"{re.escape(PREFIX)}([0-9a-f]{{16}})([0-9a-f]{{16}})?-(.+)", re.DOTALL)


class Hidden(NamedTuple):
    """What a hidden name says: the mark of its file, that of the marker file beside it, and the name before."""

    mark: str
    marker_mark: str | None
    name: str

    @property
    def text(self) -> str:
        """The hidden name itself."""
        return f"{PREFIX}{self.mark}{self.marker_mark or ''}-{self.name}"


def mark_of(name: str, *attributes: int) -> str:
    """Sum up what was accepted, by attributes that a rename does not change."""
    parts = "\0".join((name, *map(str, attributes)))
    return hashlib.sha256(os.fsencode(parts)).hexdigest()[:16]


def read_hidden(name: str) -> Hidden | None:
    """Read a hidden name, also with folders before it; None for any other name."""
    found = _HIDDEN.fullmatch(name.rpartition("/")[2])
    return None if found is None else Hidden(*found.groups())


def is_hidden(name: str) -> bool:
    """Tell whether this is the name of a file that is on its way out of its folder."""
    return read_hidden(name) is not None
