"""How keys and texts are compared: as the database of the service does, or exactly (pure)."""

from collections.abc import Callable

Fold = Callable[[str], str]
"""Two texts are the same if their folded forms are equal."""


def as_database(text: str) -> str:
    """Without upper and lower case and without blanks at the end, as SQL Server compares by default."""
    return text.rstrip(" ").casefold()


def exactly(text: str) -> str:
    """The text as it is."""
    return text


FOLDS: dict[str, Fold] = {"database": as_database, "exact": exactly}
