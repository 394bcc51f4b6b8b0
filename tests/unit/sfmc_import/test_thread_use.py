"""When threads of a worker are scarce: more than half of those that carry a start wait for a Perform."""

from contextlib import ExitStack

import pytest

from sfmc_import.thread_use import ThreadUse


class Hands:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self):
        return self.now


def in_use(use: ThreadUse, carrying: int, starting: int) -> ExitStack:
    """Let so many threads carry a start, and so many of them wait for a Perform."""
    stack = ExitStack()
    for _ in range(carrying):
        stack.enter_context(use.carrying())
    for _ in range(starting):
        stack.enter_context(use.starting())
    return stack


@pytest.mark.parametrize(("carrying", "starting"), [(0, 0), (1, 0), (2, 1), (8, 4)])
def test_threads_are_not_scarce_while_performs_hold_half_of_them_at_most(carrying: int, starting: int):
    use = ThreadUse(Hands())

    with in_use(use, carrying, starting):
        assert use.scarce_since is None


@pytest.mark.parametrize(("carrying", "starting"), [(1, 1), (3, 2), (8, 5)])
def test_threads_are_scarce_since_performs_held_more_than_half_of_them(carrying: int, starting: int):
    use = ThreadUse(clock := Hands())

    with in_use(use, carrying, starting), use.carrying():
        clock.now += 7
        with use.starting():
            assert use.scarce_since in {1000.0, 1007.0}
            clock.now += 1
            assert use.scarce_since < clock.now


def test_threads_that_stay_scarce_have_been_so_since_the_first_moment():
    use = ThreadUse(clock := Hands())

    with in_use(use, 2, 2):
        clock.now += 7
        with use.carrying(), use.starting():
            assert use.scarce_since == 1000.0


def test_threads_that_were_scarce_are_not_when_their_performs_have_ended():
    use = ThreadUse(Hands())

    with in_use(use, 2, 0), in_use(use, 0, 2):
        assert use.scarce_since == 1000.0
    assert use.scarce_since is None


def test_what_fails_counts_no_longer():
    use = ThreadUse(Hands())
    with pytest.raises(MemoryError), use.carrying(), use.starting():
        raise MemoryError

    with in_use(use, 2, 1):
        assert use.scarce_since is None
