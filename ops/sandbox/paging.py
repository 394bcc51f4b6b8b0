"""The rest of a Retrieve whose answer came in several batches; keeps a bounded number of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LARGEST_BATCH = 2500
_KEPT = 64

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Pending:
    """Rows that were not sent yet, and how many go into one batch."""

    mid: int
    rows: tuple[Row, ...]
    batch: int


class Pages:
    """What may be continued, by RequestID of the answer before."""

    def __init__(self) -> None:
        self._pending: dict[str, Pending] = {}

    def split(self, request_id: str, mid: int, rows: tuple[Row, ...], batch: int) -> tuple[tuple[Row, ...], bool]:
        """The rows to send now and whether there are more; the others are kept under `request_id`."""
        size = batch if 0 < batch < LARGEST_BATCH else LARGEST_BATCH
        if len(rows) <= size:
            return rows, False
        self._pending[request_id] = Pending(mid, rows[size:], size)
        while len(self._pending) > _KEPT:
            del self._pending[next(iter(self._pending))]
        return rows[:size], True

    def take(self, request_id: str, mid: int) -> Pending | None:
        """What was kept under `request_id`. It stays, so that a batch whose answer was lost can be asked again."""
        found = self._pending.get(request_id)
        return found if found is not None and found.mid == mid else None
