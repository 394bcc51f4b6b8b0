"""Whether a start that is in doubt happened, judged by the runs that appeared since; no calls."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """Exactly one new run that belongs to nobody: ours, or one that did our work."""

    task_id: str


@dataclass(frozen=True, slots=True)
class Several:
    """More than one new run: which of them is ours cannot be proved."""

    task_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Nothing:
    """No new run so far; `late` says that rows had all the time they are given."""

    late: bool


def is_newer(task_id: str, than: str) -> bool:
    """Compare two TaskResultIDs; what is not a whole number counts as newer, for nothing is known of it."""
    if not (task_id.isascii() and task_id.isdigit() and than.isascii() and than.isdigit()):
        return task_id != than
    return int(task_id) > int(than)


def judge(unclaimed: AbstractSet[str], *, late: bool) -> Found | Several | Nothing:
    """Judge by the TaskResultIDs that the intent did not know and no request was given."""
    if len(unclaimed) == 1:
        return Found(next(iter(unclaimed)))
    if unclaimed:
        return Several(tuple(sorted(unclaimed)))
    return Nothing(late)
