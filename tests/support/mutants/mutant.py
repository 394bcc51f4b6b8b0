"""What a wrong change to one script is."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """One wrong change to one script."""

    file: str
    find: str
    replace: str
