"""Answers in batches: what is left of a Retrieve is read when it is asked for; keeps a bounded number of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

LARGEST_BATCH = 2500
_KEPT = 64

Row = Mapping[str, Any]


@dataclass
class Batch:
    """Some rows of an answer in a business unit, and the way to those behind them."""

    mid: int
    rows: tuple[Row, ...]
    size: int
    rest: Iterator[Row] = field(repr=False)
    _following: "Batch | None" = None
    _looked: bool = False

    def following(self) -> "Batch | None":
        """The next rows; None at the end. Asked again it is the same batch."""
        if not self._looked:
            rows = tuple(islice(self.rest, self.size))
            self._following = Batch(self.mid, rows, self.size, self.rest) if rows else None
            self._looked = True
        return self._following


def first_batch(mid: int, rows: Iterator[Row], size: int) -> Batch:
    """The first rows of an answer; `size` 0, or one above the largest there is, means the largest."""
    size = size if 0 < size < LARGEST_BATCH else LARGEST_BATCH
    return Batch(mid, tuple(islice(rows, size)), size, rows)


class Pages:
    """What may be continued, by RequestID of the answer before."""

    def __init__(self) -> None:
        self._kept: dict[str, Batch] = {}

    def keep(self, request_id: str, batch: Batch) -> None:
        """Remember what comes next; the oldest is forgotten where there are too many."""
        self._kept[request_id] = batch
        while len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]

    def find(self, request_id: str, mid: int) -> Batch | None:
        """What comes after an answer. It stays, so that a batch that got lost on its way can be asked for again."""
        found = self._kept.get(request_id)
        return found if found is not None and found.mid == mid else None

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()
