"""A dead letter that somebody else takes between the look at it and the step."""

from collections.abc import Callable

import pytest

from sfmc_transport import dead_letters
from sfmc_transport.delivery import Keys

KEYS = Keys("t:", "", "unacked", "unacked_index")


class TakenMeanwhile:
    """A server that shows a letter which is gone when it is to be deleted."""

    def xrange(self, *_: object, **__: object) -> list[tuple[bytes, dict[bytes, bytes]]]:
        return [(b"1-0", {b"entry": b"{}", b"queue": b"imports"})]

    def register_script(self, _: str) -> Callable[..., int]:
        return lambda **_: 0


def test_who_deletes_what_another_has_taken_meanwhile_learns_it() -> None:
    with pytest.raises(dead_letters.DeadLetterNotFoundError, match="there is no dead letter 1-0"):
        dead_letters.delete(TakenMeanwhile(), KEYS, "1-0")
