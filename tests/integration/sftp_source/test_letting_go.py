"""What happens with a file after its request is in the ledger, and not before."""

import os

import asyncssh
import pytest

from sfmc_producers.hidden_names import PREFIX
from sfmc_producers.sources.receiving import SourceUnavailableError


def move(watched, **options):
    watched.restart(after="move", move_to="/done", **options)


def test_an_accepted_file_is_moved_within_the_server_and_the_folder_is_made(watched, client):
    move(watched)
    watched.put("contacts.csv", "id\n7\n")
    assert watched.events(2) == ["file_submitted", "file_let_go"]
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


def test_a_file_stays_while_its_request_is_not_confirmed_and_goes_when_it_is(watched, client):
    move(watched)
    for name in ("contacts.csv", "orders.csv"):
        watched.put(name)
    client.confirms_nothing = True
    assert watched.events(2).count("backend_unavailable") == 1
    assert (watched.names(), len(client.requests)) == (["contacts.csv", "orders.csv"], 2)
    client.confirms_nothing = False
    watched.pass_time(60)
    assert (watched.names(), len(client.requests)) == ([], 2)
    assert client.confirmed == [list(client.requests)]


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


@pytest.mark.parametrize("after", [{"after": "delete"}, {"after": "move", "move_to": "/done"}], ids=["delete", "move"])
def test_a_file_that_is_replaced_in_the_instant_before_it_is_let_go_is_put_back(watched, client, server, after):
    watched.restart(**after)
    watched.put("contacts.csv")

    def replace(operation, path):
        if operation == "rename":
            server.before = lambda *_: None
            watched.put("contacts.csv", "new content")

    server.before = replace
    watched.pass_time(2)
    assert (watched.names(), watched.names("")) == (["contacts.csv"], ["in"])
    watched.pass_time(2)
    assert (len(client.requests), watched.names()) == (2, [])


def test_of_two_that_replace_a_file_while_it_is_let_go_the_newest_keeps_its_name(watched, client, server):
    watched.restart(after="delete")
    watched.put("contacts.csv")

    def replace(operation, path):
        if operation == "rename":
            server.before = lambda *_: None
            watched.put("contacts.csv", "new content")
            server.after = lambda *_: watched.put("contacts.csv", "newest content")

    server.before = replace
    lines = watched.pass_time(2)
    server.after = lambda *_: None
    assert [each["event"] for each in lines if each["log_level"] == "warning"] == ["file_not_let_go"]
    watched.pass_time(2)
    assert len(client.requests) == 2
    assert [(watched.server.root / "in" / name).read_text() for name in watched.names()] == ["new content"]


@pytest.mark.parametrize("operation", ["rename", "remove"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_whoever_finds_a_hidden_file_and_its_marker_ends_what_another_began(watched, client, server, operation, moment):
    options = {"after": "delete", "marker": ".done"}
    watched.restart(**options)
    watched.put("contacts.csv")
    watched.put("contacts.csv.done", "")

    def cut(at, path):
        if at == operation and client.requests:
            setattr(server, moment, lambda *_: None)
            for each in list(server.open):
                each.abort()

    setattr(server, moment, cut)
    with pytest.raises(SourceUnavailableError):
        watched.pass_time(2)
    watched.restart(**options)
    watched.pass_time(2)
    assert (len(client.requests), watched.names()) == (1, [])


def test_the_marker_of_a_new_file_stays_when_the_file_before_it_is_let_go(watched, client, server):
    watched.restart(after="delete", marker=".done")
    watched.put("contacts.csv")
    os.utime(watched.put("contacts.csv.done", ""), ns=(1, 1_700_000_000_000_000_000))

    def write(operation, path):
        server.after = lambda *_: None
        watched.put("contacts.csv", "new content")
        watched.put("contacts.csv.done", "")

    server.after = write
    watched.pass_time(2)
    assert watched.names() == ["contacts.csv", "contacts.csv.done"]
    watched.pass_time(2)
    assert (len(client.requests), watched.names()) == (2, [])


def test_a_server_that_dates_renamed_files_anew_keeps_its_files_and_says_so(watched, client, server):
    move(watched)
    watched.put("contacts.csv")
    times = iter(range(1_700_000_000, 1_800_000_000, 60))

    def date(operation, path):
        for each in (server.root / "in").iterdir():
            os.utime(each, (1, next(times)))

    server.after = date
    lines = watched.pass_time(2, 60, 60, 60, 60)
    assert [each["reason"] for each in lines if each["event"] == "file_not_let_go"] == [
        "the server gives a renamed file a new time stamp, so all files stay; use keep"
    ]
    assert (watched.names(), len(client.requests)) == (["contacts.csv"], 2)


def test_who_keeps_files_touches_none_that_others_hide(watched, client, server):
    watched.restart(complete=["*"])
    watched.put(f"{PREFIX}{'0' * 16}-contacts.csv")
    assert watched.events(2, 60) == []
    assert watched.names() == [f"{PREFIX}{'0' * 16}-contacts.csv"]


def test_a_source_that_ends_between_acceptance_and_move_moves_the_file_after_its_restart(watched, client, server):
    move(watched, timeout=0.3)
    watched.put("contacts.csv")
    server.stalls = {"rename"}
    with pytest.raises(SourceUnavailableError):
        watched.pass_time(2)
    assert len(client.requests) == 1
    server.stalls = set()
    move(watched)
    assert watched.events(2) == ["file_known", "file_let_go"]
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
    stuck = said_of(watched)
    server.before = lambda *_: None
    watched.pass_time(60)
    assert watched.names() == []
    assert (stuck["state"], stuck["text"]) == ("unmoved", "read only, move_to /done")
    assert ("again" in stuck, said_of(watched)["state"]) == (True, "watched")


def said_of(watched):
    standing = watched.source._intake.standing
    return standing.describe("drop", standing.clock(), 10)


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
    assert watched.events(2) == ["file_submitted"]


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
