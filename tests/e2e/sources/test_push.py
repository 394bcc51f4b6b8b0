"""The source `push`: real POSTs to `sfmc-import serve`, the page's example as written, the sandbox."""

import base64
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support import posts
from tests.support.processes import RunningSystem, running_system
from tests.support.push_servers import Server, running_server
from tests.support.sources import example_of, use_policy
from tests.support.waiting import eventually

KEY = b"key of the shop, 24 bytes"
SECRET = {"SFMC_SOURCE_SHOP_SECRET": "whsec_" + base64.b64encode(KEY).decode()}


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with running_system(least_rights=True) as made:
        made.worker()
        made.beat()
        made.sandbox.control.define("orders", FileSpec="orders_1.csv")
        made.sandbox.drop("orders_1.csv", "Key,Value\n1,one\n")
        yield made


def post(server: Server, event: Any, *, age: int = 0, key: bytes = KEY, **more: Any) -> httpx.Response:
    body, sent = posts.packed(event), int(time.time()) - age
    digest = hmac.digest(key, f"msg_1.{sent}.".encode() + body, "sha256")
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(sent), "content-type": "application/cloudevents+json"}
    headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
    return httpx.post(f"{server.url}/events/shop", content=body, headers=headers, timeout=30, **more)


def test_a_signed_event_becomes_one_completed_import_however_often_it_comes(system) -> None:
    with running_server(system, example_of("push"), **SECRET) as server:
        answers = [post(server, posts.cloudevent("orders_1.csv")).status_code for _ in range(3)]
        assert answers == [200] * 3
        event = system.await_event("completed")
        assert (event["subject"], event["data"]["file"]["name"]) == ("orders", "orders_1.csv")
    assert len(system.sandbox.control.performs("orders")) == 1


def test_the_standing_of_the_source_is_listed_and_says_that_posts_are_refused(system) -> None:
    def listed() -> dict[str, Any]:
        lines = system.run("folders", "list", "--json").stdout.splitlines()
        found = [each for each in map(json.loads, lines) if each["location"] == "push:shop"]
        return found[0] if found else {}

    with running_server(system, example_of("push"), **SECRET) as server:
        eventually(lambda: listed().get("state") == "watched", 30, "it is listed")
        post(server, posts.cloudevent("orders_2.csv"), key=b"key of somebody else ...")
        eventually(lambda: "refused POSTs: 1" in listed()["text"], 30, "the refusal is shown")
        post(server, posts.cloudevent("orders_9.csv"))
        eventually(lambda: listed()["looked_at"], 30, "the last POST is shown")
    stopped = listed()
    assert (stopped["state"], stopped["is_trouble"]) == ("stopped", False)
    assert stopped["text"].startswith("its server was stopped (it was run last on ")


def test_a_wrong_signature_and_an_old_one_are_401_and_start_nothing(system) -> None:
    with running_server(system, example_of("push"), **SECRET) as server:
        wrong = post(server, posts.cloudevent("orders_2.csv"), key=b"key of somebody else ...")
        old = post(server, posts.cloudevent("orders_2.csv"), age=301)
    assert (wrong.status_code, old.status_code) == (401, 401)
    assert [event for event in system.events() if "orders_2.csv" in str(event)] == []


def test_an_event_that_is_signed_for_a_public_key_is_taken_beside_those_of_the_old_secret(system) -> None:
    private = Ed25519PrivateKey.generate()
    public = "whpk_" + base64.b64encode(private.public_key().public_bytes_raw()).decode()
    both = {"SFMC_SOURCE_SHOP_SECRET": f"{SECRET['SFMC_SOURCE_SHOP_SECRET']} {public}"}
    with running_server(system, example_of("push"), **both) as server:
        body, sent = posts.packed(posts.cloudevent("orders_3.csv")), int(time.time())
        headers = {"webhook-id": "msg_3", "webhook-timestamp": str(sent), "content-type": "application/json"}
        for signer, status in ((Ed25519PrivateKey.generate(), 401), (private, 200)):
            signature = base64.b64encode(signer.sign(f"msg_3.{sent}.".encode() + body)).decode()
            signed = headers | {"webhook-signature": f"v1a,{signature}"}
            answer = httpx.post(f"{server.url}/events/shop", content=body, headers=signed, timeout=30)
            assert answer.status_code == status
        assert post(server, posts.cloudevent("orders_4.csv")).status_code == 200


def test_an_event_that_cannot_be_read_is_a_dead_letter_that_is_sent_back_to_the_source(system) -> None:
    with running_server(system, example_of("push"), **SECRET) as server:
        assert post(server, posts.cloudevent(data={"size": 1})).json() == {"taken": 0, "ignored": 0, "set_aside": 1}
        shown = system.run("dead-letters", "list", "--json").stdout
        letter = next(line for line in shown.splitlines() if "there is no field size" in line)
        assert system.run("dead-letters", "replay", letter.split('"id": "')[1].split('"')[0]).returncode == 0
        eventually(lambda: "there is no field size" in system.run("dead-letters").stdout, 30, "it is set aside again")


def test_settings_that_let_everybody_in_unsaid_are_one_line_each(system) -> None:
    policy = example_of("push", **{'auth = "standard-webhooks"\n': ""})
    done = system.run("serve", **use_policy(system, policy))
    assert done.returncode == 2
    assert 'auth: missing; say how senders are known, or auth = "none" for everybody' in done.stderr
    done = system.run("serve", **use_policy(system, example_of("push")))
    assert done.returncode == 2
    assert "SFMC_SOURCE_SHOP_SECRET: missing" in done.stderr


@pytest.mark.parametrize("command", [("source", "shop"), ("sources",)], ids=" ".join)
def test_a_push_source_is_run_by_serve_and_the_other_commands_say_so(system, command: tuple[str, ...]) -> None:
    done = system.run(*command, **use_policy(system, example_of("push")), **SECRET)
    assert done.returncode == 2
    assert "source shop: its senders post to it; run it with: sfmc-import serve" in done.stderr
