"""Which files of a server become requests, and when."""

import os
from pathlib import Path

import pytest

from sfmc_import.request import FileInfo
from sfmc_import.routing import Route
from sfmc_producers.sources.intake import SentBack
from sfmc_producers.sources.sftp.entries import NS
from tests.integration.sftp_source.watched import WatchedServer
from tests.support.sftp_server import entry, listing_of


def test_a_file_that_settles_starts_its_definition_once(watched, client, server):
    path = watched.put("contacts.csv")
    os.utime(path, ns=(1, 1_700_000_000_987_654_321))
    assert watched.events(1) == []
    assert watched.events(1, 60, 60).count("file_submitted") == 1

    [request] = client.requests.values()
    location = f"sftp://127.0.0.1:{server.port}/in"
    assert request.file == FileInfo(location=location, name="contacts.csv", size=5, modified_ns=1_700_000_000 * NS)
    assert (request.customer_key, request.source) == ("contacts", "drop")


def test_a_file_that_grows_waits_and_one_with_an_old_time_stamp_is_not_taken_early(watched, client):
    for length in range(1, 5):
        os.utime(watched.put("contacts.csv", "x" * length), ns=(1, 1))
        watched.now += 3
        watched.pass_time()
    assert client.started == []
    watched.pass_time(2)
    assert client.started == [("contacts.csv", "contacts")]


def test_a_file_seen_again_after_a_restart_is_one_request_and_new_content_is_a_second_one(watched, client):
    watched.put("contacts.csv")
    watched.pass_time(2)
    watched.restart()
    assert "file_known" in watched.events(2)
    watched.put("contacts.csv", "id\n2\n3\n")
    watched.pass_time(2)
    assert client.started == [("contacts.csv", "contacts")] * 2


def test_two_sources_on_one_folder_make_one_request(watched, client, server):
    other = WatchedServer(server, client)
    watched.put("contacts.csv")
    for each in (watched, other):
        each.pass_time(2)
    other.close()
    assert len(client.requests) == 1


@pytest.mark.parametrize("name", ["contacts.csv.filepart", ".contacts.csv", "contacts.csv.part", "contacts.csv.DONE"])
def test_temporary_names_and_names_of_handled_files_never_count(watched, client, name):
    watched.put(name)
    assert watched.events(2, 2) == []
    assert client.reported == []


def test_a_file_waits_for_its_marker_which_may_come_first_and_starts_nothing_itself(watched, client):
    watched.restart(marker=".done")
    watched.put("orders.csv.done", "")
    watched.put("contacts.csv")
    watched.pass_time(2, 2)
    assert client.started == []
    watched.put("orders.csv")
    watched.put("contacts.csv.done", "")
    watched.pass_time(2, 2)
    assert sorted(client.started) == [("contacts.csv", "contacts"), ("orders.csv", "orders")]


def test_a_file_without_a_byte_is_skipped_with_one_line_or_run_as_the_policy_says(watched, client):
    watched.put("contacts.csv", "")
    assert watched.events(2, 2, 2).count("file_empty_skipped") == 1
    assert client.started == []
    watched.restart(empty="run")
    watched.pass_time(2)
    assert client.started == [("contacts.csv", "contacts")]


def test_files_of_subfolders_count_with_recursive_alone_and_have_a_location_of_their_own(watched, client):
    watched.put("eu/de/contacts.csv")
    watched.put(".hidden/orders.csv")
    watched.pass_time(2)
    assert client.started == []
    watched.restart(recursive=True)
    watched.pass_time(2)
    assert [each.file.location.rpartition("/in")[2] for each in client.requests.values()] == ["/eu/de"]


def test_links_and_devices_are_not_followed_and_named_once(watched, client, tmp_path):
    (tmp_path / "secret.csv").write_text("x")
    (tmp_path / "in" / "contacts.csv").symlink_to(tmp_path / "secret.csv")
    (tmp_path / "in" / "orders").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "in" / "orders.csv")
    watched.restart(recursive=True)
    lines = watched.pass_time(2, 2)
    skipped = sorted((each["file"], each["reason"]) for each in lines if each["event"] == "entry_skipped")
    assert skipped == [("contacts.csv", "link"), ("orders", "link"), ("orders.csv", "special")]
    assert client.started == []


ODD = ["or ders.csv", "-rf.csv", "bestellungen_ü.csv", "new\nline.csv", "%2e%2e.csv", "$(id).csv", "😀.csv"]


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_is_data_and_arrives_as_it_is(watched, client, name):
    client.define("odd", name)
    watched.put(name)
    watched.pass_time(2)
    assert client.started == [(name, "odd")]


def test_a_name_that_is_no_text_is_set_aside_once_with_its_bytes_and_harms_no_other(watched, client):
    watched.put("contacts.csv")
    Path(os.fsdecode(os.fsencode(watched.server.root) + b"/in/b\xff.csv")).write_bytes(b"x")
    lines = watched.pass_time(2, 2)
    assert [each["file"] for each in lines if each["event"] == "file_name_undecodable"] == [r"b\xff.csv"]
    assert list(watched.kept.letters.values()) == [(b"b\xff.csv", "its name is no text in UTF-8, or a path")]
    assert client.started == [("contacts.csv", "contacts")]


def test_names_that_leave_the_folder_are_never_used_as_paths(watched, client, server):
    server.entries = listing_of(entry(b".."), entry(b"../contacts.csv"), entry(b"a\0b.csv"), entry(b"/etc/orders.csv"))
    asked = []
    server.before = lambda _, path: asked.append(path)
    watched.pass_time(2)
    assert set(asked) == {"/in"}
    assert len(watched.kept.letters) == 3
    assert client.started == []


def test_a_name_that_is_too_long_is_set_aside_and_looked_at_again_when_it_is_sent_back(watched, client, server):
    name = "contacts" + "x" * 2000
    client.routes = [Route(pattern="*", customer_key="contacts")]
    server.entries = listing_of(entry(name.encode()))
    watched.restart()
    watched.pass_time(2, 2)
    [(body, text)] = watched.kept.letters.values()
    assert "file.name must be a text of 1 to 1024 characters" in text
    watched.kept.sent_back.append(SentBack("1-0", body, body))
    watched.pass_time(2, 2)
    assert len(watched.kept.letters) == 2
    assert watched.kept.sent_back == []


def test_a_file_that_matches_nothing_is_reported_once_and_taken_when_a_definition_appears(watched, client):
    watched.put("customers.csv")
    watched.pass_time(2, 60, 60)
    assert [name for name, _, _ in client.reported] == ["unrouted"]
    client.define("customers", "customers.csv")
    watched.pass_time(2, 2)
    assert client.started == [("customers.csv", "customers")]


def test_while_redis_is_away_files_wait_and_are_taken_afterwards(watched, client):
    watched.put("contacts.csv")
    watched.put("orders.csv")
    client.ledger_is_down = True
    watched.pass_time(2, 2)
    assert client.started == []
    client.ledger_is_down = False
    watched.pass_time(60)
    assert sorted(client.started) == [("contacts.csv", "contacts"), ("orders.csv", "orders")]


def test_a_server_that_sends_no_attributes_in_its_listing_is_asked_for_each_file(watched, client, server):
    def without(attributes):
        attributes.size = attributes.mtime = attributes.permissions = None
        attributes.type = 5

    server.attributes = without
    watched.put("contacts.csv")
    watched.pass_time(2)
    assert client.started == [("contacts.csv", "contacts")]


def test_a_file_without_size_or_time_stamp_is_not_taken_as_empty_or_old(watched, client, server):
    server.entries = listing_of(entry(b"contacts.csv", size=None, mtime=None))
    lines = watched.pass_time(2, 2)
    assert [each["reason"] for each in lines if each["event"] == "entry_skipped"] == []
    assert client.started == []


def test_one_listing_gives_the_arrivals_that_a_scan_asks_for(watched, client):
    watched.restart(marker=".done", recursive=True)
    for name in ("contacts.csv", "contacts.csv.done", "eu/orders.csv", "eu/orders.csv.done", "x.csv", "y.part"):
        watched.put(name)
    found = sorted(each.file.name for each in watched.source.listed_once())
    assert found == ["contacts.csv", "orders.csv"]
    assert client.started == []
