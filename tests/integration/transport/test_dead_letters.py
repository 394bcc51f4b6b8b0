"""Dead letters: listed, replayed, dropped, bounded."""

import json
from datetime import UTC, datetime

import pytest
import redis

from sfmc_transport import dead_letters
from sfmc_transport.delivery import RETURNS_HEADER, Delivery, Limits
from tests.integration.transport.conftest import KEYS

BYTES = b"\x00 neither text nor JSON \xff"


@pytest.fixture
def delivery(raw: redis.Redis) -> Delivery:
    return Delivery(raw.connection_pool, KEYS, "one", Limits(dead_after=60, dead_letters=5))


def dead_letter(raw: redis.Redis, delivery: Delivery, entry: bytes = BYTES) -> str:
    raw.lpush("imports", entry)
    raw.execute_command(*delivery.pop_command("imports", 1))
    letter = delivery.dead_letter_entry("imports", entry, "undecodable", "not JSON")
    assert letter
    return letter


def test_a_dead_letter_tells_bytes_queue_reason_and_time(raw, delivery):
    before = datetime.fromtimestamp(raw.time()[0], UTC)
    letter_id = dead_letter(raw, delivery)

    (letter,) = dead_letters.listed(raw, KEYS)

    assert (letter.id, letter.entry, letter.queue) == (letter_id, BYTES, "imports")
    assert (letter.reason, letter.detail) == ("undecodable", "not JSON")
    assert letter.at >= before
    assert raw.llen("imports") == 0


def test_setting_aside_twice_makes_one_dead_letter(raw, delivery):
    dead_letter(raw, delivery)

    assert delivery.dead_letter_entry("imports", BYTES, "undecodable", "not JSON") is None
    assert dead_letters.count(raw, KEYS) == 1


def test_only_the_latest_dead_letters_are_kept(raw, delivery):
    letters = [dead_letter(raw, delivery, str(number).encode()) for number in range(8)]

    assert [letter.id for letter in dead_letters.listed(raw, KEYS)] == letters[-5:]


def test_all_pages_are_listed_oldest_first(raw):
    with raw.pipeline() as pipe:
        for number in range(dead_letters.PAGE + 3):
            pipe.xadd(KEYS.dead_letters, {"entry": str(number)})
        pipe.execute()

    entries = [int(letter.entry) for letter in dead_letters.listed(raw, KEYS)]

    assert entries == list(range(dead_letters.PAGE + 3))


def test_a_replay_puts_the_bytes_back_behind_the_others_and_drops_the_letter(raw, delivery):
    letter_id = dead_letter(raw, delivery)
    raw.lpush("imports", b"waiting")

    assert dead_letters.replay(raw, KEYS, letter_id).entry == BYTES

    assert raw.lrange("imports", 0, -1) == [BYTES, b"waiting"]
    assert dead_letters.count(raw, KEYS) == 0


def test_a_replay_may_go_to_another_queue(raw, delivery):
    dead_letters.replay(raw, KEYS, dead_letter(raw, delivery), queue="imports.repaired")

    assert raw.lrange("imports.repaired", 0, -1) == [BYTES]


def test_a_letter_stays_when_its_message_cannot_be_put_into_the_queue(raw, delivery):
    letter_id = dead_letter(raw, delivery)
    raw.set("imports.taken", "x")

    with pytest.raises(dead_letters.NoQueueError, match="is no queue"):
        dead_letters.replay(raw, KEYS, letter_id, queue="imports.taken")
    raw.delete("imports.taken")

    assert dead_letters.read(raw, KEYS, letter_id).entry == BYTES


def test_a_replayed_message_may_be_returned_as_often_as_a_new_one(raw, delivery):
    message = {"headers": {RETURNS_HEADER: 3, "task": "t"}, "properties": {}, "body": ""}
    dead_letters.replay(raw, KEYS, dead_letter(raw, delivery, json.dumps(message).encode()))

    assert json.loads(raw.rpop("imports"))["headers"] == {"task": "t"}


class Repeating:
    """A connection that loses the first reply to each script, and so sends it again."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        return getattr(self._client, name)

    def register_script(self, text):
        script = self._client.register_script(text)

        def called(**arguments):
            script(**arguments)
            return script(**arguments)

        return called


@pytest.mark.parametrize(("act", "queued"), [(dead_letters.replay, [BYTES]), (dead_letters.delete, [])])
def test_who_has_taken_a_letter_reads_so_also_where_the_first_reply_was_lost(raw, delivery, act, queued):
    letter_id, said = dead_letter(raw, delivery), {"done": "taken", "operator": "ann"}

    act(Repeating(raw), KEYS, letter_id, said=said)

    assert raw.lrange("imports", 0, -1) == queued
    assert dead_letters.became(raw, KEYS, letter_id) == said


def test_of_two_who_say_the_same_of_a_letter_one_has_taken_it(raw, delivery):
    letter_id, said = dead_letter(raw, delivery), {"done": "deleted", "operator": "ann"}

    class Overtaken(Repeating):
        """Another with the same words is faster."""

        def register_script(self, text):
            dead_letters.delete(self._client, KEYS, letter_id, said)
            return self._client.register_script(text)

    with pytest.raises(dead_letters.DeadLetterNotFoundError):
        dead_letters.delete(Overtaken(raw), KEYS, letter_id, said)


def test_a_dropped_letter_is_gone(raw, delivery):
    letter_id = dead_letter(raw, delivery)

    dead_letters.delete(raw, KEYS, letter_id)

    assert dead_letters.count(raw, KEYS) == 0


@pytest.mark.parametrize("letter_id", ["1-1", "no id at all", ""])
@pytest.mark.parametrize("act", [dead_letters.read, dead_letters.replay, dead_letters.delete])
def test_an_unknown_letter_is_named_in_one_line(raw, act, letter_id):
    with pytest.raises(dead_letters.DeadLetterNotFoundError, match="no dead letter"):
        act(raw, KEYS, letter_id)


def test_each_dead_letter_is_unreported_until_it_is_said_to_be_reported(raw, delivery):
    letters = [dead_letter(raw, delivery, str(number).encode()) for number in range(3)]

    assert [name for name, _ in dead_letters.unreported(raw, KEYS, 2)] == letters[:2]
    assert [letter.entry for _, letter in dead_letters.unreported(raw, KEYS, 9) if letter] == [b"0", b"1", b"2"]
    dead_letters.reported(raw, KEYS, letters[1])
    assert [name for name, _ in dead_letters.unreported(raw, KEYS, 9)] == [letters[0], letters[2]]


def test_a_dead_letter_that_was_deleted_before_it_was_reported_is_still_named(raw, delivery):
    letter = dead_letter(raw, delivery)
    dead_letters.delete(raw, KEYS, letter)

    assert list(dead_letters.unreported(raw, KEYS, 9)) == [(letter, None)]


def test_a_letter_that_is_trimmed_before_it_was_reported_is_still_named(raw, delivery):
    letters = [dead_letter(raw, delivery, str(number).encode()) for number in range(8)]

    found = list(dead_letters.unreported(raw, KEYS, 99))
    assert [name for name, _ in found] == letters
    assert [name for name, letter in found if letter] == letters[-5:]


def test_what_is_unreported_is_bounded_at_a_hundred_times_the_dead_letters(raw, delivery):
    raw.rpush(KEYS.unreported, *range(600))
    newest = dead_letter(raw, delivery)

    assert raw.llen(KEYS.unreported) == 500
    assert raw.lindex(KEYS.unreported, -1) == newest.encode()
