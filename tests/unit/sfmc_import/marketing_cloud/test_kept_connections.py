"""Which connection carries the next call: one that answered a moment ago, and on which nothing has happened since."""

import socket
from urllib.parse import urlsplit

import pytest

from sfmc_import.marketing_cloud.exchange import MAX_IDLE_BEFORE_START, MAX_IDLE_SECONDS, MAX_KEPT, KeptConnections

ADDRESS = urlsplit("https://t.soap.example/Service.asmx")


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize(
    ("idle", "for_start", "for_query"),
    [
        (0.0, True, True),
        (MAX_IDLE_BEFORE_START - 0.01, True, True),
        (MAX_IDLE_BEFORE_START, False, True),
        (MAX_IDLE_SECONDS, False, False),
    ],
)
def test_a_start_takes_a_connection_that_answered_a_moment_ago_and_leaves_older_ones_to_queries(
    pair, idle, for_start, for_query
):
    now = [100.0]
    kept = KeptConnections(lambda: now[0])
    kept.give_back(ADDRESS, pair[0])
    now[0] += idle

    assert (kept.take(ADDRESS, MAX_IDLE_BEFORE_START) is pair[0]) is for_start
    if not for_start:
        assert (kept.take(ADDRESS) is pair[0]) is for_query


def test_a_connection_of_another_host_is_not_taken(pair):
    kept = KeptConnections()
    kept.give_back(ADDRESS, pair[0])

    assert kept.take(urlsplit("https://other.soap.example/Service.asmx")) is None


def test_no_more_connections_are_kept_than_have_a_use():
    kept = KeptConnections()
    pairs = [socket.socketpair() for _ in range(MAX_KEPT + 1)]
    for ours, _ in pairs:
        kept.give_back(ADDRESS, ours)

    assert [ours.fileno() == -1 for ours, _ in pairs] == [False] * MAX_KEPT + [True]
    for ours, theirs in pairs:
        ours.close()
        theirs.close()


@pytest.mark.parametrize("happens", ["closed", "spoke"])
def test_a_connection_that_ended_or_spoke_is_closed_and_not_given(pair, happens):
    kept = KeptConnections()
    kept.give_back(ADDRESS, pair[0])
    if happens == "closed":
        pair[1].close()
    else:
        pair[1].send(b"x")

    assert kept.take(ADDRESS) is None
    assert pair[0].fileno() == -1


def test_below_a_connection_that_ended_the_one_before_is_taken(pair):
    kept = KeptConnections()
    ended, other = socket.socketpair()
    kept.give_back(ADDRESS, pair[0])
    kept.give_back(ADDRESS, ended)
    other.close()

    assert kept.take(ADDRESS, MAX_IDLE_BEFORE_START) is pair[0]
