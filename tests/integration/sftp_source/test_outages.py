"""A server that is away, stalls, lies or loses its folder; each question has an end."""

import socket
import threading
import time
from contextlib import contextmanager

import asyncssh
import pytest
from structlog.testing import capture_logs

from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.receiving import SourceUnavailableError
from tests.support.sftp_server import entry, listing_of
from tests.support.waiting import eventually


@contextmanager
def running(watched):
    """The source runs in a thread, as in the command."""
    wakeup = Wakeup()
    with capture_logs() as lines:
        thread = threading.Thread(target=watched.source.run, args=(wakeup,))
        thread.start()
        try:
            yield lines
        finally:
            wakeup.stop()
            thread.join(20)
    assert not thread.is_alive()


def said(lines, event):
    return [line for line in lines if line["event"] == event]


def test_a_server_that_goes_and_comes_back_is_connected_again_with_one_line_for_each(watched, client, server):
    watched.restart(every=0.05, stable=0.01)
    watched.source._clock = time.monotonic
    with running(watched) as lines:
        eventually(lambda: server.connections == 1, 10, "it is connected")
        server.cut()
        eventually(lambda: said(lines, "source_unavailable"), 10, "it says so")
        watched.put("contacts.csv")
        server.listen()
        eventually(lambda: client.started, 20, "the file is taken")
    assert len(said(lines, "source_unavailable")) == len(said(lines, "source_available")) == 1


def test_a_connection_that_is_lost_within_a_listing_changes_nothing(watched, client, server):
    watched.put("contacts.csv")
    watched.pass_time()

    async def half(path):
        yield entry(b"orders.csv")
        await server._drop()
        yield entry(b"contacts.csv")

    server.entries, watched.now = half, 1
    with pytest.raises(SourceUnavailableError):
        watched.pass_time()
    server.entries, watched.now = None, 2
    watched.pass_time()
    assert client.started == [("contacts.csv", "contacts")]


@pytest.mark.parametrize("operation", ["scandir", "lstat", "rename"])
def test_a_server_that_does_not_answer_is_given_up_and_its_connection_ended(watched, server, operation):
    watched.put("contacts.csv")
    watched.restart(timeout=0.3, after="move", move_to="/done")
    server.stalls = {operation}
    with pytest.raises(SourceUnavailableError, match=r"no answer within 0\.3 s"):
        watched.pass_time(2)
    eventually(lambda: not server.open, 10, "the connection is gone")
    server.stalls = set()
    watched.pass_time(2)
    assert watched.names("done") == ["contacts.csv"]


def test_a_server_that_accepts_and_says_nothing_costs_one_deadline(watched, server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        watched.restart(port=silent.getsockname()[1], timeout=0.3)
        with pytest.raises(SourceUnavailableError, match=r"no connection within 0\.3 s"):
            watched.pass_time()


def test_a_listing_without_end_is_stopped_by_the_number_of_its_entries(watched, client, server):
    async def endless(path):
        number = 0
        while True:
            number += 1
            yield entry(f"f{number}.csv".encode())

    server.entries = endless
    watched.restart(max_files=1000)
    with pytest.raises(SourceUnavailableError, match="more than 1000 entries"):
        watched.pass_time()
    assert client.requests == {}


def test_a_slow_listing_is_stopped_by_the_time_for_all_of_it(watched, server):
    def slow(path):
        watched.now += 400
        return listing_of(entry(b"a.csv"), entry(b"b.csv"))(path)

    server.entries = slow
    watched.restart(listing_timeout=300)
    with pytest.raises(SourceUnavailableError, match="took longer than 300 s"):
        watched.pass_time()


def test_folders_inside_one_another_without_end_are_left_at_a_depth(watched, server):
    server.entries = listing_of(entry(b"sub", mode=0o040755))
    watched.restart(recursive=True)
    asked = []
    server.before = lambda _, path: asked.append(path)
    watched.pass_time()
    assert 30 < len(asked) < 40


def test_a_folder_that_goes_away_and_comes_back_is_said_once_and_every_file_settles_anew(watched, client, server):
    watched.put("contacts.csv")
    watched.pass_time()
    (server.root / "in").rename(server.root / "away")
    assert watched.events(1, 1) == ["folder_unreadable"]
    (server.root / "away").rename(server.root / "in")
    assert watched.events() == ["folder_readable_again"]
    assert client.started == []
    watched.pass_time(2)
    assert client.started == [("contacts.csv", "contacts")]


def test_a_subfolder_that_cannot_be_read_harms_no_other_file(watched, client, server):
    watched.restart(recursive=True)
    watched.put("contacts.csv")
    watched.put("closed/orders.csv")

    def refuse(operation, path):
        if operation == "scandir" and path.endswith("closed"):
            raise asyncssh.SFTPPermissionDenied("not for you")

    server.before = refuse
    lines = watched.pass_time(2, 2)
    assert [(each["file"], each["reason"]) for each in said(lines, "entry_unreadable")] == [("closed", "not for you")]
    assert client.started == [("contacts.csv", "contacts")]


def test_between_listings_that_are_far_apart_the_connection_is_closed(watched, server):
    watched.restart(every=600, idle_close=300)
    with running(watched):
        eventually(lambda: server.connections == 1 and not server.open, 10, "it was opened and closed")


def test_between_listings_that_are_near_the_connection_is_kept(watched, server):
    watched.restart(every=0.02)
    lists = []
    server.before = lambda _, path: lists.append(path)
    with running(watched):
        eventually(lambda: len(lists) > 5, 10, "it lists again and again")
    assert server.connections == 1


class Stopped(Wakeup):
    """Waits for nothing."""

    def wait(self, _timeout):
        return True


def test_the_source_says_what_waits_and_since_when_its_server_does_not_answer(watched, server):
    watched.put("contacts.csv")
    standing = watched.source._intake.standing
    watched.source.scan(Wakeup())
    waits = standing.describe("drop", standing.clock(), 10)
    watched.restart(port=1)
    standing = watched.source._intake.standing
    watched.source._step(Stopped(), 0)
    away = standing.describe("drop", standing.clock(), 10)

    assert waits["folder"].startswith("source drop (sftp://")
    assert [(each["name"], each["reason"]) for each in waits["files"]] == [("contacts.csv", "growing")]
    assert (waits["state"], away["state"]) == ("watched", "unreachable")
    assert ("again" in waits, away["again"] > 0) == (False, True)
