"""Both clients of the HTTP API: what is repeated, what a problem means, and where a reader of events goes on."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sfmc_import.api_client import (
    ApiClient,
    AsyncApiClient,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    ServiceUnavailableError,
    UnauthorizedError,
    calls,
    wire,
)
from sfmc_import.api_client.wire import KeyReusedError, Lines, UnexpectedAnswerError
from sfmc_import.retrying import API

TOKEN = "sfmc_a-token-of-the-test"
VIEW = {
    "request_id": "r1",
    "state": "accepted",
    "is_finished": False,
    "mid": "7",
    "customer_key": "k",
    "attempt": 0,
    "accepted_at": "2026-03-01T06:00:00Z",
    "since": None,
    "file": None,
    "waiting": None,
    "next": [],
}
Answers = list[httpx.Response | Exception]


class Server:
    """Gives its answers in turn, and keeps what was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers: Answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def problem(status: int, kind: str, **more: Any) -> httpx.Response:
    body = {"type": f"urn:sfmc-import:problem:{kind}", "title": "t", "status": status, "detail": "why", **more}
    return httpx.Response(status, json=body)


def no_time() -> float:
    return 0.0


def by_threads(server: Server, name: str, *given: Any, **named: Any) -> Any:
    with ApiClient("https://api.test", TOKEN, transport=httpx.MockTransport(server), chance=no_time) as api:
        return getattr(api, name)(*given, **named)


def by_asyncio(server: Server, name: str, *given: Any, **named: Any) -> Any:
    async def call() -> Any:
        transport = httpx.MockTransport(server)
        async with AsyncApiClient("https://api.test", TOKEN, transport=transport, chance=no_time) as api:
            return await getattr(api, name)(*given, **named)

    return asyncio.run(call())


Do = Callable[..., Any]
both = pytest.mark.parametrize("do", [by_threads, by_asyncio])
GONE = httpx.ReadTimeout("gone")
REFUSED = httpx.ConnectError("refused")


@both
def test_reading_is_repeated_after_an_outage(do: Do) -> None:
    server = Server(GONE, problem(503, "unavailable"), httpx.Response(200, json=[VIEW]))

    assert [each.request_id for each in do(server, "search", "r1")] == ["r1"]
    assert [str(each.url) for each in server.asked] == ["https://api.test/v1/search?text=r1"] * 3
    assert server.asked[0].headers["authorization"] == f"Bearer {TOKEN}"


@both
def test_a_submission_is_repeated_with_its_key_and_never_without(do: Do) -> None:
    accepted = httpx.Response(202, json=VIEW, headers={"idempotency-replayed": "true"})
    server = Server(GONE, accepted)
    assert do(server, "submit", customer_key="k", idempotency_key="f-1").is_new is False
    assert {each.headers["idempotency-key"] for each in server.asked} == {'"f-1"'}

    alone = Server(GONE, accepted)
    with pytest.raises(ServiceUnavailableError, match="it may have been done all the same"):
        do(alone, "submit", customer_key="k")
    assert len(alone.asked) == 1


@both
def test_a_call_that_reached_no_server_is_repeated_whatever_it_is(do: Do) -> None:
    server = Server(REFUSED, httpx.Response(202, json=VIEW))

    assert do(server, "submit", customer_key="k").is_new
    assert len(server.asked) == 2


@both
def test_a_server_that_stays_away_is_one_error_with_its_address(do: Do) -> None:
    server = Server(*[REFUSED] * 20)

    with pytest.raises(ServiceUnavailableError, match=r"the API at https://api\.test does not answer"):
        do(server, "status")


@both
def test_a_server_whose_redis_is_away_is_said_to_answer(do: Do) -> None:
    server = Server(*[problem(503, "unavailable")] * 20)

    with pytest.raises(ServiceUnavailableError, match=r"the API at https://api\.test answers .*: why"):
        do(server, "status")


def test_tries_go_on_until_the_deadline_also_with_short_pauses() -> None:
    assert sum(API.backoff.pause(tries, 0.25) for tries in range(1, int(API.attempts))) > API.deadline


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (problem(404, "not_found"), NotFoundError),
        (problem(409, "conflict", state="started"), ConflictError),
        (problem(422, "invalid", errors=[{"pointer": "#/body/mid", "detail": "wrong"}]), InvalidError),
        (problem(422, "idempotency_key_reused"), KeyReusedError),
        (problem(401, "unauthorized"), UnauthorizedError),
        (problem(403, "forbidden"), ForbiddenError),
        (httpx.Response(500, text="<html>"), UnexpectedAnswerError),
        (httpx.Response(302, headers={"location": "https://login.test"}), UnexpectedAnswerError),
        (httpx.Response(200, text="<html>"), UnexpectedAnswerError),
    ],
)
@both
def test_a_problem_is_an_exception_by_its_type(do: Do, answer: httpx.Response, expected: type[Exception]) -> None:
    with pytest.raises(expected) as raised:
        do(Server(httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)), "show", "r1")
    assert TOKEN not in str(raised.value)


@both
def test_an_answer_without_end_is_cut(do: Do, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sync", "aio"):
        monkeypatch.setattr(f"sfmc_import.api_client.{module}.MAX_ANSWER", 100)

    with pytest.raises(UnexpectedAnswerError, match="too large"):
        do(Server(httpx.Response(200, content=b" " * 101)), "status")


def test_a_client_shows_no_token() -> None:
    with ApiClient("https://api.test", TOKEN) as api:
        assert TOKEN not in repr(api)
    assert wire.shown("https://user:pw@api.test:8443/x") == "https://api.test:8443/x"


@pytest.mark.parametrize(
    ("scope", "path"),
    [("all", "/v1/pauses/all"), ("mid:7", "/v1/pauses/units/7"), ("key:7:a b/c", "/v1/definitions/7/a%20b%2Fc/pause")],
)
def test_a_scope_is_a_path(scope: str, path: str) -> None:
    server = Server(httpx.Response(200, json={"scope": scope, "paused": False}))

    assert by_threads(server, "resume", scope).scope == scope
    assert server.asked[0].url.raw_path.decode() == path


@pytest.mark.parametrize("key", ["orders", None])
def test_definitions_are_read_again(key: str | None) -> None:
    server = Server(httpx.Response(200, json={"mid": "7", "customer_key": key, "refreshed": True}))

    assert by_threads(server, "refresh", key).mid == "7"
    assert server.asked[0].url.path == "/v1/definitions/refresh"
    assert json.loads(server.asked[0].content) == ({} if key is None else {"customer_key": key})


def stream(*events: tuple[str, str], after: str = "") -> httpx.Response:
    begin = f"retry: 2000\nid: {after}\n\n" if after else ""
    lines = (
        f'id: {place}\nevent: {name}\ndata: {{"stream_id": "{place}", "type": "{name}"}}\n\n' for place, name in events
    )
    return httpx.Response(200, text=begin + "".join(lines), headers={"content-type": "text/event-stream"})


def read_by_threads(server: Server, count: int, said: list[str]) -> list[tuple[str, str]]:
    with ApiClient("https://api.test", TOKEN, transport=httpx.MockTransport(server), chance=no_time) as api:
        live = api.live(on_outage=said.append)
        return [(each.id, each.event["type"]) for _, each in zip(range(count), live, strict=False)]


def read_by_asyncio(server: Server, count: int, said: list[str]) -> list[tuple[str, str]]:
    async def read() -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        transport = httpx.MockTransport(server)
        async with AsyncApiClient("https://api.test", TOKEN, transport=transport, chance=no_time) as api:
            async for each in api.live(over=lambda: len(found) >= count, on_outage=said.append):
                found.extend([(each.id, each.event["type"])])
        return found

    return asyncio.run(read())


@pytest.mark.parametrize("read", [read_by_threads, read_by_asyncio])
def test_a_reader_of_events_goes_on_where_it_was_cut_and_also_before_the_first_event(
    read: Callable[..., list[tuple[str, str]]],
) -> None:
    said: list[str] = []
    server = Server(
        stream(after="9-0"), httpx.ReadError("cut"), stream(("9-1", "a"), ("9-2", "b")), stream(("9-3", "c"))
    )

    assert read(server, 3, said) == [("9-1", "a"), ("9-2", "b"), ("9-3", "c")]
    assert [each.headers.get("last-event-id") for each in server.asked] == [None, "9-0", "9-0", "9-2"]
    assert said == ["cut"]


def test_a_reader_whose_token_does_not_count_gets_an_error() -> None:
    with pytest.raises(UnauthorizedError):
        read_by_threads(Server(problem(401, "unauthorized")), 1, [])


def test_lines_are_put_together_from_any_pieces_and_have_a_limit() -> None:
    sent = stream(("1-0", "a"), ("2-0", "ä")).content + b": nothing new\n\n"
    lines = Lines()
    found = [each for start in range(len(sent)) for each in lines.feed(sent[start : start + 1])]

    assert [(each.id, each.event.get("type")) for each in found] == [("1-0", "a"), ("2-0", "ä"), ("2-0", None)]
    with pytest.raises(UnexpectedAnswerError, match="too large"):
        list(Lines().feed(b"x" * (wire.MAX_EVENT + 1)))
    with pytest.raises(UnexpectedAnswerError, match="no JSON"):
        list(Lines().feed(b"id: 1-0\ndata: {\n\n"))


def test_both_clients_have_the_same_methods() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert public(ApiClient) == public(AsyncApiClient)
    assert json.dumps(VIEW)


@pytest.mark.parametrize("client", [ApiClient, AsyncApiClient])
@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"{TOKEN} ", f"{TOKEN}é"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(client: Callable[..., Any], token: str) -> None:
    with pytest.raises(ValueError, match="characters that no token has") as raised:
        client("https://api.test", token)
    assert TOKEN not in repr(raised.value)


@pytest.mark.parametrize("client", [ApiClient, AsyncApiClient])
@pytest.mark.parametrize("url", ["https://user:pass-word@api.test", "https://user:pass/word@api.test", "//u@api.test"])
def test_an_address_with_a_login_is_refused_and_not_shown(client: Callable[..., Any], url: str) -> None:
    with pytest.raises(ValueError, match="a login") as raised:
        client(url, TOKEN)
    assert "pass" not in repr(raised.value)


@pytest.mark.parametrize("key", ["", "é", "a\n", 'a"', "a\\", "x" * 256])
@both
def test_an_idempotency_key_that_the_server_cannot_read_is_refused_before_it_is_sent(do: Do, key: str) -> None:
    server = Server()

    with pytest.raises(InvalidError, match="Idempotency-Key"):
        do(server, "submit", customer_key="k", idempotency_key=key)
    assert server.asked == []


@both
def test_what_no_header_can_carry_is_not_shown(do: Do) -> None:
    server = Server(*[httpx.LocalProtocolError(f"Illegal header value b'Bearer {TOKEN}'")] * 30)

    with pytest.raises(ServiceUnavailableError) as raised:
        do(server, "status")
    assert TOKEN not in str(raised.value)


@both
def test_a_body_that_is_too_large_is_a_fault_of_the_caller(do: Do) -> None:
    answer = problem(413, "x", type="about:blank", detail="a body may have 65536 bytes")

    with pytest.raises(InvalidError, match="65536"):
        do(Server(answer), "submit", customer_key="k")


def test_folders_are_listed_by_a_file_and_one_is_forgotten_once() -> None:
    at = "2026-03-01T06:00:00Z"
    folder = {"folder": "/in", "location": "/in", "state": "watched", "text": "watched", "seen_at": at}
    server = Server(httpx.Response(200, json=[folder]), httpx.Response(200, json={"location": "/in"}))
    [found] = by_threads(server, "folders", "a b.csv")
    server.asked, listed = [], server.asked

    assert (found.folder, found.is_trouble, str(listed[0].url)) == (
        "/in",
        False,
        "https://api.test/v1/folders?file=a+b.csv",
    )
    assert by_threads(server, "forget_folder", "/in").forgotten
    assert (server.asked[0].method, server.asked[0].content) == ("POST", b'{"name":"/in"}')


@pytest.mark.parametrize("name", [".", "..", "a/../b"])
def test_whatever_something_is_called_its_address_stays_its_own(name: str) -> None:
    made = [
        calls.show(name, 0.0),
        calls.act(name, "cancel", {}),
        calls.note_folders(name, None),
        calls.pause(f"key:7:{name}", "why", None),
        calls.resume(f"key:7:{name}", None),
        calls.pause(f"key:{name}:k", "why", None),
        calls.pause(f"mid:{name}", "why", None),
        calls.dead_letter(name),
        calls.delete_dead_letter(name),
        calls.replay_dead_letter(name, None),
    ]
    with httpx.Client(base_url="http://h/v1") as client:
        sent = [client.build_request(call.method, call.path).url.raw_path.decode() for call in made]

    assert sent == [f"/v1{call.path}" for call in made]
