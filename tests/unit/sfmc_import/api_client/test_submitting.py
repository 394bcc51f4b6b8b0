"""Producers that submit over the API: one request for each file, and no file is let go of while it is away."""

import json
from typing import Any

import httpx
import pytest

from sfmc_import.api_client import ApiClient
from sfmc_import.api_client.submitting import ApiSubmitter
from sfmc_import.client import SubmitResult
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.request import BadRequestError, FileInfo, IdTakenError
from tests.unit.sfmc_import.api_client.test_calls_of_the_api import VIEW, Server, no_time, problem

FILE = FileInfo(location="/in", name="a.csv", size=3, modified_ns=5)
TOKEN = "sfmc_a-token-of-the-test"


def submitter(server: Server) -> ApiSubmitter:
    api = ApiClient("https://api.test", TOKEN, transport=httpx.MockTransport(server), chance=no_time)
    return ApiSubmitter(api, "510001234")


def body_of(request: httpx.Request) -> Any:
    return json.loads(request.content)


def test_the_id_of_a_request_is_its_idempotency_key_and_the_server_names_the_request() -> None:
    server = Server(httpx.Response(202, json=VIEW))
    with submitter(server) as ledger:
        done = ledger.submit(customer_key="k", file=FILE, request_id="id-of-the-file", event_id=None, force=False)

    assert done == SubmitResult(request_id="r1", is_new=True)
    assert server.asked[0].headers["idempotency-key"] == '"id-of-the-file"'
    file = {"location": "/in", "name": "a.csv", "size": 3, "modified_ns": 5}
    assert body_of(server.asked[0]) == {"customer_key": "k", "file": file, "mid": "510001234"}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (problem(422, "idempotency_key_reused"), IdTakenError),
        (problem(422, "invalid"), BadRequestError),
        (problem(401, "unauthorized"), ServiceUnavailableError),
        (problem(403, "forbidden"), ServiceUnavailableError),
        (httpx.Response(404, text="another server"), ServiceUnavailableError),
    ],
)
def test_what_the_api_refuses_is_what_the_ledger_would_raise(answer: httpx.Response, expected: type) -> None:
    with submitter(Server(answer)) as ledger, pytest.raises(expected) as raised:
        ledger.submit(customer_key="k", request_id="i")
    assert isinstance(raised.value, expected)


def test_in_place_of_a_key_that_is_taken_there_is_one_that_only_who_has_the_token_knows() -> None:
    api = ApiClient("https://api.test", TOKEN, transport=httpx.MockTransport(Server()))
    one, same, other = (ApiSubmitter(api, token=each).own_id("usual") for each in (TOKEN, TOKEN, "sfmc_another"))

    assert (one == same, one == other, len(one)) == (True, False, 64)


def test_many_are_submitted_in_order_and_an_outage_is_met_once() -> None:
    server = Server(httpx.Response(202, json=VIEW), problem(422, "invalid"), *[httpx.ConnectError("refused")] * 20)
    with submitter(server) as ledger:
        found = ledger.submit_many({"customer_key": "k", "request_id": str(each)} for each in range(5))

    assert [type(each) for each in found] == [SubmitResult, BadRequestError, *[ServiceUnavailableError] * 3]
    assert len(server.asked) == 22


def test_the_same_start_under_another_source_is_the_request_that_is_there() -> None:
    same, other = problem(422, "idempotency_key_reused", request_id="r1"), problem(422, "idempotency_key_reused")
    with submitter(Server(same, other)) as ledger:
        found = ledger.submit(customer_key="k", request_id="a", source="scan")
        with pytest.raises(IdTakenError):
            ledger.submit(customer_key="else", request_id="a")

    assert found == SubmitResult(request_id="r1", is_new=False)


def test_a_rejection_and_a_file_that_starts_nothing_are_reported() -> None:
    rejected = httpx.Response(200, json={"request_id": "r9", "state": "rejected"})
    server = Server(rejected, httpx.Response(200, json={"is_new": True}), httpx.Response(204), httpx.Response(204))
    with submitter(server) as ledger:
        done = ledger.reject(request_id="i", customer_key="k", code="preflight", text="no column", file=FILE)
        is_new = ledger.report("unrouted", file=FILE, detail={"text": "t", "customer_keys": [], "reason": "no_match"})
        ledger.note_folders("host:1", None)
        ledger.set_aside("drop", "m-1", b"\x00{", "it is not JSON")

    assert (done.request_id, done.state, is_new) == ("r9", "rejected", True)
    assert body_of(server.asked[3])["text"] == "it is not JSON"
    paths = ["/v1/rejections", "/v1/arrivals", "/v1/watchers/host%3A1", "/v1/set-aside"]
    assert [each.url.raw_path.decode() for each in server.asked] == paths
    assert body_of(server.asked[3])["body_base64"] == "AHs="


def test_of_a_very_large_record_the_beginning_is_kept_so_that_the_message_can_go() -> None:
    server = Server(httpx.Response(204))
    with submitter(server) as ledger:
        ledger.set_aside("drop", "m-1", b"x" * 300_000, "it is too large")
    sent = body_of(server.asked[0])

    assert sent["text"] == "it is too large (the first 150000 of 300000 bytes)"
    assert len(sent["body_base64"]) == 200_000


def test_an_outage_while_the_end_is_waited_for_is_said_to_who_follows() -> None:
    life = {**VIEW, "events": []}
    server = Server(httpx.Response(200, json=life), *[httpx.ConnectError("refused")] * 20)
    said: list[str] = []
    with submitter(server) as ledger:
        assert list(ledger.follow("r1", within=0.01, on_outage=said.append)) == []

    assert ["https://api.test" in text for text in said] == [True]
