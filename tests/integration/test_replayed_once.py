"""A replay, and what is done with a dead letter, has one outcome, however often and by whomever it is asked for."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import pytest

import sfmc_transport.dead_letters as letters
from sfmc_import.access import ReadAccess
from sfmc_import.client import Client
from sfmc_import.faults import Rejected
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.operations import actions, listing, replaying, requests, resolving
from sfmc_import.operations.errors import ConflictError, InvalidError, NotFoundError, OperationError
from sfmc_import.operations.local import LocalOperations
from sfmc_import.policy import Policy
from sfmc_import.settings import load

MID = "510001234"


@pytest.fixture
def access(redis_server: Any) -> ReadAccess:
    return ReadAccess(load({"SFMC_REDIS_URL": redis_server.url, "SFMC_ACCOUNT_ID": MID}))


def submitted(access: ReadAccess, key: str = "a") -> str:
    with Client.from_settings(access.settings) as client:
        return client.submit(customer_key=key).request_id


def rejected(access: ReadAccess, request_id: str) -> str:
    request = open_ledger(access.settings).load(request_id)
    assert request
    open_ledger(access.settings).unresolved(request, Rejected("43000", "no such definition"), 0.0, Policy())
    return request_id


def replays_of(access: ReadAccess, request_id: str) -> list[str]:
    found = listing.requests(access, listing.Filter(), limit=200).items
    return [each.request_id for each in found if each.replays == request_id]


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    together = Barrier(len(calls))

    def one(call: Callable[[], Any]) -> Any:
        together.wait(10)
        try:
            return call()
        except OperationError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(one, calls))


def test_what_was_replayed_is_not_replayed_again_before_that_has_ended_and_its_replay_is_named(access):
    request = rejected(access, submitted(access))
    again = actions.replay(access, request, "ann").new_request_id
    with pytest.raises(ConflictError, match=f"was replayed as request {again}, which is accepted"):
        actions.replay(access, request, "bob")

    rejected(access, again)
    assert actions.replay(access, request, "bob").new_request_id not in {None, again}


def test_what_was_replayed_is_offered_for_a_replay_only_by_force_until_that_has_come_to_nothing(access):
    request = rejected(access, submitted(access))
    again = actions.replay(access, request, "ann").new_request_id
    during = requests.show(access, request)
    rejected(access, again)
    after = requests.show(access, request)

    assert (during.replay_state, during.next) == ("accepted", ["replay --force", "settle"])
    assert again in str(during.advice)
    assert (after.replay_state, after.next) == ("rejected", ["replay", "settle"])


def test_a_count_of_replays_leaves_out_what_is_being_replayed_as_the_replays_do(access):
    first, second = (rejected(access, submitted(access, key)) for key in ("a", "b"))
    actions.replay(access, first, "ann")
    wanted, call = listing.Filter(state="rejected"), replaying.Call("ann", "k1", "all")
    counted = replaying.counted(access, wanted, 10)
    done = replaying.replay_many(access, wanted, 10, call)
    repeated = replaying.replay_many(access, wanted, 10, call)

    assert (counted.count, counted.request_ids, counted.replayed) == (1, [second], [first])
    assert (done.count, done.request_ids, done.replayed) == (1, [second], [first])
    assert repeated == done


def test_who_forces_it_replays_again_what_was_replayed(access):
    request = rejected(access, submitted(access))
    actions.replay(access, request, "ann")
    actions.replay(access, request, "bob", "both are needed", force=True)

    assert len(replays_of(access, request)) == 2


@pytest.mark.parametrize("force", [False, True])
def test_of_two_who_replay_a_request_at_once_one_does_and_the_other_reads_of_it(access, force):
    for _ in range(10):
        request = rejected(access, submitted(access))

        def replay(who: str, request: str = request) -> Any:
            return actions.replay(access, request, who, "again", force=force)

        outcomes = at_once(lambda: replay("ann"), lambda: replay("bob"))
        refused = [each for each in outcomes if isinstance(each, ConflictError)]
        assert len(replays_of(access, request)) == 2 - len(refused)
        assert len(refused) == 1 or force


def test_the_same_command_with_the_same_id_is_one_request(access):
    request, operations = rejected(access, submitted(access)), LocalOperations(access, "ann")
    done = [operations.replay(request, "mine-1", "again") for _ in range(2)]

    assert done[0] == done[1]
    assert replays_of(access, request) == ["mine-1"] == [done[0].new_request_id]


def test_an_id_of_another_request_or_none_at_all_replays_nothing(access):
    request, other = rejected(access, submitted(access)), submitted(access, "b")
    operations = LocalOperations(access, "ann")
    with pytest.raises(ConflictError, match=f"request {other} does not replay {request}"):
        operations.replay(request, other)
    with pytest.raises(InvalidError, match="request id must be"):
        operations.replay(request, "a b")

    assert replays_of(access, request) == []


def not_started(access: ReadAccess) -> str:
    """A request of which an operator has said that it was not started."""
    request = rejected(access, submitted(access))
    access.client.hset(access.keys.request(request), mapping={"state": "not_started", "key": "a"})
    return request


def test_a_replay_of_many_and_who_names_the_run_of_one_of_them_do_not_both_succeed(access):
    for number in range(10):
        request = not_started(access)
        wanted = listing.Filter(state="not_started")
        call = replaying.Call("ann", f"k{number}", "again")
        many, named = at_once(
            lambda wanted=wanted, call=call: replaying.replay_many(access, wanted, 10, call),
            lambda request=request, number=number: resolving.resolve(
                access, request, str(100 + number), "ann", "I saw it", ask=None
            ),
        )
        is_named = not isinstance(named, OperationError)
        assert len(replays_of(access, request)) == (0 if is_named else 1)
        assert many.count == (0 if is_named else 1)
        same = replaying.replay_many(access, wanted, 10, call)
        assert same.new_request_ids == many.new_request_ids


def test_of_two_replays_of_many_with_keys_of_their_own_each_request_is_replayed_once(access):
    ids = [rejected(access, submitted(access, key)) for key in "abcde"]
    wanted = listing.Filter(state="rejected")
    calls = [replaying.Call("ann", key, "again") for key in "xy"]
    found = at_once(*(partial(replaying.replay_many, access, wanted, 10, call) for call in calls))

    assert sum(each.count for each in found) == 5
    assert [len(replays_of(access, each)) for each in ids] == [1] * 5


def dead_letter(access: ReadAccess) -> str:
    fields = {"entry": b"{}", "queue": access.broker_keys.queue("imports"), "reason": "poison", "detail": "x"}
    letter: str = access.broker.xadd(access.broker_keys.dead_letters, fields).decode()
    access.broker.expire(access.broker_keys.dead_letters, 60)
    return letter


@pytest.mark.parametrize(
    "again", [listing.replay_dead_letter, listing.delete_dead_letter, None], ids=["replay", "delete", "show"]
)
@pytest.mark.parametrize(
    ("act", "said"),
    [
        (listing.replay_dead_letter, "ann has replayed it to imports"),
        (listing.delete_dead_letter, "ann has deleted it"),
    ],
    ids=["replay", "delete"],
)
def test_who_asks_again_for_what_was_done_with_a_dead_letter_reads_who_did_what(access, act, said, again):
    letter = dead_letter(access)
    act(access, letter, "ann")
    with pytest.raises(NotFoundError, match=f"there is no dead letter {letter}: {said}"):
        listing.dead_letter(access, letter) if again is None else again(access, letter, "bob")
    access.broker.delete(access.broker_keys.queue("imports"))


def test_the_event_of_a_replay_that_was_cut_in_the_middle_comes_when_it_is_asked_for_again(access):
    letter = dead_letter(access)
    data = {"dead_letter": letter, "operator": "ann", "reason": "poison", "queue": "imports"}
    letters.replay(access.broker, access.broker_keys, letter, said={"done": "replayed", **data})
    for _ in range(2):
        with pytest.raises(NotFoundError):
            listing.replay_dead_letter(access, letter, "ann")
    access.broker.delete(access.broker_keys.queue("imports"))

    [event] = listing.newest_events(access, 9).items
    assert (event["type"], event["data"]) == ("sfmc.import.operator.dead_letter_replayed", data)
