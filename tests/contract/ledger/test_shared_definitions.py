"""Definitions that processes share: their true age, who may not change them, and what ends them."""

from fnmatch import fnmatchcase

import orjson
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError

from sfmc_import.ledger.key_kinds import REFRESHED, SHARED
from sfmc_import.ledger.shared_definitions import (
    AWAY_SECONDS,
    MARKS_SECONDS,
    MAX_BYTES,
    MAX_LISTED,
    MAX_MARKS,
    SharedDefinitions,
)
from sfmc_import.redis_rights import ROLES, patterns
from sfmc_import.runs import Definition
from tests.support.ledger_world import World

MID, KEY = "510001234", "Daily:Orders"
ORDERS = Definition(customer_key=KEY, name="Orders", object_id="o-1", file_spec="o.csv", max_import_frequency=4)
TTL = 300.0


class Hands:
    """CLOCK_BOOTTIME of one machine."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def here(world: World) -> SharedDefinitions:
    return SharedDefinitions(world.client, world.keys, ttl=TTL, clock=Hands(1000.0))


@pytest.fixture
def there(world: World) -> SharedDefinitions:
    """Another machine, which was started later."""
    return SharedDefinitions(world.client, world.keys, ttl=TTL, clock=Hands(5.0))


def name_of(world: World, key: str = KEY) -> str:
    return world.keys.name_of(SHARED, MID, key)


def asked(shared: SharedDefinitions, seconds_ago: float = 0.0) -> int:
    now = shared.now()
    assert now is not None
    return now - round(seconds_ago * 1000)


def test_what_one_process_read_another_finds_with_its_age_on_its_own_clock(here, there):
    here.share(MID, {KEY: ORDERS}, asked(here, 7.0))
    found = there.look(MID, KEY, 10.0).definition

    assert found == ORDERS
    assert 5.0 - 10.0 < found.asked_at <= 5.0 - 7.0


def test_an_answer_is_given_to_no_process_that_wants_a_newer_one(here, there):
    here.share(MID, {KEY: ORDERS}, asked(here, 10.5))

    assert there.look(MID, KEY, 10.0).definition is None
    assert there.look(MID, KEY, 60.0).definition == ORDERS


def test_an_answer_is_kept_for_its_time_to_live_at_most(world, here, there):
    here.share(MID, {KEY: ORDERS}, asked(here, TTL + 1))

    assert there.look(MID, KEY, 10 * TTL).definition is None
    assert 0 < world.client.pttl(name_of(world)) <= TTL * 1000


def test_an_answer_of_the_future_has_no_age(here, there):
    here.share(MID, {KEY: ORDERS}, asked(here, -60.0))

    assert there.look(MID, KEY, TTL).definition is None


def test_a_definition_is_found_by_the_spelling_that_was_asked_and_by_its_own_and_by_no_other(here, there):
    here.share(MID, {"DAILY:orders": ORDERS}, asked(here))

    assert there.look(MID, "DAILY:orders", TTL).definition == ORDERS
    assert there.look(MID, KEY, TTL).definition == ORDERS
    assert there.look(MID, "daily:ORDERS", TTL).definition is None
    assert there.look("7", KEY, TTL).definition is None


def test_a_look_that_finds_nothing_says_the_time_of_redis(here, there):
    first = here.look(MID, KEY, TTL)

    assert first.definition is None
    assert asked(there) - 60_000 < first.now <= asked(there)


VALUES = {name: getattr(ORDERS, name) for name in Definition.__dataclass_fields__ if name != "asked_at"}


@pytest.mark.parametrize(
    "written",
    [
        b"", b"{", b"[]", b"null", b'{"at": 1}', b'{"definition": {}}', b"\xff",
        orjson.dumps({"at": 1.5, "definition": VALUES}),
        orjson.dumps({"at": "1", "definition": VALUES}),
        orjson.dumps({"at": 1, "definition": VALUES | {"more": 1}}),
        orjson.dumps({"at": 1, "definition": {name: VALUES[name] for name in list(VALUES)[1:]}}),
        orjson.dumps({"at": 1, "definition": VALUES | {"file_spec": 7}}),
        orjson.dumps({"at": 1, "definition": VALUES | {"customer_key": None}}),
        orjson.dumps({"at": 1, "definition": VALUES | {"customer_key": "other"}}),
        orjson.dumps({"at": 1, "definition": VALUES | {"max_file_age": True}}),
        orjson.dumps({"at": 1, "definition": VALUES | {"max_file_age": "7"}}),
        orjson.dumps({"at": 1, "definition": VALUES | {"name": "x" * MAX_BYTES}}),
    ],
)  # fmt: skip
def test_what_is_no_definition_of_this_key_is_passed_over(world, here, written: bytes):
    said = orjson.loads(written) if written[:1] == b"{" and written != b"{" else None
    if said is not None and said.get("at") == 1:
        written = orjson.dumps(said | {"at": asked(here)})
    world.client.set(name_of(world), written, px=60_000)

    assert here.look(MID, KEY, TTL).definition is None


def test_what_the_test_above_calls_wrong_would_be_found_if_it_were_right(world, here):
    world.client.set(name_of(world), orjson.dumps({"at": asked(here), "definition": VALUES}), px=60_000)

    assert here.look(MID, KEY, TTL).definition == ORDERS


def test_what_the_service_refused_is_taken_by_no_process(here, there):
    here.share(MID, {KEY: ORDERS}, asked(here))
    there.forget(MID, KEY)

    assert here.look(MID, KEY, TTL).definition is None


def test_a_list_is_shared_unless_it_is_long(here, there):
    several = [Definition(customer_key=f"k{number}") for number in range(MAX_LISTED)]
    here.share_all(MID, several, asked(here))
    here.share_all(MID, [*several, ORDERS], asked(here))
    here.share_all(MID, [], asked(here))

    assert there.look(MID, "k7", TTL).definition == several[7]
    assert there.look(MID, KEY, TTL).definition is None


@pytest.mark.parametrize("key", [KEY, None])
def test_after_a_refresh_what_was_asked_before_counts_no_more_in_any_process(here, there, key):
    here.share(MID, {KEY: ORDERS, "other": Definition(customer_key="other")}, asked(here))
    there.refresh(MID, key)

    assert here.look(MID, KEY, TTL).definition is None
    assert (here.look(MID, "other", TTL).definition is None) is (key is None)
    here.share(MID, {KEY: ORDERS}, asked(here, -0.002) + 1)


def test_an_answer_that_was_asked_before_a_refresh_and_came_after_it_does_not_count(here, there):
    before = asked(here)
    there.refresh(MID, KEY)
    here.share(MID, {KEY: ORDERS}, before)

    assert here.look(MID, KEY, TTL).definition is None


@pytest.mark.parametrize("key", [KEY, None])
def test_a_process_learns_within_a_second_that_what_it_keeps_is_outdated(here, there, key):
    assert not here.is_outdated(MID, KEY, here._clock.now)
    there.refresh(MID, key)
    assert not here.is_outdated(MID, KEY, here._clock.now)
    here._clock.now += MARKS_SECONDS + 0.1

    assert here.is_outdated(MID, KEY, 1000.0)
    assert not here.is_outdated(MID, KEY, here._clock.now + 60)
    assert here.is_outdated(MID, "other", 1000.0) is (key is None)
    assert not here.is_outdated("7", KEY, 1000.0)


def test_after_many_refreshes_of_single_definitions_their_business_unit_is_marked(world, here):
    for number in range(MAX_MARKS + 3):
        here.refresh(MID, f"k{number}")
    marks = world.keys.name_of(REFRESHED)

    assert world.client.hlen(marks) == MAX_MARKS + 1
    assert world.client.hexists(marks, MID)
    assert world.client.pttl(marks) > 0


class Broken:
    """A client whose commands fail, and that counts how often it is asked."""

    def __init__(self, error: Exception) -> None:
        self.error, self.asked = error, 0

    def pipeline(self, **_):
        self.asked += 1
        raise self.error


@pytest.mark.parametrize(("error", "again"), [(RedisConnectionError("away"), 2), (NoPermissionError("no"), 1)])
def test_without_redis_or_a_right_nothing_is_shared_and_nothing_fails(world, error, again):
    clock, client = Hands(0.0), Broken(error)
    shared = SharedDefinitions(client, world.keys, ttl=TTL, clock=clock)  # type: ignore[arg-type]

    assert shared.look(MID, KEY, TTL).definition is None
    assert shared.look(MID, KEY, TTL).now is None
    assert shared.now() is None
    shared.share(MID, {KEY: ORDERS}, 1)
    shared.forget(MID, KEY)
    assert not shared.is_outdated(MID, KEY, 0.0)
    clock.now += AWAY_SECONDS
    shared.forget(MID, KEY)
    assert client.asked == again


def test_who_neither_starts_nor_refreshes_has_no_right_to_what_is_shared(world):
    def may(role: str) -> bool:
        mine = patterns(ROLES[role].keys, world.keys.prefix)
        return any(fnmatchcase(name_of(world), each.replace("[", "[[]")) for each in mine)

    assert [role for role in ROLES if may(role)] == ["worker", "operator", "server"]
