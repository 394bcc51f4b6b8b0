"""Dead letters of sources: bounded, and kept once."""

import fakeredis

from sfmc_producers.sources.dead_letters import NOT_KEPT, SourceDeadLetters
from sfmc_transport import Keys, dead_letters
from sfmc_transport.dead_letters import LARGE_BYTES, MANY, SMALL_BYTES


def test_of_a_large_record_the_beginning_is_kept_and_the_letter_says_so() -> None:
    with fakeredis.FakeRedis() as redis:
        letters = SourceDeadLetters(redis, Keys())
        assert letters.add("drop", "1", b"x" * (LARGE_BYTES + 1), "it is not JSON")
        assert letters.add("drop", "2", b"y" * LARGE_BYTES, "it is not JSON")
        large, whole = dead_letters.listed(redis, Keys())

    assert (len(large.entry), large.detail) == (LARGE_BYTES, f"it is not JSON (cut: it had {LARGE_BYTES + 1} bytes)")
    assert (len(whole.entry), whole.detail) == (LARGE_BYTES, "it is not JSON")


def test_a_record_that_comes_again_makes_no_second_letter() -> None:
    with fakeredis.FakeRedis() as redis:
        letters = SourceDeadLetters(redis, Keys())
        assert [letters.add("drop", "1", b"x", "text") for _ in range(3)] == [True] * 3
        assert len(list(dead_letters.listed(redis, Keys()))) == 1


def test_while_there_are_many_letters_little_is_kept_of_a_further_one_so_that_they_do_not_fill_redis() -> None:
    with fakeredis.FakeRedis() as redis:
        letters = SourceDeadLetters(redis, Keys())
        for number in range(MANY + 2):
            assert letters.add("drop", str(number), b"x" * LARGE_BYTES, "it is not JSON")
        assert letters.add("drop", "short", b"y" * SMALL_BYTES, "it is not JSON")
        found = list(dead_letters.listed(redis, Keys()))

    assert [len(each.entry) for each in found] == [LARGE_BYTES] * MANY + [SMALL_BYTES] * 3
    assert found[MANY].detail == f"it is not JSON (cut: it had {LARGE_BYTES} bytes)"
    assert found[-1].detail == "it is not JSON"


def test_a_letter_that_is_sent_back_comes_under_its_id_until_its_end_is_known() -> None:
    with fakeredis.FakeRedis() as redis:
        letters = SourceDeadLetters(redis, Keys())
        bodies = [b"1-1\nx", b"", b"plain"]
        for number, body in enumerate(bodies):
            letters.add("drop", str(number), body, "text")
        ids = [each.id for each in dead_letters.listed(redis, Keys())]
        for each in ids:
            dead_letters.replay(redis, Keys(), each)

        first, again = letters.replayed("drop"), letters.replayed("drop")
        assert first == again
        assert {each.id: each.body for each in first} == dict(zip(ids, bodies, strict=True))
        for each in first:
            letters.done("drop", each)
        assert letters.replayed("drop") == []


def test_bytes_that_another_program_gives_a_source_have_the_same_id_each_time() -> None:
    with fakeredis.FakeRedis() as redis:
        letters = SourceDeadLetters(redis, Keys())
        letters.add("drop", "1", b"{}", "text")
        [letter] = dead_letters.listed(redis, Keys())
        dead_letters.replay(redis, Keys(), letter.id, queue=letter.queue)

        [one], [two] = letters.replayed("drop"), letters.replayed("drop")
        assert (one.id, one.body) == (two.id, b"{}")
        letters.done("drop", one)
        assert letters.replayed("drop") == []


def test_why_a_letter_is_not_kept_is_said_of_its_source_until_one_is() -> None:
    usual = fakeredis.FakeServer()
    with fakeredis.FakeRedis(server=usual) as redis:
        letters = SourceDeadLetters(redis, Keys())
        usual.connected = False
        is_kept, why, other = letters.add("drop", "1", b"x", "text"), letters.outage("drop"), letters.outage("other")
        usual.connected = True
        assert letters.add("drop", "1", b"x", "text")

    assert (is_kept, why.startswith(f"{NOT_KEPT}: "), other, letters.outage("drop")) == (False, True, "", "")
