"""Folders and a full Redis in every surface: operations, HTTP API and console say the same; a folder is forgotten."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis

from sfmc_import.access import ReadAccess
from sfmc_import.cli.main import cli
from sfmc_import.events import kind
from sfmc_import.operations import forgetting, requests, servers
from sfmc_import.operations.errors import NotFoundError
from sfmc_import.operations.folders import folders
from sfmc_import.operations.overview import overview
from sfmc_import.operations.status import standing, status
from sfmc_import.redis_rights import rules
from sfmc_import.settings import load
from tests.support.console import MID, World, console_over
from tests.support.event_schema import problems

FOLDER = {"folder": "/data/in", "location": "/data/in", "state": "watched", "files": [], "more": 0}
HELD = {"name": "orders.csv", "reason": "unavailable", "age": 60.0, "text": "no (login_failed)", "code": "login_failed"}


@pytest.fixture
def world(redis_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("SFMC_REDIS_URL", redis_server.url)
    monkeypatch.setenv("SFMC_ACCOUNT_ID", MID)
    with console_over(redis_server.url) as made:
        yield made


def asked(world: World, method: str, path: str, role: str = "viewer", **more: Any) -> Any:
    return world.http.request(method, path, headers={"authorization": f"Bearer {world.tokens[role]}"}, **more)


def vanish(world: World) -> None:
    """Let the watcher be silent for longer than its word holds."""
    world.access.client.delete(world.access.keys.watchers)


def test_files_that_wait_for_the_account_are_a_banner_on_the_first_page_and_in_the_api(world: World) -> None:
    world.client.note_folders("h:1:x", [FOLDER | {"files": [HELD], "more": 2}])
    page = world.person("viewer").see("/").text
    [folder] = asked(world, "GET", "/v1/status").json()["folders"]

    assert "3 files wait in it: Redis or the list of definitions does not answer (no (login_failed))" in page
    assert "To do: <bdi>check the login: SFMC_CLIENT_ID" in page
    assert (folder["is_trouble"], folder["waiting"], folder["watchers"]) == (True, 3, ["h:1:x"])
    assert folder == asked(world, "GET", "/v1/folders").json()[0]
    assert overview(world.access).folders == status(world.access).folders


def test_a_file_that_waits_in_a_folder_is_found_by_its_name_everywhere(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.client.note_folders("h:1:x", [FOLDER | {"files": [HELD]}])
    found = asked(world, "GET", "/v1/folders?file=orders.csv").json()
    searched = world.person("viewer").see("/search?q=orders.csv")
    capsys.readouterr()
    cli.main(["show", "orders.csv"], "sfmc-import", standalone_mode=False)
    said = " ".join(capsys.readouterr().out.split())
    cli.main(["show", "orders.csv", "--json"], "sfmc-import", standalone_mode=False)

    assert [file["name"] for file in found[0]["files"]] == ["orders.csv"]
    assert (searched.status_code, "without a request" in searched.text) == (200, True)
    assert said.startswith("no request yet: it waits in folder /data/in, read by h:1:x")
    assert "login_failed" in said
    assert json.loads(capsys.readouterr().out) == {"file": "orders.csv", "folders": found}
    assert asked(world, "GET", "/v1/folders?file=other.csv").json() == []


def test_a_file_with_a_request_that_waits_again_is_shown_with_both(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    request = world.submit(name="orders.csv")
    world.client.note_folders("h:1:x", [FOLDER | {"files": [HELD]}])
    cli.main(["show", "orders.csv", "--json"], "sfmc-import", standalone_mode=False)
    whole = json.loads(capsys.readouterr().out)
    cli.main(["show", "orders.csv"], "sfmc-import", standalone_mode=False)
    said = " ".join(capsys.readouterr().out.split())

    assert "no request yet" not in said
    assert "a file of this name that has no request of its own yet waits in folder /data/in" in said

    assert (whole["request_id"], whole["folders"][0]["folder"]) == (request, "/data/in")
    assert request in world.person("viewer").see("/search?q=orders.csv").text


def test_a_folder_whose_watcher_vanished_is_an_alarm_until_an_operator_forgets_it(world: World) -> None:
    world.client.note_folders("h:1:x", [FOLDER])
    vanish(world)
    page = world.person("viewer").see("/").text
    [alarm] = status(world.access).folders
    refused = asked(world, "POST", "/v1/folders/forget", "viewer", json={"name": "/data/in"})
    done = asked(world, "POST", "/v1/folders/forget", "operator", json={"name": "/data/in"})

    assert (alarm.state, alarm.is_trouble) == ("unseen", True)
    assert "NO WATCHER READS IT (it was read last on h), since 20" in page
    assert (refused.status_code, done.json()) == (403, {"location": "/data/in", "forgotten": True})
    assert folders(world.access.reader) == ()
    event = next(iter(world.access.stream.backwards(10)))
    assert (kind(event), event["data"]) == ("operator.folder_forgotten", {"operator": "ann", "location": "/data/in"})
    assert problems([event]) == []


def test_a_file_of_a_folder_that_is_not_read_may_lie_there_and_every_surface_says_so(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    file = {"name": "orders.csv", "version": "1", "location": "/data/in"}
    request = world.client.submit(customer_key="orders", mid=MID, file=file)
    world.client.note_folders("h:1:x", [FOLDER])
    vanish(world)
    with pytest.raises(NotFoundError) as found:
        requests.find(world.access, "other.csv", MID)
    with pytest.raises(NotFoundError, match="/data/in"):
        standing(world.access, "other", MID)
    searched = world.person("viewer").see("/search?q=other.csv").text
    definition = world.person("viewer").see(f"/definition?mid={MID}&customer_key=orders").text
    in_the_way = standing(world.access, "orders", MID).missing

    assert request
    assert "it may lie in a folder that is not read now: /data/in (NO WATCHER READS IT" in str(found.value)
    assert "It may lie in a folder that is not read now" in searched
    assert any(each.startswith("folder /data/in: NO WATCHER READS IT") for each in in_the_way)
    assert "Folder /data/in: NO WATCHER READS IT" in definition


def test_a_folder_that_nothing_has_read_cannot_be_forgotten(world: World) -> None:
    with pytest.raises(NotFoundError, match="no watcher has read a folder /nowhere"):
        forgetting.forget_folder(world.access, "/nowhere", "ann")


def test_a_folder_whose_watcher_was_stopped_is_said_without_an_alarm(world: World) -> None:
    for said in ([FOLDER], None):
        world.client.note_folders("h:1:x", said)
    page = world.person("viewer").see("/").text
    [found] = status(world.access).folders

    assert (found.state, found.is_trouble) == ("stopped", False)
    assert "its watcher was stopped" in page
    assert "banner" not in page.partition("its watcher was stopped")[0].partition('<main id="main"')[2].replace(
        'banner warn">No worker', ""
    ).replace('banner warn">No beat', "")


def test_a_redis_that_is_full_is_a_trouble_of_its_own_and_folders_are_reported_all_the_same(world: World) -> None:
    person = world.person("viewer")
    assert servers.server_troubles(world.access) == ()
    world.access.client.config_set("maxmemory", 1)
    try:
        world.client.note_folders("h:1:x", [FOLDER | {"files": [HELD | {"code": "redis"}]}])
        page, whole = person.see("/").text, status(world.access)
    finally:
        world.access.client.config_set("maxmemory", 0)

    assert [(each.server, each.check) for each in whole.servers] == [("Redis", "writes")]
    assert whole.servers[0].fix.startswith("raise maxmemory of this Redis to ")
    assert '<p class="banner bad">Redis at' in page
    assert "has no memory left and takes nothing new" in page
    assert [each.waiting for each in whole.folders] == [1]
    assert f"since {whole.folders[0].files[0].since:%Y-%m-%d %H:%M:%S} UTC or before" in page
    assert "To do: <bdi>let Redis take writes again" in page
    assert servers.server_troubles(world.access) == ()


def test_whoever_may_only_read_learns_by_its_numbers_that_redis_is_full(world: World, redis_server: Any) -> None:
    admin = world.access.client
    admin.execute_command("ACL", "SETUSER", "eve", "reset", "nopass", *rules("reader", world.access.settings.prefix))
    admin.config_set("maxmemory", 1)
    try:
        with Redis.from_url(redis_server.url, username="eve", password="x") as client:
            eve: Any = SimpleNamespace(client=client, keys=world.access.keys, settings=world.access.settings)
            found = servers.server_troubles(eve)
    finally:
        admin.config_set("maxmemory", 0)
        admin.execute_command("ACL", "DELUSER", "eve")

    assert [(each.check, each.text.partition(":")[0]) for each in found] == [("memory", "Redis")]


def test_a_definition_says_which_process_is_missing(world: World) -> None:
    world.submit()
    found = standing(world.access, "orders", MID)

    seen = "runs (none has run yet)"
    assert [each.partition(":")[0] for each in found.missing] == [f"no worker {seen}", f"no beat {seen}"]
    page = world.person("viewer").see(f"/definition?mid={MID}&customer_key=orders").text
    assert "No worker runs" in page


def test_an_unknown_definition_is_answered_with_near_names_and_with_files_of_its_name(world: World) -> None:
    world.submit("Daily_Orders")
    growing = {"name": "weekly_orders_2026.csv", "reason": "growing", "age": 5.0}
    world.client.note_folders("h:1:x", [FOLDER | {"files": [growing]}])
    stray = {"location": "/data/in", "name": "Weekly_Orders.csv", "fingerprint": "f" * 32}
    said = {"mid": MID, "file": stray, "reason": "no_match", "text": "no route and no FileSpec names it"}
    world.access.ledger().report("arrival/1", "unrouted", MID, stray["name"], said)
    with pytest.raises(NotFoundError) as near:
        standing(world.access, "daily_order", MID)
    with pytest.raises(NotFoundError) as named:
        standing(world.access, "weekly_orders", MID)
    answer = asked(world, "GET", f"/v1/definitions/{MID}/weekly_orders")
    page = world.person("viewer").ask("GET", f"/definition?mid={MID}&customer_key=weekly_orders")

    assert "did you mean Daily_Orders?" in near.value.fix
    assert "the file Weekly_Orders.csv starts nothing: no route and no FileSpec names it" in named.value.fix
    assert "the file weekly_orders_2026.csv waits in /data/in: not complete yet" in named.value.fix
    assert named.value.fix.endswith("see: sfmc-import status --unmatched")
    assert (answer.status_code, "waits in /data/in: not complete yet" in answer.text) == (404, True)
    assert (page.status_code, "waits in /data/in: not complete yet" in page.text) == (404, True)


@pytest.mark.parametrize("mid", ["77", MID])
def test_a_replay_of_many_that_finds_nothing_says_that_its_filter_names_nothing_known(world: World, mid: str) -> None:
    world.submit("Daily_Orders")
    body = {"state": "rejected", "reason": "again", "mid": mid, "customer_key": "Daily_Order"}
    found = asked(world, "POST", "/v1/replays", "operator", json=body).json()

    assert found["count"] == 0
    assert ("did you mean Daily_Orders" if mid == MID else "no business unit 77") in found["hint"]


def test_a_source_that_does_not_answer_is_an_alarm_in_each_surface_and_can_be_forgotten(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    source = {"folder": "source drop (sftp://host/in)", "location": "source:drop", "files": [], "more": 0}
    world.client.note_folders(
        "h:1:x", [source | {"state": "unreachable", "age": 60.0, "text": "no route", "looked": 70.0}]
    )
    [view] = folders(world.access.reader)
    page = world.person("viewer").see("/").text
    with pytest.raises(SystemExit):
        cli(["status"])
    said = capsys.readouterr().out
    vanish(world)

    assert (view.is_trouble, view.state, view.text) == (True, "unreachable", "DOES NOT ANSWER (no route)")
    assert view.looked_at is not None
    assert "DOES NOT ANSWER (no route)" in page
    assert "DOES NOT ANSWER (no route)" in said
    assert "see its server and the network" in said
    assert forgetting.forget_folder(world.access, "source:drop", "ann").forgotten


def test_of_a_full_broker_of_its_own_it_is_said_what_may_be_deleted_of_a_queue(
    redis_server: Any, own_valkey: Any
) -> None:
    urls = {"SFMC_REDIS_URL": redis_server.url, "SFMC_BROKER_URL": own_valkey.url}
    access = ReadAccess(load(urls | {"SFMC_ACCOUNT_ID": MID}))
    with Redis.from_url(own_valkey.url) as client:
        client.config_set("maxmemory", 1)
    [found] = servers.server_troubles(access)

    assert (found.server, "has no memory left" in found.text) == ("broker", True)
    assert "of its keys delete dead letters alone" in found.fix
    assert "SFMC_" not in found.fix
