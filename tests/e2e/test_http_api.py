"""The HTTP API of `sfmc-import serve` as a process: who may do what, requests to their end, events as they come."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.support.processes import RunningSystem, running_system
from tests.support.waiting import eventually

ROWS = "Key,Value\n1,one\n"


@dataclass(frozen=True)
class Api:
    """A running system with the API; one client for each role."""

    stack: RunningSystem
    url: str
    tokens: dict[str, str]

    def call(self, method: str, path: str, role: str = "operator", **more: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.tokens[role]}", **more.pop("headers", {})}
        return httpx.request(method, self.url + path, headers=headers, timeout=40, **more)

    def submit(self, key: str, name: str, role: str = "source", **headers: str) -> httpx.Response:
        body = {"customer_key": key, "file": {"location": "/in", "name": name, "version": "1"}}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("POST", "/v1/requests", role, json=body, headers=named)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with running_system({"SFMC_RECONCILE_DEADLINE": "2"}, least_rights=True) as stack:
        stack.worker()
        stack.beat()
        names = {"ann": "operator", "eve": "viewer", "drop": "source"}
        tokens = {role: stack.run("tokens", "add", name, "--role", role).stdout.strip() for name, role in names.items()}
        child = stack.start("serve", "--port", "0")
        port = eventually(lambda: port_of(stack.log_of(child).read_text()), 60, "the server listens")
        yield Api(stack, f"http://127.0.0.1:{port}", tokens)
        assert "Traceback" not in stack.log_of(child).read_text()
        for token in tokens.values():
            assert token not in stack.log_of(child).read_text()


def port_of(log: str) -> int | None:
    for line in log.splitlines():
        if "server_started" in line and line.startswith("{"):
            return int(json.loads(line)["port"])
    return None


def define(api: Api, key: str, **properties: Any) -> None:
    api.stack.sandbox.control.define(key, FileSpec=f"{key}.csv", **properties)
    api.stack.sandbox.drop(f"{key}.csv", ROWS)


def test_a_request_is_submitted_waited_for_and_shown_with_its_whole_life(api: Api) -> None:
    define(api, "orders")
    given = api.submit("orders", "orders.csv", prefer="wait=30")
    shown = api.call("GET", given.headers["location"], "viewer").json()

    assert (given.status_code, given.json()["state"]) == (200, "completed")
    assert given.headers["preference-applied"] == "wait=30"
    assert shown["waiting"] is None
    assert [event["type"].rpartition(".")[2] for event in shown["events"]][:3] == ["accepted", "starting", "started"]
    assert shown["next"] == ["replay --force"]


def test_the_same_idempotency_key_is_one_request_and_with_another_body_422(api: Api) -> None:
    define(api, "once")
    first, bare = (
        api.submit("once", "once.csv", idempotency_key='"k1"'),
        api.submit("once", "once.csv", idempotency_key="k1"),
    )
    other = api.submit("once", "other.csv", idempotency_key="k1")
    elsewhere = api.submit("once", "once.csv", "operator", idempotency_key="k1")

    assert (first.status_code, bare.status_code) == (202, 202)
    assert first.json()["request_id"] == bare.json()["request_id"] != elsewhere.json()["request_id"]
    assert (other.status_code, other.json()["type"]) == (422, "urn:sfmc-import:problem:idempotency_key_reused")
    assert api.submit("once", "once.csv", idempotency_key='"a').status_code == 422


def test_a_pause_a_wait_a_cancel_and_a_replay_are_the_same_as_by_command(api: Api) -> None:
    define(api, "daily")
    mid = api.stack.env["SFMC_ACCOUNT_ID"]
    paused = api.call("PUT", f"/v1/definitions/{mid}/daily/pause", json={"reason": "look first"})
    request = api.submit("daily", "daily.csv").json()["request_id"]

    def waiting() -> Any:
        return [each["request_id"] for each in api.call("GET", "/v1/requests?waiting=paused", "viewer").json()["items"]]

    eventually(lambda: request in waiting(), 60, "the request waits")
    definition = api.call("GET", f"/v1/definitions/{mid}/daily", "viewer").json()
    assert (paused.status_code, paused.json()["operator"], definition["pause"]["reason"]) == (200, "ann", "look first")
    assert api.call("POST", f"/v1/requests/{request}/cancel", json={}).json()["state"] == "cancelled"
    again = api.call("POST", f"/v1/requests/{request}/cancel", json={})
    assert (again.status_code, again.json()["state"]) == (200, "cancelled")
    ended = api.call("DELETE", f"/v1/definitions/{mid}/daily/pause")
    assert (ended.status_code, ended.json()) == (200, {"scope": f"key:{mid}:daily", "paused": False, "had_ended": None})
    replayed = api.call("POST", f"/v1/requests/{request}/replay", json={"reason": "right after all"}).json()
    api.stack.await_event("completed", replayed["new_request_id"])
    counted = api.call("POST", "/v1/replays", json={"state": "cancelled", "reason": "all", "customer_key": "daily"})
    assert {name: value for name, value in counted.json().items() if value} == {
        "dry_run": True, "replayed": [request],
    }  # fmt: skip
    shown = json.loads(api.stack.run("show", request, "--json").stdout)
    assert api.call("GET", f"/v1/requests/{request}").json() == shown


def test_a_file_inside_the_window_is_forced_with_a_reason(api: Api) -> None:
    define(api, "hourly", MaxImportFrequency=1)
    api.submit("hourly", "hourly.csv", prefer="wait=30")
    body = {"customer_key": "hourly", "file": {"location": "/in", "name": "hourly.csv", "version": "2"}}
    request = api.call("POST", "/v1/requests", json=body).json()["request_id"]
    api.stack.await_event("deferred", request)
    assert api.call("POST", f"/v1/requests/{request}/force", json={}).status_code == 422
    forced = api.call("POST", f"/v1/requests/{request}/force", json={"reason": "the customer waits"})

    assert forced.status_code == 200
    api.stack.await_event("completed", request)


@pytest.mark.parametrize(
    ("method", "path", "role", "status"),
    [
        ("GET", "/v1/requests", "source", 403),
        ("POST", "/v1/requests", "viewer", 403),
        ("POST", "/v1/requests/x/cancel", "viewer", 403),
        ("PUT", "/v1/pauses/all", "source", 403),
        ("GET", "/v1/requests/x", "source", 404),
        ("GET", "/v1/definitions/1/x", "viewer", 404),
        ("GET", "/v1/dead-letters/1-1", "viewer", 404),
        ("GET", "/v1/requests?cursor=x", "viewer", 422),
        ("GET", "/v1/requests?limit=0", "viewer", 422),
        ("GET", "/v1/events?after=x", "viewer", 422),
        ("DELETE", "/v1/pauses/all", "operator", 404),
    ],
)
def test_what_is_not_allowed_or_not_there_is_a_problem_with_a_type(
    api: Api, method: str, path: str, role: str, status: int
) -> None:
    more = {"json": {"reason": "x", "customer_key": "k"}} if method in {"POST", "PUT"} else {}
    if path.endswith(("cancel", "pauses/all")):
        more = {"json": {"reason": "x"}} if method != "DELETE" else {}
    answer = api.call(method, path, role, **more)

    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"].startswith("urn:sfmc-import:problem:")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer sfmc_wrong", "Basic YTpi"])
def test_without_a_token_that_counts_everything_is_401(api: Api, header: str) -> None:
    answer = httpx.get(api.url + "/v1/requests", headers={"authorization": header} if header else {})

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_a_revoked_token_counts_no_more(api: Api) -> None:
    token = api.stack.run("tokens", "add", "temp", "--role", "viewer").stdout.strip()
    headers = {"authorization": f"Bearer {token}"}
    before = httpx.get(api.url + "/v1/pauses", headers=headers).status_code
    listed = api.stack.run("tokens", "list").stdout
    api.stack.run("tokens", "revoke", "temp")

    assert (before, httpx.get(api.url + "/v1/pauses", headers=headers).status_code) == (200, 401)
    assert "temp" in listed
    assert token not in listed


def test_a_source_sees_what_was_submitted_with_its_token_and_nothing_else(api: Api) -> None:
    define(api, "owned")
    own = api.submit("owned", "own.csv").json()
    other = api.submit("owned", "other.csv", "operator").json()["request_id"]
    path = "/v1/requests/"

    assert own["source"] == "drop"
    assert api.call("GET", path + own["request_id"], "source").status_code == 200
    assert api.call("GET", path + other, "source").status_code == 404
    assert api.call("GET", path + other, "viewer").status_code == 200


def test_a_replay_of_many_over_http_needs_a_key_and_is_done_once(api: Api) -> None:
    define(api, "many")
    mid = api.stack.env["SFMC_ACCOUNT_ID"]
    api.call("PUT", f"/v1/definitions/{mid}/many/pause", json={"reason": "look first"})
    request = api.submit("many", "many.csv").json()["request_id"]
    api.call("POST", f"/v1/requests/{request}/cancel", json={})
    body = {"state": "cancelled", "reason": "all", "customer_key": "many", "dry_run": False}
    without = api.call("POST", "/v1/replays", json=body)
    first, second = (
        api.call("POST", "/v1/replays", json=body, headers={"idempotency-key": "k1"}).json() for _ in range(2)
    )
    other = api.call("POST", f"/v1/requests/{request}/replay", json={}, headers={"idempotency-key": "k2"})
    forced = {"force": True, "reason": "anew"}
    one, two = (
        api.call("POST", f"/v1/requests/{request}/replay", json=forced, headers={"idempotency-key": "k3"}).json()
        for _ in range(2)
    )

    assert (without.status_code, other.status_code) == (422, 409)
    assert (first, one) == (second, two)
    assert first["request_ids"] == [request]
    assert one["new_request_id"] not in first["new_request_ids"]


def test_requests_are_listed_newest_first_in_pages_each_once(api: Api) -> None:
    define(api, "listed")
    ids = [api.submit("listed", f"{number}.csv").json()["request_id"] for number in range(5)]
    for request in ids:
        eventually(
            lambda request=request: api.call("GET", f"/v1/requests/{request}").json()["is_finished"], 60, "it ends"
        )
    found: list[str] = []
    cursor = ""
    while True:
        page = api.call("GET", f"/v1/requests?customer_key=listed&limit=2{cursor}", "viewer").json()
        found += [each["request_id"] for each in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"

    assert sorted(found) == sorted(ids)


def test_a_definition_that_has_not_changed_is_304(api: Api) -> None:
    define(api, "tagged")
    api.submit("tagged", "tagged.csv", prefer="wait=30")
    path = f"/v1/definitions/{api.stack.env['SFMC_ACCOUNT_ID']}/tagged"
    first = api.call("GET", path, "viewer")
    same = api.call("GET", path, "viewer", headers={"if-none-match": first.headers["etag"]})

    assert (first.status_code, same.status_code, same.content) == (200, 304, b"")


@pytest.mark.nightly
def test_an_unknown_start_is_resolved_with_its_run_and_with_no_other(api: Api) -> None:
    define(api, "doubt", UpdateType="AddAndUpdate")
    control = api.stack.sandbox.control
    control.add_fault("late_row", customer_key="doubt", seconds=20, count=1)
    control.add_fault("drop_after_applying", customer_key="doubt", count=1)
    request = api.submit("doubt", "doubt.csv").json()["request_id"]
    api.stack.await_event("start_unknown", request)
    [perform] = control.performs("doubt")
    path = f"/v1/requests/{request}/resolve"
    wrong = api.call("POST", path, json={"task_id": "999999999"})
    without = api.call("POST", path, json={})
    eventually(
        lambda: api.call("POST", path, json={"task_id": perform["task_id"]}).status_code == 200, 60, "its row appears"
    )

    assert (wrong.status_code, without.status_code) == (404, 422)
    api.stack.await_event("completed", request)
    assert api.call("POST", path, json={"reason": "no"}).status_code == 409


def read_events(api: Api, last: str | None, count: int, ready: threading.Event) -> list[tuple[str, str]]:
    """Read so many events of the definition `live` as they come: id and kind of each."""
    headers = {"authorization": f"Bearer {api.tokens['viewer']}", "accept": "text/event-stream"}
    headers |= {} if last is None else {"last-event-id": last}
    found: list[tuple[str, str]] = []
    place = ""
    with httpx.stream("GET", f"{api.url}/v1/events?customer_key=live", headers=headers, timeout=60) as answer:
        for line in answer.iter_lines():
            ready.set()
            name, _, value = line.partition(": ")
            place = value if name == "id" else place
            found += [(place, value)] if name == "event" else []
            if len(found) == count:
                break
    return found


def test_events_come_as_they_happen_and_go_on_after_the_last_id(api: Api) -> None:
    define(api, "live")
    ready, seen = threading.Event(), list[tuple[str, str]]()
    reader = threading.Thread(target=lambda: seen.extend(read_events(api, None, 2, ready)))
    reader.start()
    assert ready.wait(20)
    request = api.submit("live", "live.csv").json()["request_id"]
    reader.join(40)
    api.stack.await_event("completed", request)
    then = read_events(api, seen[-1][0], 1, ready)

    assert [kind for _, kind in (*seen, *then)] == ["accepted", "starting", "started"]
