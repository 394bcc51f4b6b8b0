"""What the HTTP API answers to headers, filters and bodies of every kind, over a real Redis."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sfmc_import.faults import Rejected
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.operations import actions, listing
from sfmc_import.operations.requests import read_views
from sfmc_import.policy import Policy
from tests.support.console import MID, World, console_over

PROBLEM = "urn:sfmc-import:problem:"
BODY = {"customer_key": "orders", "file": {"name": "orders.csv", "size": 3}, "source": "one"}


@pytest.fixture
def world(redis_server: Any) -> Iterator[World]:
    with console_over(redis_server.url) as made:
        yield made


def ask(world: World, method: str, path: str, role: str = "operator", **more: Any) -> httpx.Response:
    headers = [("authorization", f"Bearer {world.tokens[role]}"), *more.pop("headers", [])]
    return world.http.request(method, path, headers=headers, **more)


def submitted(world: World, key: str, **body: Any) -> httpx.Response:
    return ask(world, "POST", "/v1/requests", json={**BODY, **body}, headers=[("idempotency-key", key)])


def kind(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].removeprefix(PROBLEM)


# --- Idempotency-Key.


@pytest.mark.parametrize(
    "other",
    [
        {"source": "two"},
        {"priority": 3},
        {"force": True, "reason": "now"},
        {"event_id": "e2"},
        {"reply_to": "app.done", "reply_queue": "app"},
        {"file": {"name": "orders.csv", "size": 4}},
        {"mid": MID},
    ],
    ids="-".join,
)
def test_an_idempotency_key_with_another_body_is_refused_whatever_differs(world: World, other: dict[str, Any]) -> None:
    first, same, differs = submitted(world, "k1"), submitted(world, "k1"), submitted(world, "k1", **other)

    assert (first.status_code, same.status_code) == (202, 202)
    assert same.headers["idempotency-replayed"] == "true"
    assert same.json()["request_id"] == first.json()["request_id"]
    assert kind(differs) == (422, "idempotency_key_reused")


def test_a_body_that_can_never_be_carried_out_does_not_use_up_its_key(world: World) -> None:
    assert kind(submitted(world, "k1", customer_key="x" * 37)) == (422, "invalid")
    assert submitted(world, "k1").status_code == 202


def test_the_request_of_a_key_is_named_where_another_body_asks_for_the_same_start(world: World) -> None:
    first = submitted(world, "k1").json()["request_id"]
    same_start, other = submitted(world, "k1", source="two"), submitted(world, "k1", customer_key="else")

    assert same_start.json()["request_id"] == first
    assert "request_id" not in other.json()


def test_a_replay_of_many_with_the_same_key_is_said_to_be_one(world: World) -> None:
    actions.cancel(world.access, world.submit(), "ann", "no")
    body = {"state": "cancelled", "reason": "again", "dry_run": False}
    first, again, other = (
        ask(world, "POST", "/v1/replays", json=body, headers=[("idempotency-key", key)]) for key in ("k3", "k3", "k4")
    )

    assert first.json() == again.json()
    assert [each.headers.get("idempotency-replayed") for each in (first, again, other)] == [None, "true", None]


def test_a_bad_end_is_settled_with_a_reason_alone(world: World) -> None:
    request, ledger = world.submit(), open_ledger(world.access.settings)
    asked = ledger.load(request)
    assert asked is not None
    ledger.unresolved(asked, Rejected("43010", "no such definition"), 0.0, Policy())
    path = f"/v1/requests/{request}"

    assert ask(world, "POST", f"{path}/settle", json={}).status_code == 422
    assert ask(world, "POST", f"{path}/settle", json={"reason": "done"}).json()["state"] == "rejected"
    assert ask(world, "GET", path).json()["settled_reason"] == "done"
    assert ask(world, "GET", "/v1/failures").json() == []


def replayed(world: World, request: str, **body: Any) -> httpx.Response:
    headers = [("idempotency-key", "k2")]
    return ask(world, "POST", f"/v1/requests/{request}/replay", json=body, headers=headers)


def test_a_replay_with_the_same_key_is_said_to_be_one_and_with_another_body_refused(world: World) -> None:
    request = world.submit()
    actions.cancel(world.access, request, "ann")
    first, again = replayed(world, request, reason="again"), replayed(world, request, reason="again")
    other = replayed(world, request, reason="again", force=True)

    assert (first.status_code, again.status_code) == (202, 202)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["new_request_id"] == first.json()["new_request_id"]
    assert kind(other) == (422, "idempotency_key_reused")


# --- Fields.


def test_a_task_of_the_sender_gets_the_end_of_a_request_and_shown_with_it(world: World) -> None:
    given = submitted(world, "k1", reply_to="app.done", reply_queue="app").json()
    half = submitted(world, "k2", reply_to="app.done")

    assert (given["reply_to"], given["reply_queue"]) == ("app.done", "app")
    assert kind(half) == (422, "invalid")


@pytest.mark.parametrize(
    "wrong",
    [
        {"priority": True},
        {"priority": "3"},
        {"force": "yes", "reason": "x"},
        {"file": {"name": "a", "size": True}},
        {"file": {"name": "a", "size": "7"}},
        {"file": {"name": "a", "modified_ns": False}},
    ],
    ids=str,
)
def test_a_value_of_another_type_is_refused_and_not_read_as_something_near(world: World, wrong: dict[str, Any]) -> None:
    assert kind(submitted(world, "k1", **wrong)) == (422, "invalid")


def test_a_token_of_a_source_may_not_force_a_start(world: World) -> None:
    body = {**BODY, "force": True, "reason": "now"}
    assert kind(ask(world, "POST", "/v1/requests", "source", json=body)) == (403, "forbidden")
    assert ask(world, "POST", "/v1/requests", "source", json=BODY).status_code == 202


# --- Bodies and methods.


@pytest.mark.parametrize("body", [b"\xff\xfe{}", b'{"customer_key":"Gr\xfc\xdfe"}', b"\x1f\x8b", b"{", b"[" * 50_000])
def test_a_body_that_cannot_be_read_is_a_problem_of_a_documented_type(world: World, body: bytes) -> None:
    answer = ask(world, "POST", "/v1/requests", content=body, headers=[("content-type", "application/json")])

    assert kind(answer) == (422, "invalid")


def test_a_method_that_is_not_there_is_answered_with_all_that_are(world: World) -> None:
    allowed = ask(world, "PATCH", "/v1/requests").headers["allow"]
    pauses = ask(world, "POST", f"/v1/pauses/units/{MID}").headers["allow"]

    assert sorted(allowed.split(", ")) == ["GET", "POST"]
    assert sorted(pauses.split(", ")) == ["DELETE", "GET", "PUT"]


@pytest.mark.parametrize(
    ("query", "near"),
    [
        ("requests?state=complete", "completed"),
        ("requests?waiting=pausd", "paused"),
        ("events?type=start", "started"),
        ("events/newest?type=nonsense", "type"),
        ("requests?state=nonsense", "state"),
    ],
)
def test_a_filter_with_an_unknown_word_is_refused_with_the_nearest_one(world: World, query: str, near: str) -> None:
    answer = ask(world, "GET", f"/v1/{query}")

    assert kind(answer) == (422, "invalid")
    assert near in answer.json()["detail"]


def test_a_page_of_events_says_that_some_before_it_are_gone(world: World) -> None:
    for name in ("a", "b", "c"):
        world.submit(key=name)
    first = ask(world, "GET", "/v1/events?limit=1").json()
    before = ask(world, "GET", f"/v1/events?after={first['next']}").json()
    world.access.client.xtrim(world.access.keys.stream, maxlen=1, approximate=False)
    after = [ask(world, "GET", f"/v1/events?after={place}").json()["missed"] for place in (first["next"], "0-0")]

    world.access.client.execute_command("ACL", "SETUSER", "default", "-xinfo|stream")
    unsure = ask(world, "GET", f"/v1/events?after={first['next']}").json()
    world.access.client.execute_command("ACL", "SETUSER", "default", "+xinfo|stream")

    assert (before["missed"], after, unsure["missed"]) == (False, [True, False], True)


@pytest.mark.parametrize(
    ("body", "status"),
    [("eyJ4IjoxfQ==", 204), ("A" * 200_000, 204), ("!!!", 422), ("eyJ4IjoxfQ", 422), (7, 422)],
    ids=["short", "long", "no base64", "no padding", "a number"],
)
def test_a_record_that_is_set_aside_is_base64_and_nothing_near(world: World, body: object, status: int) -> None:
    fields = {"source": "drop", "record_id": "m-1", "body_base64": body, "text": "it is not JSON"}

    assert ask(world, "POST", "/v1/set-aside", "source", json=fields).status_code == status
    world.access.broker.delete(world.access.broker_keys.dead_letters)


def test_what_a_watcher_says_of_its_files_is_taken_with_their_size(world: World) -> None:
    file = {"name": "x" * 255, "reason": "growing", "age": 1.5, "size": 2**40, "text": "it grows"}
    folder = {"folder": "/in" * 1300, "location": "/in", "state": "watched", "files": [file], "more": 0}
    answer = ask(world, "PUT", "/v1/watchers/host%3A1", "source", json={"folders": [folder]})
    shown = ask(world, "GET", "/v1/status").json()

    assert answer.status_code == 204
    assert "x" * 255 in str(shown)


# --- Ids.


@pytest.mark.parametrize("request_id", ["a/b", "../x", "a/cancel", "/", "a:b@c=d+e", "..."])
def test_a_request_is_found_whatever_its_id_has_in_it(world: World, request_id: str) -> None:
    world.client.submit(customer_key="orders", mid=MID, request_id=request_id)
    path = f"/v1/requests/{''.join(f'%{ord(each):02X}' for each in request_id)}"
    shown, cancelled = ask(world, "GET", path), ask(world, "POST", f"{path}/cancel", json={})

    assert shown.json()["request_id"] == request_id
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")


@pytest.mark.parametrize("request_id", ["%25", "%00", "%FF", "*", "no%2Fsuch"])
def test_an_id_that_no_request_can_have_is_not_found(world: World, request_id: str) -> None:
    assert kind(ask(world, "GET", f"/v1/requests/{request_id}")) == (404, "not_found")


# --- Prefer.


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        (["wait=1"], "wait=1"),
        (['wait="1"'], "wait=1"),
        (["WAIT = 1"], "wait=1"),
        (["respond-async, wait=1; x=y"], "wait=1"),
        (["respond-async", "wait=1"], "wait=1"),
        (['note="a, wait=1"'], None),
        (["wait=0"], None),
        (["wait=-1"], None),
        (["wait=abc"], None),
        (["wait"], None),
        (["x=" + "y" * 5000], None),
    ],
)
def test_prefer_is_read_as_its_rfc_says(world: World, prefer: list[str], applied: str | None) -> None:
    request = world.submit()
    actions.cancel(world.access, request, "ann")
    answer = ask(world, "GET", f"/v1/requests/{request}", headers=[("prefer", each) for each in prefer])

    assert (answer.status_code, answer.headers.get("preference-applied")) == (200, applied)


# --- ETags.


def test_a_definition_is_not_sent_again_to_whoever_has_it(world: World) -> None:
    world.submit()
    actions.pause(world.access, f"key:{MID}:orders", "ann", "look first")
    path = f"/v1/definitions/{MID}/orders"
    world.access.client.hset(world.access.keys.definition(MID, "orders"), "holder", "x")
    world.access.client.expire(world.access.keys.definition(MID, "orders"), 60)
    tag = ask(world, "GET", path).headers["etag"]
    answers = {given: ask(world, "GET", path, headers=[("if-none-match", given)]) for given in (
        tag, f"W/{tag}", "*", f'"x,y", {tag}', '"x"', f'"{tag}')}  # fmt: skip

    assert [each.status_code for each in answers.values()] == [304, 304, 304, 304, 200, 200]


def test_a_pause_is_replaced_only_while_it_is_as_it_was_seen(world: World) -> None:
    path = f"/v1/definitions/{MID}/orders/pause"
    put = lambda reason, **headers: ask(  # noqa: E731 - used here alone
        world, "PUT", path, json={"reason": reason}, headers=[(k.replace("_", "-"), v) for k, v in headers.items()]
    )
    assert kind(put("a", if_match='"x"')) == (412, "precondition_failed")
    assert kind(put("a", if_match="*")) == (412, "precondition_failed")
    first = put("a", if_none_match="*")
    assert kind(put("b", if_none_match="*")) == (412, "precondition_failed")
    second = put("b", if_match=first.headers["etag"])
    assert second.status_code == 200
    assert kind(put("c", if_match=first.headers["etag"])) == (412, "precondition_failed")
    assert kind(put("c", if_match=f"W/{second.headers['etag']}")) == (412, "precondition_failed")
    assert actions.pauses(world.access)[0].reason == "b"
    gone = ask(world, "DELETE", path, headers=[("if-match", first.headers["etag"])])
    assert kind(gone) == (412, "precondition_failed")
    assert ask(world, "DELETE", path, headers=[("if-match", second.headers["etag"])]).status_code == 200


# --- Pauses and operators.


def paused(world: World, until: Any = None) -> str:
    request = world.submit()
    scope = f"key:{MID}:orders"
    actions.pause(world.access, scope, "ann", "new <columns>", until)
    world.access.client.hset(world.access.keys.request(request), mapping={"wait": "paused", "state": "deferred"})
    return request


def test_a_wait_for_an_open_ended_pause_has_no_end_and_the_words_of_the_operator(world: World) -> None:
    request = paused(world)
    shown = ask(world, "GET", f"/v1/requests/{request}").json()["waiting"]
    page = world.person("viewer").see(f"/request?id={request}").text

    assert (shown["reason"], shown["until"]) == ("paused", None)
    assert (shown["pause"]["operator"], shown["pause"]["reason"]) == ("ann", "new <columns>")
    assert "goes on waiting until the pause ends" in world.person("operator").see(f"/request/force?id={request}").text
    assert "until somebody ends it" in page
    assert "new &lt;columns&gt;" in page


@pytest.mark.parametrize(("action", "word"), [("cancel", "cancelled"), ("force", "forced")])
def test_who_comes_second_learns_that_another_operator_was_first(world: World, action: str, word: str) -> None:
    request = world.submit()
    do = {"cancel": actions.cancel, "force": actions.force}[action]
    do(world.access, request, "bob", "mine")
    second = ask(world, "POST", f"/v1/requests/{request}/{action}", json={"reason": "also"})
    do(world.access, request, "bob", "mine")

    assert kind(second) == (409, "conflict")
    assert f"{word} by bob" in second.json()["detail"]
    assert second.json()["state"] in {"accepted", "cancelled"}


@pytest.mark.parametrize("path", [f"/v1/definitions/{MID}/a/b/pause", "/v1/definitions/orders/pause", "/v1/pauses/all"])
def test_a_pause_is_put_read_and_ended_at_one_address(world: World, path: str) -> None:
    assert kind(ask(world, "GET", path)) == (404, "not_found")
    put = ask(world, "PUT", path, json={"reason": "look first"})
    shown = ask(world, "GET", path)

    assert (put.status_code, shown.json(), shown.headers["etag"]) == (200, put.json(), put.headers["etag"])
    assert [pause.scope for pause in actions.pauses(world.access)] == [put.json()["scope"]]
    assert ask(world, "DELETE", path, headers=[("if-match", shown.headers["etag"])]).status_code == 200
    assert kind(ask(world, "GET", path)) == (404, "not_found")


def test_a_definition_of_another_business_unit_is_named_with_it(world: World) -> None:
    put = ask(world, "PUT", "/v1/definitions/orders/pause?mid=7", json={"reason": "look first"})

    assert put.json()["scope"] == "key:7:orders"


# --- Words that the API does not know, and those that may be left out.


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/v1/requests?staet=accepted", "did you mean state?"),
        ("/v1/requests?bogus=1", "use one of cursor, customer_key"),
        ("/v1/events?customerkey=k", "did you mean customer_key?"),
        ("/v1/status?limit=1", "there is none here"),
        ("/v1/requests?mid=abc", "abc is no business unit"),
    ],
)
def test_a_filter_that_does_not_exist_is_refused(world: World, path: str, says: str) -> None:
    answer = ask(world, "GET", path)

    assert kind(answer) == (422, "invalid")
    assert says in answer.json()["detail"]


def test_a_parameter_is_looked_at_after_the_token(world: World) -> None:
    assert world.http.request("GET", "/v1/requests?bogus=1").status_code == 401


def test_what_needs_no_body_is_called_without_one_and_an_id_may_be_in_capitals(world: World) -> None:
    request = world.submit()
    upper = request.upper()

    assert ask(world, "GET", f"/v1/requests/{upper}").json()["request_id"] == request
    assert ask(world, "GET", f"/v1/search?text={upper}").json()[0]["request_id"] == request
    assert ask(world, "POST", f"/v1/requests/{upper}/cancel").json()["state"] == "cancelled"
    assert ask(world, "POST", f"/v1/requests/{upper}/replay").status_code == 202
    assert kind(ask(world, "POST", f"/v1/requests/{upper}/follow")) == (409, "conflict")


def test_a_run_given_for_a_request_that_is_not_unknown_is_a_conflict_before_anything_is_asked(world: World) -> None:
    request = world.submit()
    actions.cancel(world.access, request, "ann")
    answer = ask(world, "POST", f"/v1/requests/{request}/resolve", json={"task_id": "100007"})

    assert kind(answer) == (409, "conflict")
    assert "is cancelled; only start_unknown can be resolved" in answer.json()["detail"]


def test_a_list_reads_whole_only_the_requests_that_it_may_give(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [world.submit(key, f"{key}{number}.csv") for number in range(11) for key in ("orders", "Rare")]
    read: list[str] = []
    monkeypatch.setattr(listing, "read_views", lambda access, some: read.extend(some) or read_views(access, some))
    for query in (
        "customer_key=rare",
        "customer_key=rare&state=accepted",
        f"customer_key=rare&waiting=queued&mid={MID}",
    ):
        read.clear()
        found = ask(world, "GET", f"/v1/requests?{query}&limit=100").json()["items"]
        assert sorted(each["request_id"] for each in found) == sorted(ids[1::2])
        assert sorted(read) == sorted(ids[1::2])


# --- Names that nothing knows.


def test_a_pause_and_a_refresh_of_what_nothing_knows_say_so(world: World) -> None:
    world.submit("orders")
    near = "no definition with this key is known here; did you mean orders?"
    paused = ask(world, "PUT", "/v1/definitions/ordrs/pause", json={"reason": "look"})
    known = ask(world, "PUT", f"/v1/definitions/{MID}/orders/pause", json={"reason": "look"})
    read_again = ask(world, "POST", "/v1/definitions/refresh", json={"customer_key": "ordrs"})

    assert (paused.status_code, paused.json()["hint"]) == (200, near)
    assert (known.json()["hint"], read_again.json()["hint"]) == (None, near)
    long = ask(world, "PUT", f"/v1/definitions/{'k' * 257}/pause", json={"reason": "look"})
    assert (kind(long), "256" in long.text) == ((422, "invalid"), True)


def test_a_definition_of_which_requests_only_lie_in_the_queue_is_shown_with_them(world: World) -> None:
    for name in ("a.csv", "b.csv"):
        world.submit("orders", name)
    shown = ask(world, "GET", f"/v1/definitions/{MID}/orders")
    standing = ask(world, "GET", "/v1/standing?customer_key=orders")
    page = world.person("viewer").see(f"/definition?mid={MID}&customer_key=orders").text

    assert [(each.status_code, each.json()["queued"], each.json()["queued_unseen"]) for each in (shown, standing)] == [
        (200, 2, 0), (200, 2, 0),
    ]  # fmt: skip
    assert "<dt>In the queue</dt><dd>2</dd>" in page


def test_a_list_of_a_business_unit_that_nothing_knows_says_so_in_the_api_and_at_the_console(world: World) -> None:
    unknown = "no business unit 77 is known here"
    listed = [
        ask(world, "GET", path).json()["hint"]
        for path in ("/v1/requests?mid=77", "/v1/requests?list=failures&mid=77", "/v1/unmatched?mid=77")
    ]

    assert listed == [unknown] * 3
    assert ask(world, "GET", f"/v1/requests?mid={MID}").json()["hint"] is None
    assert kind(ask(world, "GET", "/v1/requests?list=failure")) == (422, "invalid")
    assert "No business unit 77 is known here." in world.person("viewer").see("/requests?mid=77").text


def test_messages_of_others_in_the_queue_do_not_change_the_etag_of_a_definition(world: World) -> None:
    world.submit("orders")
    path, queue = f"/v1/definitions/{MID}/orders", world.access.broker_keys.queue("imports")
    before = ask(world, "GET", path)
    world.access.broker.lpush(queue, b"of another program")
    after = ask(world, "GET", path)
    world.submit("orders", "b.csv")
    more = ask(world, "GET", path)
    world.access.broker.delete(queue)

    assert [each.json()["queued_unseen"] for each in (before, after, more)] == [0, 1, 1]
    assert (before.headers["etag"] == after.headers["etag"], after.headers["etag"] == more.headers["etag"]) == (
        True, False,
    )  # fmt: skip


# Whoever waits on is found by this limit: the answer is the same after half a minute.
@pytest.mark.timeout(25)
def test_who_waits_is_answered_with_what_is_known_when_the_server_ends(redis_server: Any) -> None:
    with console_over(redis_server.url, is_ending=True) as ending:
        request = ending.submit()
        shown = ask(ending, "GET", f"/v1/requests/{request}", headers=[("prefer", "wait=30")])
        sent = ask(ending, "POST", "/v1/requests", json=BODY, headers=[("prefer", "wait=30")])

    assert [(each.status_code, each.json()["state"]) for each in (shown, sent)] == [
        (200, "accepted"),
        (202, "accepted"),
    ]
