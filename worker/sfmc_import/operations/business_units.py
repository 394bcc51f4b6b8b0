"""Whether rows that are shown together are of several business units: then each names its own."""

from collections.abc import Iterable
from typing import Protocol


class Row(Protocol):
    """A row of a list; one whose business unit is not known has an empty MID."""

    @property
    def mid(self) -> str:
        """The MID of its business unit."""
        ...


def are_several(*lists: Iterable[Row]) -> bool:
    """Tell whether the rows of these lists are of more than one business unit."""
    return len({row.mid for rows in lists for row in rows if row.mid}) > 1
