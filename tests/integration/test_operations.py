"""Questions and actions over a real Redis: what they read is bounded, and the same call does nothing twice."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any

import orjson
import pytest

from sfmc_import.access import ReadAccess
from sfmc_import.cli.overview import standing_lines
from sfmc_import.client import Client
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.operations import (
    actions,
    knowing,
    listing,
    pausing,
    refreshing,
    replaying,
    requests,
    resolving,
    status,
)
from sfmc_import.operations.errors import ConflictError, InvalidError, NotFoundError
from sfmc_import.operations.views import PauseView
from sfmc_import.policy import Policy
from sfmc_import.request import StartRequest
from sfmc_import.runs import Definition
from sfmc_import.settings import load
from sfmc_import.states import Lease, StartNow
from tests.support.event_schema import problems

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


def test_a_file_is_found_by_its_name_at_the_target_and_by_that_at_arrival(access: ReadAccess) -> None:
    file = {"location": "/in", "name": "orders.csv", "version": "1", "arrived_as": "o_1.csv"}
    with Client.from_settings(access.settings) as client:
        request = client.submit(customer_key="a", file=file).request_id
    for name in ("orders.csv", "o_1.csv"):
        [found] = requests.find(access, name, MID)
        assert (found.request_id, found.file and (found.file.name, found.file.arrived_as)) == (
            request,
            ("orders.csv", "o_1.csv"),
        )


def cancelled(access: ReadAccess, *names: str) -> list[str]:
    ids = submitted(access, *names)
    for each in ids:
        actions.cancel(access, each, "ann", "no")
    return ids


def test_a_replay_of_many_is_repeated_without_a_second_request(access: ReadAccess) -> None:
    ids = cancelled(access, "a", "b", "c")
    wanted, call = listing.Filter(state="cancelled"), replaying.Call("ann", "k1", "again")
    first = replaying.replay_many(access, wanted, 10, call)
    # As after a cut: it did not come to one of them.
    lost = replaying.id_of("ann", "k1", ids[1])
    access.client.delete(access.keys.request(lost))
    access.client.hdel(access.keys.request(ids[1]), "replayed")
    second = replaying.replay_many(access, wanted, 10, call)
    other = replaying.replay_many(access, wanted, 10, replaying.Call("ann", "k2", "again"))

    assert first == second
    assert set(first.request_ids) == set(ids)
    assert len(set(first.new_request_ids)) == 3
    assert access.client.exists(access.keys.request(lost))
    assert (other.new_request_ids, set(other.replayed)) == ([], set(ids))
    with pytest.raises(replaying.KeyReusedError):
        replaying.replay_many(access, wanted, 9, call)


def rejected(access: ReadAccess, request_id: str) -> None:
    request = open_ledger(access.settings).load(request_id)
    assert request
    open_ledger(access.settings).unresolved(request, Rejected("43000", "no such definition"), 0.0, Policy())


def test_a_request_that_was_replayed_has_gone_on_and_its_replay_alone_has_ended_badly(access: ReadAccess) -> None:
    first, other = submitted(access, "a", "b")
    rejected(access, first)
    rejected(access, other)
    again = actions.replay(access, first, "ann").new_request_id
    assert again
    assert [each.request_id for each in requests.failures(access)] == [other]

    rejected(access, again)
    assert [each.request_id for each in requests.failures(access)] == [again, other]


def test_a_replay_of_many_leaves_out_what_a_later_import_makes_wrong_and_names_it(access: ReadAccess) -> None:
    first, newer, other = submitted(access, "a", "b", "c")
    for each in (first, newer, other):
        rejected(access, each)
    access.client.hset(access.keys.request(first), "settled", "r7")
    access.client.hset(access.keys.request(newer), "newer", "r8")
    wanted, call = listing.Filter(state="rejected"), replaying.Call("ann", "k1", "again")
    counted = replaying.counted(access, wanted, 10)
    done, again = (replaying.replay_many(access, wanted, 10, call) for _ in range(2))

    assert requests.show(access, first).settled_by == "r7"
    found = [(each.request_ids, each.settled, each.imported) for each in (counted, done, again)]
    assert found == [([other], [first], [newer])] * 3
    assert len(done.new_request_ids) == 1


def test_a_further_attempt_is_shown_with_the_wait_before_it(access: ReadAccess) -> None:
    [request_id] = submitted(access, "a")
    request, ledger, fault = (
        open_ledger(access.settings).load(request_id),
        open_ledger(access.settings),
        NotApplied("9", "busy"),
    )
    assert request
    ledger.retry(start_now(ledger.claim(request, "w", Policy())), fault, 0.0)
    start_now(ledger.claim(request, "w", Policy()))
    view = requests.show(access, request_id)
    standing = status.standing(access, request.customer_key, MID)

    assert standing.holder_attempting == view.attempting
    assert "      attempt 2 is under way" in [*standing_lines(standing, access.reader.now())]
    assert (view.state, view.waiting) == ("starting", None)
    assert view.attempting
    assert (view.attempting.number, view.attempting.waited) == (2, "backoff")
    assert view.attempting.last_error
    assert view.attempting.last_error.code == "9"
    assert view.attempting.waited_since


def start_now(decision: Any) -> Lease:
    assert isinstance(decision, StartNow)
    return decision.lease


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


def test_a_list_by_an_ended_state_reads_the_records_of_that_state_alone(access: ReadAccess) -> None:
    submitted(access, *(f"w{n}" for n in range(50)))
    ended = cancelled(access, "a", "b")
    access.client.config_resetstat()
    found = listing.requests(access, listing.Filter(state="cancelled"))
    calls: Any = access.client.info("commandstats")

    assert {each.request_id for each in found.items} == set(ended)
    assert calls["cmdstat_hgetall"]["calls"] == len(ended)


@pytest.mark.parametrize("name", ["orders.csv", "we/ird.csv", "Grüße.csv", 'quo"ted.csv', "back\\slash.csv"])
def test_a_file_is_found_by_its_name_however_json_writes_it(access: ReadAccess, name: str) -> None:
    [request] = submitted(access, name)
    submitted(access, "orders.csv.gz", "another")

    assert [each.request_id for each in requests.find(access, name, MID)] == [request]


def test_a_start_that_is_unknown_already_cannot_be_cancelled(access: ReadAccess) -> None:
    [request] = submitted(access, "a")
    key = access.keys.request(request)
    access.client.hset(key, mapping={"state": "start_unknown"})
    event = {"id": f"{request}/2/start_unknown", "type": "sfmc.import.start_unknown", "subject": "a"}
    event |= {"time": "2026-03-01T00:00:00Z", "source": "/x", "specversion": "1.0"}
    place = access.client.xadd(access.keys.stream, {"event": orjson.dumps({**event, "data": {"request_id": request}})})
    at = int(access.client.hget(key, "at"))
    first = access.client.hget(key, "l").decode()
    milliseconds, _, number = place.decode().partition("-")
    access.client.hset(key, "l", f"{first} {int(milliseconds) - at}.{number}")

    with pytest.raises(ConflictError, match="start_unknown already"):
        actions.cancel(access, request, "ann")
    access.client.xdel(access.keys.stream, place)


@pytest.mark.parametrize("queue", ["import", "../x y", "imports\x00", "billing"])
def test_a_dead_letter_is_not_put_into_a_queue_that_no_worker_reads(access: ReadAccess, queue: str) -> None:
    letters, queues = access.broker_keys.dead_letters, access.broker_keys
    fields = {"entry": b"{}", "queue": queues.queue("imports"), "reason": "poison", "detail": "x", "at": "1"}
    letter = access.broker.xadd(letters, fields).decode()
    access.broker.expire(letters, 60)

    with pytest.raises(InvalidError, match="is unknown"):
        listing.replay_dead_letter(access, letter, "ann", queue)
    assert access.broker.xlen(letters) == 1
    assert listing.replay_dead_letter(access, letter, "ann", "imports").done == "replayed"
    access.broker.delete(queues.queue("imports"))


def test_a_dead_letter_is_not_lost_when_a_key_of_another_type_has_the_name_of_its_queue(access: ReadAccess) -> None:
    letters, queue = access.broker_keys.dead_letters, access.broker_keys.queue("imports")
    letter = access.broker.xadd(letters, {"entry": b"{}", "queue": queue, "reason": "poison", "detail": "x"}).decode()
    access.broker.set(queue, "x")
    with pytest.raises(InvalidError, match="is no queue"):
        listing.replay_dead_letter(access, letter, "ann")
    access.broker.delete(queue)

    assert listing.dead_letter(access, letter).entry == "{}"
    access.broker.delete(letters)


def test_who_replays_or_deletes_a_dead_letter_is_in_an_event(access: ReadAccess) -> None:
    letters, queue = access.broker_keys.dead_letters, access.broker_keys.queue("imports")
    fields = {"entry": b"{}", "queue": queue, "reason": "poison", "detail": "x"}
    first, second = (access.broker.xadd(letters, fields).decode() for _ in range(2))
    listing.replay_dead_letter(access, first, "ann")
    listing.delete_dead_letter(access, second, "bob")
    access.broker.delete(queue, letters)
    found = listing.newest_events(access, 2).items

    assert [(each["type"], each["subject"]) for each in found] == [
        ("sfmc.import.operator.dead_letter_replayed", first),
        ("sfmc.import.operator.dead_letter_deleted", second),
    ]
    assert found[0]["data"] == {"dead_letter": first, "operator": "ann", "reason": "poison", "queue": "imports"}
    assert problems(found) == []


def try_both(first: Callable[[], Any], second: Callable[[], Any]) -> list[str]:
    """Do two things at the same moment, and give what became of each."""
    together = Barrier(2)

    def one(do: Callable[[], Any]) -> str:
        together.wait(10)
        try:
            return str(do().done)
        except NotFoundError:
            return "not found"

    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(one, (first, second)))


@pytest.mark.parametrize("names", [("delete", "delete"), ("replay", "replay"), ("replay", "delete")], ids="-".join)
def test_of_two_operators_who_take_a_dead_letter_at_once_exactly_one_succeeds(
    access: ReadAccess, names: tuple[str, str]
) -> None:
    letters, queue = access.broker_keys.dead_letters, access.broker_keys.queue("imports")
    actions_on = {"delete": listing.delete_dead_letter, "replay": listing.replay_dead_letter}
    fields = {"entry": b"{}", "queue": queue, "reason": "poison", "detail": "x"}
    outcomes = []
    for _ in range(15):
        letter = access.broker.xadd(letters, fields).decode()
        outcomes.append(try_both(*(partial(actions_on[name], access, letter, f"op-{name}") for name in names)))
    sent = access.broker.llen(queue)
    access.broker.delete(queue, letters)

    assert [found.count("not found") for found in outcomes] == [1] * 15
    assert sent == sum(found.count("replayed") for found in outcomes)


@pytest.mark.parametrize("key", ["orders", None])
def test_who_lets_definitions_be_read_again_is_in_an_event(access: ReadAccess, key: str | None) -> None:
    refreshing.refresh(access, MID, key, "ann")
    refreshing.refresh(access, MID, key, "bob")
    found = listing.newest_events(access, 5).items

    assert [each["type"] for each in found] == ["sfmc.import.operator.definitions_refreshed"] * 2
    assert found[1]["data"] == {"operator": "bob", "mid": MID, "customer_key": key}
    assert problems(found) == []


@pytest.mark.parametrize(("mid", "key"), [("abc", "orders"), ("", "orders"), (MID, ""), (MID, "  ")])
def test_what_names_no_definition_is_not_read_again(access: ReadAccess, mid: str, key: str) -> None:
    with pytest.raises(InvalidError):
        refreshing.refresh(access, mid, key, "ann")


def test_a_pause_that_another_operator_ends_at_once_was_there_all_the_same(access: ReadAccess) -> None:
    """Between the step and the look at what it wrote."""
    scope = f"key:{MID}:orders"

    def pause_and_resume() -> PauseView:
        with ThreadPoolExecutor(1) as other:
            ended = other.submit(lambda: [suppressed_resume(access, scope) for _ in range(50)])
            view = actions.pause(access, scope, "ann", "look")
            ended.result()
        return view

    assert {pause_and_resume().reason for _ in range(20)} == {"look"}


def suppressed_resume(access: ReadAccess, scope: str) -> None:
    with suppress(NotFoundError):
        actions.resume(access, scope, "bob", None)


def test_the_refusal_to_replay_a_duplicate_names_the_request_in_its_place(access: ReadAccess) -> None:
    [request] = submitted(access, "a")
    access.client.hset(access.keys.request(request), mapping={"state": "duplicate", "held_by": "r-other"})

    with pytest.raises(ConflictError, match="request r-other handled its file"):
        actions.replay(access, request, "ann")


def test_a_pause_by_another_key_is_shown_with_its_definition_and_with_what_waits_for_it(access: ReadAccess) -> None:
    ledger, policy = open_ledger(access.settings), Policy(frequency=0.0)
    for name in ("a", "b"):
        definition = Definition(customer_key=name, object_id="object-1")
        ledger.claim(StartRequest(request_id=name, customer_key=name, mid=MID), f"owner-{name}", policy, definition)
    actions.pause(access, f"key:{MID}:b", "ann", "columns change")
    ledger.claim(
        StartRequest(request_id="c", customer_key="c", mid=MID), "owner-c", policy, Definition(customer_key="c")
    )
    shown = {each.customer_key: each.pause and each.pause.reason for each in listing.definitions(access).items}

    assert shown == {"a": "columns change", "b": "columns change", "c": None}
    record = {"waits_because": "paused", "mid": MID, "customer_key": "d", "home": "a"}
    [held] = pausing.holders(access, [record])
    assert held is not None
    assert held.scope == f"key:{MID}:b"


def test_the_status_of_a_definition_says_that_it_is_paused_and_why_what_holds_it_waits(access: ReadAccess) -> None:
    ledger, policy = open_ledger(access.settings), Policy(frequency=0.0)
    asked = StartRequest(request_id="a", customer_key="orders", mid=MID)
    decision = ledger.claim(asked, "owner", policy, Definition(customer_key="orders", object_id="object-1"))
    assert isinstance(decision, StartNow)
    ledger.retry(decision.lease, NotApplied("http_503", "HTTP 503"), 60)
    actions.pause(access, f"key:{MID}:orders", "ann", "columns change")

    found = status.standing(access, "orders", MID)
    assert found.pause is not None
    assert (found.pause.operator, found.pause.reason) == ("ann", "columns change")
    assert found.holder_waiting is not None
    assert found.holder_waiting.last_error is not None
    assert (found.holder_waiting.reason, found.holder_waiting.last_error.code) == ("backoff", "http_503")
    shown = [str(line) for line in standing_lines(found, time.time())]
    assert any("columns change" in line for line in shown)
    assert any("http_503" in line for line in shown)


def test_a_definition_that_is_only_paused_has_a_status(access: ReadAccess) -> None:
    actions.pause(access, f"key:{MID}:new one", "ann", "not yet")

    found = status.standing(access, "new one", MID).pause
    assert found is not None
    assert found.reason == "not yet"
    with pytest.raises(NotFoundError):
        status.standing(access, "new two", MID)


def test_who_pauses_or_refreshes_a_definition_that_nothing_knows_learns_it_and_which_one_may_be_meant(
    access: ReadAccess,
) -> None:
    open_ledger(access.settings).claim(
        StartRequest(request_id="a", customer_key="Daily_Orders", mid=MID),
        "owner",
        Policy(frequency=0.0),
        Definition(customer_key="Daily_Orders", object_id="object-1"),
    )
    near = "no definition with this key is known here; did you mean Daily_Orders?"
    hints = {
        key: actions.pause(access, f"key:{MID}:{key}", "ann", "look").hint
        for key in ("Daily_Order", "zzz", "Daily_Orders", "daily_orders", "object-1")
    }

    assert hints.pop("Daily_Order") == near
    assert hints.pop("zzz") == "no definition with this key is known here"
    assert set(hints.values()) == {None}
    assert [refreshing.refresh(access, MID, key, "ann").hint for key in ("Daily_Order", "Daily_Orders", None)] == [
        near, None, None,
    ]  # fmt: skip
    assert status.standing(access, "Daily_Order", MID).pause, "it is paused all the same"


def test_who_pauses_a_business_unit_that_nothing_knows_learns_it(access: ReadAccess) -> None:
    submitted(access, "a")
    unknown = "no business unit 77 is known here"

    assert actions.pause(access, "mid:77", "ann", "look").hint == unknown
    assert actions.pause(access, "key:77:a", "ann", "look").hint == unknown
    assert refreshing.refresh(access, "77", None, "ann").hint == unknown
    assert [actions.pause(access, scope, "ann", "look").hint for scope in ("all", f"mid:{MID}")] == [None, None]
    access.client.hset(access.keys.tag + "definitions", "77:a", "a")
    assert actions.pause(access, "mid:77", "ann", "look").hint is None
    access.client.delete(access.keys.tag + "definitions")


def test_a_definition_of_the_settings_is_known_before_a_request_was_for_it(redis_server: Any, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(
        f'[[definition]]\ncustomer_key = "Orders"\nmid = "{MID}"\n'
        '[[route]]\npattern = "x.csv"\ncustomer_key = "Routed"\nmid = "78"\n'
    )
    settings = load({"SFMC_REDIS_URL": redis_server.url, "SFMC_ACCOUNT_ID": MID, "SFMC_CONFIG": str(file)})
    access = ReadAccess(settings)

    assert [knowing.hint(access, *names) for names in ((MID, "orders"), ("78", "Routed"), ("78", None))] == [None] * 3


LONG = "x" * 1025


@pytest.mark.parametrize(
    "do",
    [
        lambda access, request: actions.cancel(access, request, "ann", LONG),
        lambda access, request: actions.force(access, request, "ann", LONG),
        lambda access, request: actions.replay(access, request, "ann", LONG),
        lambda access, request: resolving.resolve(access, request, None, "ann", LONG),
        lambda access, _: actions.pause(access, "all", "ann", LONG),
        lambda access, _: actions.resume(access, "all", "ann", LONG),
    ],
    ids=["cancel", "force", "replay", "resolve", "pause", "resume"],
)
def test_a_reason_that_is_too_long_is_refused_and_not_cut(access: ReadAccess, do: Callable[..., Any]) -> None:
    [request] = submitted(access, "a")

    with pytest.raises(InvalidError, match="the reason has 1025 characters; it may have 1024"):
        do(access, request)
    assert requests.show(access, request).state == "accepted"
    assert actions.pauses(access) == []


def test_a_key_that_no_definition_can_have_is_neither_paused_nor_refreshed(access: ReadAccess) -> None:
    for key, wrong in (("k" * 257, "the CustomerKey has 257 characters; it may have 256"), (" ", "is empty")):
        with pytest.raises(InvalidError, match=wrong):
            actions.pause(access, f"key:{MID}:{key}", "ann", "look")
        with pytest.raises(InvalidError, match=wrong):
            refreshing.refresh(access, MID, key, "ann")
