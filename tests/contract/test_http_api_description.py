"""The OpenAPI document says what the API does: generated requests get only answers that it describes, and no 500."""

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI, Request
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sfmc_import.access import ReadAccess
from sfmc_import.client import Client
from sfmc_import.operations import tokens
from sfmc_import.settings import load
from sfmc_server import api
from sfmc_server.application import create_app
from sfmc_server.body_limit import BodyLimit
from tests.support.served_app import served

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def made(url: str) -> tuple[Any, str]:
    """The application over this Redis, and a token of an operator."""
    known = load({"SFMC_REDIS_URL": url, "SFMC_ACCOUNT_ID": "510001234"})
    access, client = ReadAccess(known), Client.from_settings(known)
    token = tokens.add(access, "ann", "operator", "test")
    return create_app({}, lambda: True, lambda app: api.add_to(app, access, client, lambda: False)), token


DOCUMENT = create_app({}, lambda: True, lambda app: app.include_router(api.api)).openapi()
OPERATIONS = [
    found.ok()
    for found in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()
    if found.ok().path.startswith("/v1")
]


@pytest.fixture
def served_api(redis_server) -> Iterator[tuple[str, str]]:
    app, token = made(redis_server.url)
    with served(app) as port:
        yield f"http://127.0.0.1:{port}", token


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")
def test_any_request_gets_an_answer_that_is_described(operation: Any, served_api: tuple[str, str]) -> None:
    url, token = served_api

    @settings(max_examples=12, phases=[Phase.generate], derandomize=True, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy())
    def ask(case: Any) -> None:
        case.headers = {**dict(case.headers or {}), "authorization": f"Bearer {token}"}
        for slow in ("prefer", "accept", "Prefer", "Accept"):
            case.headers.pop(slow, None)
        case.call_and_validate(base_url=url, checks=CHECKS)

    ask()


def test_every_path_asks_for_a_token_and_describes_its_problems() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            if path.startswith("/v1"):
                assert {"401", "403", "422", "503"} <= set(operation["responses"]), (method, path)
                assert operation["security"] == [{"bearer": []}], (method, path)


def posted(url: str, body: bytes, declared: int | None = None, wait: float = 20.0) -> bytes:
    """Post a body as it is, and give the head of the answer."""
    host, _, port = url.removeprefix("http://").partition(":")
    lines = ("POST /v1/requests HTTP/1.1", "Host: x", "Content-Type: application/json")
    head = "\r\n".join((*lines, f"Content-Length: {declared or len(body)}"))
    with socket.create_connection((host, int(port))) as connection:
        connection.settimeout(wait)
        connection.sendall(f"{head}\r\n\r\n".encode() + body)
        return connection.recv(4096)


def test_a_body_that_is_too_large_is_413_whatever_it_declares(served_api: tuple[str, str]) -> None:
    url, _ = served_api

    assert posted(url, b"{}", declared=10**9).startswith(b"HTTP/1.1 413")
    chunks = (b"x" * 30_000 for _ in range(9))
    answer = httpx.post(url + "/v1/requests", content=chunks, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


def test_a_body_that_does_not_arrive_is_408() -> None:
    app = FastAPI()

    @app.post("/v1/requests")
    async def read(request: Request) -> dict[str, int]:
        return {"read": len(await request.body())}

    app.add_middleware(BodyLimit, seconds=0.2)
    with served(app) as port:
        assert posted(f"http://127.0.0.1:{port}", b"{", declared=9).startswith(b"HTTP/1.1 408")
