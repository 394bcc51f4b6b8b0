"""Questions and actions over a real Redis: what they read is bounded, and the same call does nothing twice."""

from typing import Any

import pytest

from sfmc_import.access import ReadAccess
from sfmc_import.client import Client
from sfmc_import.operations import actions, listing, replaying, requests
from sfmc_import.settings import load

MID = "510001234"


@pytest.fixture
def access(redis_server: Any) -> ReadAccess:
    return ReadAccess(load({"SFMC_REDIS_URL": redis_server.url, "SFMC_ACCOUNT_ID": MID}))


def submitted(access: ReadAccess, *names: str) -> list[str]:
    with Client.from_settings(access.settings) as client:
        file = {"location": "/in", "version": "1"}
        return [client.submit(customer_key=name, file={**file, "name": name}).request_id for name in names]


def read_from_stream(access: ReadAccess) -> int:
    calls: Any = access.client.info("commandstats")
    return sum(calls.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("xrange", "xrevrange", "xread"))


def test_the_life_of_an_unfinished_request_is_read_without_the_stream_after_it(access: ReadAccess) -> None:
    [request] = submitted(access, "a")
    pipe = access.client.pipeline(transaction=False)
    for _ in range(5000):
        pipe.xadd(access.keys.stream, {"event": b"{}"})
    pipe.execute()
    access.client.config_resetstat()
    view = requests.show(access, request)

    assert [event["data"]["request_id"] for event in requests.life(access, view)] == [request]
    assert read_from_stream(access) == 1
    access.client.xtrim(access.keys.stream, maxlen=0)


def cancelled(access: ReadAccess, *names: str) -> list[str]:
    ids = submitted(access, *names)
    for each in ids:
        actions.cancel(access, each, "ann", "no")
    return ids


def test_a_replay_of_many_is_repeated_without_a_second_request(access: ReadAccess) -> None:
    ids = cancelled(access, "a", "b", "c")
    wanted, call = listing.Filter(state="cancelled"), replaying.Call("ann", "k1", "again")
    # As after a cut: one of them was replayed already.
    actions.replay(access, ids[1], "ann", "again", new_id=replaying.id_of("ann", "k1", ids[1]))
    first = replaying.replay_many(access, wanted, 10, call)
    second = replaying.replay_many(access, wanted, 10, call)
    other = replaying.replay_many(access, wanted, 10, replaying.Call("ann", "k2", "again"))

    assert first == second
    assert set(first.request_ids) == set(ids)
    assert len(set(first.new_request_ids)) == 3
    assert not set(first.new_request_ids) & set(other.new_request_ids)
    with pytest.raises(replaying.KeyReusedError):
        replaying.replay_many(access, wanted, 9, call)


def test_definitions_are_listed_from_their_own_index(access: ReadAccess) -> None:
    index = access.keys.tag + "definitions"
    access.client.hset(index, mapping={f"{MID}:k{n}": f"K{n}" for n in range(3000)})
    for n in range(3000):
        access.client.hset(access.keys.definition(MID, f"K{n}"), "holder", "x")
        access.client.expire(access.keys.definition(MID, f"K{n}"), 60)
    access.client.expire(index, 60)
    found, cursor = set[str](), None
    access.client.config_resetstat()
    while True:
        page = listing.definitions(access, cursor)
        found |= {each.customer_key for each in page.items}
        if (cursor := page.next) is None:
            break

    assert found == {f"K{n}" for n in range(3000)}
    assert "cmdstat_scan" not in access.client.info("commandstats")
