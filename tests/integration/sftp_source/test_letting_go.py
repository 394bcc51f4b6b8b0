"""What happens with a file after its request is in the ledger, and not before."""

import os

import asyncssh
import pytest

from sfmc_producers.sources.receiving import SourceUnavailableError


def move(watched, **options):
    watched.restart(after="move", move_to="/done", **options)


def test_an_accepted_file_is_moved_within_the_server_and_the_folder_is_made(watched, client):
    move(watched)
    watched.put("contacts.csv", "id\n7\n")
    assert watched.events(2) == ["arrival_submitted", "file_let_go"]
    assert (watched.names(), watched.names("done")) == ([], ["contacts.csv"])
    assert client.started == [("contacts.csv", "contacts")]


def test_an_accepted_file_is_deleted_with_its_marker(watched):
    watched.restart(after="delete", marker=".done")
    watched.put("contacts.csv")
    watched.put("contacts.csv.done", "")
    watched.pass_time(2)
    assert watched.names() == []


@pytest.mark.parametrize("after", [{"after": "delete"}, {"after": "move", "move_to": "/done"}])
def test_what_was_not_accepted_stays_where_it_is(watched, client, after):
    watched.restart(**after)
    watched.put("contacts.csv")
    watched.put("customers.csv")
    watched.put("empty.csv", "")
    client.ledger_is_down = True
    watched.pass_time(2, 2)
    assert watched.names() == ["contacts.csv", "customers.csv", "empty.csv"]
    client.ledger_is_down = False
    watched.pass_time(60)
    assert watched.names() == ["customers.csv", "empty.csv"]


def test_a_file_of_a_name_that_was_moved_before_gets_a_name_of_its_own(watched, client):
    move(watched)
    for number in range(3):
        watched.put("contacts.csv", "x" * (number + 1))
        watched.pass_time(2)
    assert len(client.requests) == 3
    assert len(watched.names("done")) == 3
    assert all(name.startswith("contacts.csv") for name in watched.names("done"))


def test_a_file_that_is_replaced_after_its_acceptance_is_not_moved_and_is_an_arrival_of_its_own(
    watched, client, server
):
    move(watched)
    watched.put("contacts.csv")

    def replace(operation, path):
        if operation == "lstat" and client.requests:
            server.before = lambda *_: None
            watched.put("contacts.csv", "new content")

    server.before = replace
    watched.pass_time(2)
    assert watched.names() == ["contacts.csv"]
    watched.pass_time(2)
    assert (len(client.requests), watched.names()) == (2, [])


def test_a_file_that_is_replaced_in_the_instant_before_the_move_is_put_back(watched, client, server):
    move(watched)
    watched.put("contacts.csv")

    def replace(operation, path):
        if operation == "rename":
            server.before = lambda *_: None
            watched.put("contacts.csv", "new content")

    server.before = replace
    watched.pass_time(2)
    assert (watched.names(), watched.names("done")) == (["contacts.csv"], [])
    watched.pass_time(2)
    assert (len(client.requests), watched.names()) == (2, [])


def test_a_source_that_ends_between_acceptance_and_move_moves_the_file_after_its_restart(watched, client, server):
    move(watched, timeout=0.3)
    watched.put("contacts.csv")
    server.stalls = {"rename"}
    with pytest.raises(SourceUnavailableError):
        watched.pass_time(2)
    assert len(client.requests) == 1
    server.stalls = set()
    move(watched)
    assert watched.events(2) == ["arrival_known", "file_let_go"]
    assert (len(client.requests), watched.names()) == (1, [])


def test_a_move_whose_answer_was_lost_counts_as_done(watched, client, server):
    move(watched)
    watched.put("contacts.csv")

    def lose(operation, path):
        server.after = lambda *_: None
        for each in list(server.open):
            each.abort()

    server.after = lose
    with pytest.raises(SourceUnavailableError):
        watched.pass_time(2)
    watched.pass_time(2)
    assert (len(client.requests), watched.names(), watched.names("done")) == (1, [], ["contacts.csv"])


def test_a_move_that_the_server_refuses_is_said_once_tried_again_and_holds_up_no_file(watched, client, server):
    move(watched)
    for name in ("contacts.csv", "orders.csv"):
        watched.put(name)

    def refuse(operation, path):
        if operation == "rename":
            raise asyncssh.SFTPPermissionDenied("read only")

    server.before = refuse
    lines = watched.pass_time(2, 60, 60)
    assert [each["reason"] for each in lines if each["event"] == "file_not_let_go"] == ["read only"]
    assert len(client.requests) == 2
    server.before = lambda *_: None
    watched.pass_time(60)
    assert watched.names() == []


def test_with_subfolders_the_folder_of_moved_files_is_not_searched(watched, client):
    watched.restart(after="move", move_to="/in/done", recursive=True)
    watched.put("contacts.csv")
    watched.pass_time(2, 2, 2)
    assert watched.names("in/done") == ["contacts.csv"]
    assert client.started == [("contacts.csv", "contacts")]


def test_a_file_that_another_program_took_away_costs_nothing(watched, client, server):
    watched.restart(after="delete")
    path = watched.put("contacts.csv")

    def take(operation, name):
        if operation == "lstat" and client.requests:
            path.unlink(missing_ok=True)

    server.before = take
    assert watched.events(2) == ["arrival_submitted"]


def test_the_same_file_that_comes_again_is_moved_again_without_a_second_request(watched, client, server):
    move(watched)
    for _ in range(2):
        os.utime(watched.put("contacts.csv"), ns=(1, 1_700_000_000_000_000_000))
        watched.pass_time(2)
    assert (len(client.requests), watched.names(), len(watched.names("done"))) == (1, [], 2)
    server.before = lambda operation, _: put_again() if operation == "remove" else None
    watched.restart(after="delete")

    def put_again():
        server.before = lambda *_: None
        server.after = lambda *_: os.utime(watched.put("contacts.csv"), ns=(1, 1_700_000_000_000_000_000))

    os.utime(watched.put("contacts.csv"), ns=(1, 1_700_000_000_000_000_000))
    watched.pass_time(2)
    server.after = lambda *_: None
    watched.pass_time()
    assert (len(client.requests), watched.names()) == (1, [])
