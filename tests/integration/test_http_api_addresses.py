"""What the HTTP API knows something by is its own address, whatever it is called."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from sfmc_import.client import Client
from sfmc_import.operations import actions
from tests.support.console import MID, World, console_over


@pytest.fixture
def world(redis_server: Any) -> Iterator[World]:
    with console_over(redis_server.url) as made:
        yield made


def ask(world: World, method: str, path: str, **more: Any) -> httpx.Response:
    headers = [("authorization", f"Bearer {world.tokens['operator']}")]
    return world.http.request(method, path, headers=headers, **more)


@pytest.mark.parametrize("key", [".", "..", "a/../b"])
def test_a_definition_is_paused_whatever_its_key_is(world: World, key: str) -> None:
    address = f"/v1/definitions/{MID}/{quote(key, safe='').replace('.', '%2E')}"
    paused = ask(world, "PUT", f"{address}/pause", json={"reason": "dots"})

    assert paused.json()["scope"] == f"key:{MID}:{key}"
    assert [each.scope for each in actions.pauses(world.access)] == [f"key:{MID}:{key}"]
    assert ask(world, "GET", f"{address}/pause").json()["reason"] == "dots"
    assert ask(world, "DELETE", f"{address}/pause").status_code == 200


def test_a_request_has_an_address_whatever_its_id_is(world: World) -> None:
    request = "a/../b"
    with Client.from_settings(world.access.settings) as client:
        client.submit(request_id=request, customer_key="orders")
    found = ask(world, "GET", f"/v1/requests/{quote(request, safe='')}")

    assert found.json()["request_id"] == request
