"""Access tokens that processes share, as sealed texts: one process asks, and only what was seen is replaced."""

import pytest

from sfmc_import.ledger import LedgerSettings
from sfmc_import.ledger.token_keys import TOKEN, TOKEN_LEASE
from sfmc_import.ports import LedgerUnavailableError, TokenLook, TokenName
from tests.contract.ledger.scenario import Scenario
from tests.support.ledger_world import World

NAME, OTHER = TokenName("510001234", "0a1b"), TokenName("42", "0a1b")
LIFE = 1000.0
LONGEST_TEXT = 16_384


def look(world: World, owner: str = "me", seen: str = "", name: TokenName = NAME, *, refused: bool = False):
    return world.ledger.tokens().look(name, owner, seen, refused=refused)


def share(world: World, text: str, owner: str = "me", seen: str = "", life: float = LIFE) -> bool:
    return world.ledger.tokens().share(NAME, owner, seen, text, life)


def stored(world: World) -> bytes | None:
    return world.client.get(world.keys.name_of(TOKEN, *NAME))


def lease(world: World) -> bytes | None:
    return world.client.get(world.keys.name_of(TOKEN_LEASE, *NAME))


def test_one_process_may_ask_and_the_others_wait(world: World):
    assert look(world, "me") == TokenLook(kind="lease", now=world.now_ms())
    assert look(world, "other") == TokenLook(kind="wait", now=world.now_ms())


def test_the_same_question_again_has_the_same_answer(world: World):
    assert look(world, "me").kind == look(world, "me").kind == "lease"
    assert share(world, "1.a")
    assert not share(world, "1.a")
    assert [look(world, each).text for each in ("me", "other")] == ["1.a", "1.a"]


def test_a_business_unit_has_its_own_token_and_its_own_turn(world: World):
    look(world, "me")
    assert look(world, "other", name=OTHER).kind == "lease"
    share(world, "1.a")

    assert look(world, "third", name=OTHER).kind == "wait"


def test_a_token_that_was_shared_is_found_and_the_turn_is_over(world: World):
    look(world, "me")
    share(world, "1.a")

    assert look(world, "other") == TokenLook(kind="token", now=world.now_ms(), text="1.a")
    assert lease(world) is None
    assert look(world, "other", seen="1.a").kind == "lease"


def test_a_token_is_kept_for_what_is_left_of_its_life_and_for_a_day_at_most(world: World):
    share(world, "1.a", life=7.5)
    assert 5000 < world.client.pttl(world.keys.name_of(TOKEN, *NAME)) <= 7500

    share(world, "1.b", seen="1.a", life=10**9)
    assert world.client.pttl(world.keys.name_of(TOKEN, *NAME)) <= 86_400_000


def test_who_gives_the_turn_back_gives_back_its_own_alone(world: World):
    look(world, "me")
    world.ledger.tokens().leave(NAME, "other")
    assert lease(world) == b"me"

    world.ledger.tokens().leave(NAME, "me")
    assert lease(world) is None


def test_who_has_the_turn_replaces_whatever_is_there(world: World):
    share(world, "1.a")
    look(world, "me", seen="1.a")
    world.client.set(world.keys.name_of(TOKEN, *NAME), "1.x", px=60_000)

    assert share(world, "1.b", seen="1.a")
    assert stored(world) == b"1.b"


def test_who_has_lost_the_turn_replaces_only_what_it_has_seen(world: World):
    share(world, "1.a")
    look(world, "other", seen="1.a")

    assert share(world, "1.b", owner="me", seen="1.a")
    assert not share(world, "1.c", owner="me", seen="1.a")
    assert stored(world) == b"1.b"
    assert lease(world) == b"other"


def test_a_refused_token_is_deleted_and_its_successor_is_not(world: World):
    share(world, "1.a")
    look(world, "me", seen="1.a")
    assert stored(world) == b"1.a"
    assert look(world, "other", seen="1.a", refused=True).kind == "wait"
    assert stored(world) is None

    share(world, "1.b")
    assert look(world, "third", seen="1.a", refused=True).text == "1.b"
    assert stored(world) == b"1.b"


STRANGE = [b"\xff", b"1.a\n", b"1.a b", b"{}", b"1." + b"a" * LONGEST_TEXT]


@pytest.mark.parametrize("text", STRANGE)
def test_what_is_no_sealed_token_is_deleted_and_never_given(world: World, text: bytes):
    world.client.set(world.keys.name_of(TOKEN, *NAME), text, px=60_000)
    found = look(world)

    assert (found.kind, found.text, found.strange) == ("lease", "", True)
    assert stored(world) is None


def test_the_longest_sealed_token_is_given(world: World):
    share(world, text := "1." + "aZ09_-." * 2000 + "==")

    assert look(world).text == text


def test_a_key_of_another_type_is_trouble_with_redis(world: World):
    world.client.hset(world.keys.name_of(TOKEN, *NAME), "a", "b")
    with pytest.raises(LedgerUnavailableError):
        look(world)
    world.client.delete(world.keys.name_of(TOKEN, *NAME))


def test_the_turn_of_a_process_that_died_ends_with_its_time(scenario: Scenario):
    world = scenario.world
    look(world, "dead")

    assert 0 < world.client.pttl(world.keys.name_of(TOKEN_LEASE, *NAME)) <= LedgerSettings().token_lease_ttl * 1000
