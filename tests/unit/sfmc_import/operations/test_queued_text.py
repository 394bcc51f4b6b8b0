"""The line that says how many requests of a definition wait for a worker."""

import pytest

from sfmc_import.operations.queued import queued_text


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ((2, 0), "2"),
        ((2, 1), "at least 2; 1 message that no worker has taken may hold more for it"),
        ((0, 1204), "at least 0; 1204 messages that no worker has taken may hold more for it"),
        ((1, None), "at least 1; the queue does not say whether it holds more"),
    ],
)
def test_what_is_queued_is_one_line(found: tuple[int, int | None], text: str) -> None:
    assert queued_text(*found) == text
