"""Folders and a full Redis in every surface: operations, HTTP API and console say the same; a folder is forgotten."""

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis

from sfmc_import.access import ReadAccess
from sfmc_import.bootstrap import quota_limits
from sfmc_import.cli.doctor_folders import check_folders, check_old_definitions
from sfmc_import.cli.doctor_redis import check_redis
from sfmc_import.cli.main import cli
from sfmc_import.events import kind
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.operations import forgetting, in_doubt, requests, servers
from sfmc_import.operations.errors import NotFoundError
from sfmc_import.operations.fixing import fix_for
from sfmc_import.operations.folders import folders
from sfmc_import.operations.overview import overview
from sfmc_import.operations.status import standing, status
from sfmc_import.redis_rights import rules
from sfmc_import.settings import load
from sfmc_server.console.paths import request_path
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


def vanish(world: World) -> None:
    """Let the watcher be silent for longer than its word holds."""
    world.access.client.delete(world.access.keys.watchers)


def test_files_that_wait_for_the_account_are_a_banner_on_the_first_page_and_in_the_api(world: World) -> None:
    world.client.note_folders("h:1:x", [FOLDER | {"files": [HELD], "more": 2}])
    page = world.person("viewer").see("/").text
    [folder] = world.ask("GET", "/v1/status").json()["folders"]

    assert (
        "3 files in it are not looked at: Redis or the list of definitions does not answer (no (login_failed))" in page
    )
    assert "To do: <bdi>check the login: SFMC_CLIENT_ID" in page
    assert (folder["is_trouble"], folder["waiting"], folder["watchers"]) == (True, 3, ["h:1:x"])
    assert folder == world.ask("GET", "/v1/folders").json()[0]
    assert overview(world.access).folders == status(world.access).folders


def test_a_source_that_does_not_answer_says_when_it_is_asked_again(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    said = {"folder": "source drop (sftp://h/in)", "location": "source:drop", "state": "unreachable", "age": 60.0}
    world.client.note_folders("h:1:x", [FOLDER | said | {"text": "no route", "again": 30.0, "looked": 90.0}])
    page = world.person("viewer").see("/").text
    [folder] = world.ask("GET", "/v1/folders").json()
    capsys.readouterr()
    cli.main(["folders", "list"], "sfmc-import", standalone_mode=False)

    again = f"tried again at {folder['until'][11:19]} UTC, and on without an end"
    assert folder["until"] > folder["seen_at"] > folder["since"] > folder["looked_at"]
    assert page.count(again) == 2
    assert again in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("folder", "what", "fix"),
    [
        (
            {"state": "full", "age": 60.0, "text": "No space left on device"},
            "NO ROOM to move",
            "make room on that disk",
        ),
        ({"state": "unmoved", "age": 60.0, "text": "read only"}, "ACCEPTED FILES STAY", "or make room"),
        (
            {
                "files": [
                    {
                        "name": "a.csv",
                        "reason": "delivering",
                        "age": 60.0,
                        "code": "undelivered",
                        "text": "target ftp: no space",
                    }
                ]
            },
            "1 file in it is not delivered yet (target ftp: no space), since 20",
            "see the target",
        ),
    ],
    ids=["full", "unmoved", "undelivered"],
)
def test_a_disk_without_room_is_a_trouble_everywhere_with_its_begin_and_what_helps(
    world: World, folder: dict[str, Any], what: str, fix: str
) -> None:
    world.client.note_folders("h:1:x", [FOLDER | folder, FOLDER | {"location": "/data/other", "folder": "/data/other"}])
    page = world.person("viewer").see("/").text
    troubled, well = world.ask("GET", "/v1/folders").json()
    [finding, *_] = check_folders(status(world.access).folders)

    assert (troubled["is_trouble"], well["is_trouble"]) == (True, False)
    assert (finding.level, what in finding.text, "since 20" in finding.text) == ("fail", True, True)
    assert fix in finding.fix
    assert (what in page, fix in page) == (True, True)


def test_a_file_that_waits_in_a_folder_is_found_by_its_name_everywhere(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.client.note_folders("h:1:x", [FOLDER | {"files": [HELD]}])
    found = world.ask("GET", "/v1/folders?file=orders.csv").json()
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
    assert world.ask("GET", "/v1/folders?file=other.csv").json() == []


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
    assert (
        "a file of this name that is not looked at, so it may be that of this request or a new one, waits in folder"
        in said
    )

    assert (whole["request_id"], whole["folders"][0]["folder"]) == (request, "/data/in")
    assert request in world.person("viewer").see("/search?q=orders.csv").text


OLD = {"mid": MID, "age": 60.0, "looked": 600.0, "code": "refused", "text": "no route to host"}


def test_a_list_of_definitions_that_is_old_is_said_with_its_begin_wherever_files_are_matched_with_it(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    stray = {"name": "a.csv", "reason": "unmatched", "age": 30.0, "text": "no FileSpec"}
    folders_of = [FOLDER | {"files": [stray], "definitions": [OLD]}, FOLDER | {"location": "/b", "folder": "/b"}]
    assert world.ask("PUT", "/v1/watchers/w", "source", json={"folders": folders_of}).status_code == 204
    whole = world.ask("GET", "/v1/status").json()
    [old] = whole["old_definitions"]
    said = (
        f"definitions as they were read at {old['read_at'][:19].replace('T', ' ')} UTC; they cannot be read anew since"
    )
    capsys.readouterr()
    for words in (["status"], ["status", "--unmatched"]):
        cli.main(words, "sfmc-import", standalone_mode=False)
        assert said in " ".join(capsys.readouterr().out.split())
    [finding] = check_old_definitions(status(world.access).old_definitions)

    assert (old["mid"], old["since"] > old["read_at"], old["code"], len(old["watchers"])) == (MID, True, "refused", 1)
    assert said in world.person("viewer").see("/").text
    assert said in world.person("viewer").see("/unmatched").text
    assert (finding.level, said in finding.text, "check the network" in finding.fix) == ("warn", True, True)
    [file] = whole["folders"][0]["files"] or whole["folders"][1]["files"]
    assert "by a list of definitions that cannot be read anew since 20" in file["text"]
    assert file["advice"].startswith(fix_for("refused", ""))
    assert [each["mid"] for each in world.ask("GET", "/v1/unmatched").json()["old_definitions"]] == [MID]
    assert world.ask("GET", "/v1/unmatched?mid=7").json()["old_definitions"] == []


def test_a_file_without_a_definition_says_that_the_list_may_be_old_while_no_call_is_made(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = world.access.settings
    quota = open_ledger(settings).quota(quota_limits(settings))
    for number in range(3):
        quota.report(f"{MID}@01d0", f"probe{number}", 0, "failed", code="token_refused", text="no right", by="client a")
    world.client.note_folders("h:1:x", [FOLDER | {"files": [{"name": "a.csv", "reason": "unmatched", "age": 1.0}]}])
    stray = {"location": "/data/in", "name": "a.csv", "fingerprint": "f" * 32}
    said = {"mid": MID, "file": stray, "reason": "no_match", "text": "no route and no FileSpec names it"}
    world.access.ledger().report("arrival/1", "unrouted", MID, stray["name"], said)
    whole = world.ask("GET", "/v1/status").json()
    [trouble] = whole["troubles"]
    [file] = whole["folders"][0]["files"]
    [old] = world.ask("GET", "/v1/unmatched").json()["old_definitions"]
    capsys.readouterr()
    cli.main(["status", "--unmatched"], "sfmc-import", standalone_mode=False)

    assert (trouble["mid"], trouble["codes"], trouble["until"] is not None) == (MID, ["token_refused"], True)
    assert "the list of definitions may be old: calls fail since 20" in file["text"]
    assert file["advice"].startswith(fix_for("token_refused", ""))
    assert (old["mid"], old["text"]) == (MID, "no right (failed for client a)")
    assert "they cannot be read anew since 20" in " ".join(capsys.readouterr().out.split())
    for path in ("/", "/unmatched", "/search?q=a.csv"):
        assert "token_refused" in world.person("viewer").see(path).text
    assert f"Business unit {MID}: circuit_open since" in world.person("viewer").see("/").text


def test_a_folder_whose_watcher_vanished_is_an_alarm_until_an_operator_forgets_it(world: World) -> None:
    world.client.note_folders("h:1:x", [FOLDER])
    vanish(world)
    page = world.person("viewer").see("/").text
    [alarm] = status(world.access).folders
    refused = world.ask("POST", "/v1/folders/forget", "viewer", json={"name": "/data/in"})
    done = world.ask("POST", "/v1/folders/forget", "operator", json={"name": "/data/in"})

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


@pytest.mark.parametrize(
    ("location", "source"),
    [("/data/in", "folder:/data/in"), ("/data/in/eu", "folder:/data/in"), ("sftp://h/in", "drop")],
    ids=["folder", "subfolder", "source"],
)
def test_a_request_names_the_folder_of_its_file_that_cannot_be_read(
    world: World, capsys: pytest.CaptureFixture[str], location: str, source: str
) -> None:
    file = {"name": "orders.csv", "version": "1", "location": location}
    request = world.client.submit(customer_key="orders", mid=MID, file=file, source=source).request_id
    place = "source:drop" if source == "drop" else "/data/in"
    trouble = {"state": "unreadable", "age": 60.0, "text": "Permission denied"}
    other = FOLDER | {"folder": "/data/input", "location": "/data/input"} | trouble
    world.client.note_folders("h:1:x", [FOLDER | {"location": place} | trouble, other])
    [said] = world.ask("GET", f"/v1/requests/{request}").json()["in_the_way"]
    capsys.readouterr()
    cli.main(["show", request], "sfmc-import", standalone_mode=False)
    shown = " ".join(capsys.readouterr().out.split())
    page = world.person("viewer").see(request_path(request)).text
    definition = world.person("viewer").see(f"/definition?mid={MID}&customer_key=orders").text

    begin = "lies in /data/in: CANNOT BE READ" if source == "drop" else "lies in folder /data/in: CANNOT BE READ"
    assert said.startswith(f"its file {begin} (Permission denied), since 20")
    assert "; to do: give the watcher the right to read it" in said
    assert (said in shown, f"Its file {begin}" in page, "/data/input" in said) == (True, True, False)
    assert ("CANNOT BE READ" in definition, "/data/input" in definition) == (True, False)


@pytest.mark.parametrize(
    ("location", "said", "fix"),
    [
        ("push:hook", "NO SERVER TAKES what is posted (it was run last on h)", "start the server again, or let it be"),
        ("schedule:night", "NO BEAT RUNS IT (it was run last on h)", "start a beat again, or let it be forgotten"),
        ("source:drop", "NO PROCESS READS IT (it was run last on h)", "start the source process of this name again"),
    ],
)
def test_a_source_whose_process_vanished_is_an_alarm_in_the_words_of_that_process(
    world: World, location: str, said: str, fix: str
) -> None:
    world.client.note_folders("h:1:x", [FOLDER | {"folder": "source it", "location": location}])
    vanish(world)
    [alarm] = status(world.access).folders

    assert (alarm.is_trouble, alarm.text, fix in str(alarm.advice)) == (True, said, True)
    assert f"Source it</bdi>: <bdi>{said}" in world.person("viewer").see("/").text
    with pytest.raises(NotFoundError) as found:
        requests.find(world.access, "other.csv", MID)
    assert ("may lie in" in str(found.value)) == (location != "schedule:night")


def test_a_folder_that_nothing_has_read_cannot_be_forgotten(world: World) -> None:
    with pytest.raises(NotFoundError, match="no watcher has read a folder /nowhere"):
        forgetting.forget_folder(world.access, "/nowhere", "ann")


def test_a_folder_whose_watcher_was_stopped_is_said_without_an_alarm(world: World) -> None:
    for said in ([FOLDER], None):
        world.client.note_folders("h:1:x", said)
    page = world.person("viewer").see("/").text
    [found] = status(world.access).folders
    with pytest.raises(NotFoundError, match="its watcher was stopped"):
        requests.find(world.access, "other.csv", MID)

    assert (found.state, found.is_trouble) == ("stopped", False)
    assert "its watcher was stopped" in page
    assert "banner" not in page.partition("its watcher was stopped")[0].partition('<main id="main"')[2].replace(
        'banner warn">No worker', ""
    ).replace('banner warn">No beat', "")


def test_a_redis_that_is_a_replica_leaves_open_whether_processes_live_and_calls_none_missing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    person, request = world.person("viewer"), world.submit(name="waits.csv")
    world.client.note_folders("h:1:x", [FOLDER])
    vanish(world)
    world.access.client.replicaof("127.0.0.1", 9)
    try:
        whole, page, of_key = status(world.access), person.see("/").text, standing(world.access, "orders", MID)
        shown, found = requests.show(world.access, request).waiting, list(check_redis(world.access.settings, "worker"))
        capsys.readouterr()
        with pytest.raises(SystemExit):
            cli.main(["status"], "sfmc-import", standalone_mode=False)
        said = " ".join(capsys.readouterr().out.split())
    finally:
        world.access.client.replicaof("NO", "ONE")

    unknown = "hether a worker runs is not known (none has run yet): Redis takes no writes"
    assert [each.server for each in whole.servers] == ["Redis"]
    assert (whole.folders[0].text, whole.folders[0].command) == (in_doubt.NOT_KNOWN, None)
    assert shown is not None
    doctor = " ".join(f"{each.text} {each.fix}" for each in found)
    for text in (" ".join(whole.missing), page, " ".join(of_key.missing), shown.text, said, doctor):
        assert unknown in text
        assert "No worker runs" not in text
        assert "start sfmc-import" not in text
    assert "NO WATCHER READS IT" not in page + said + doctor
    assert status(world.access).folders[0].text.startswith("NO WATCHER READS IT")
    assert status(world.access).missing[0].startswith("no worker runs")


def test_a_redis_that_is_full_is_a_trouble_of_its_own_and_folders_are_reported_all_the_same(world: World) -> None:
    person = world.person("viewer")
    assert servers.server_troubles(world.access) == ()
    world.access.client.config_set("maxmemory", 1)
    try:
        world.client.note_folders("h:1:x", [FOLDER | {"files": [HELD | {"code": "redis"}]}])
        page, whole = person.see("/").text, status(world.access)
        [finding] = [each for each in check_redis(world.access.settings, "worker") if each.check == "folder"]
    finally:
        world.access.client.config_set("maxmemory", 0)

    assert finding.fix.startswith("raise maxmemory of this Redis to ")
    assert [(each.server, each.check) for each in whole.servers] == [("Redis", "writes")]
    assert whole.servers[0].fix.startswith("raise maxmemory of this Redis to ")
    assert '<p class="banner bad">Redis at' in page
    assert "has no memory left and takes nothing new" in page
    assert [each.waiting for each in whole.folders] == [1]
    assert f"since {whole.folders[0].files[0].since:%Y-%m-%d %H:%M:%S} UTC or before" in page
    assert "To do: <bdi>raise maxmemory of this Redis" in page
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
    answer = world.ask("GET", f"/v1/definitions/{MID}/weekly_orders")
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
    found = world.ask("POST", "/v1/replays", "operator", json=body).json()

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


@pytest.mark.parametrize(("state", "code"), [("watched", 0), ("unreadable", 1), ("stopped", 0), ("unseen", 1)])
def test_status_ends_with_a_failure_for_what_doctor_fails_for(
    world: World, capsys: pytest.CaptureFixture[str], state: str, code: int
) -> None:
    is_read = state in {"watched", "unreadable"}
    world.client.note_folders("h:1:x", [FOLDER | ({"state": state, "age": 60.0} if is_read else {})])
    if state == "stopped":
        world.client.note_folders("h:1:x", None)
    if state == "unseen":
        vanish(world)
    failed = [each for each in check_folders(in_doubt.folders(world.access)) if each.level == "fail"]
    with pytest.raises(SystemExit) as ended:
        cli(["status"])

    assert (ended.value.code or 0, bool(failed)) == (code, bool(code))
    assert capsys.readouterr().out
