"""Dead letters of sources: bounded, and kept once."""

import fakeredis

from sfmc_producers.sources.dead_letters import MOST_BYTES, SourceDeadLetters
from sfmc_transport import Keys, dead_letters


def test_of_a_large_record_the_beginning_is_kept_and_the_letter_says_so() -> None:
    with fakeredis.FakeRedis() as redis:
        letters = SourceDeadLetters(redis, Keys())
        assert letters.add("drop", "1", b"x" * (MOST_BYTES + 1), "it is not JSON")
        assert letters.add("drop", "2", b"y" * MOST_BYTES, "it is not JSON")
        large, whole = dead_letters.listed(redis, Keys())

    assert (len(large.entry), large.detail) == (MOST_BYTES, f"it is not JSON (cut: it had {MOST_BYTES + 1} bytes)")
    assert (len(whole.entry), whole.detail) == (MOST_BYTES, "it is not JSON")


def test_a_record_that_comes_again_makes_no_second_letter() -> None:
    with fakeredis.FakeRedis() as redis:
        letters = SourceDeadLetters(redis, Keys())
        assert [letters.add("drop", "1", b"x", "text") for _ in range(3)] == [True] * 3
        assert len(list(dead_letters.listed(redis, Keys()))) == 1
