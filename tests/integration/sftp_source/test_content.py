"""The content of an arrival, for who delivers it: all of it as announced, or an error."""

from dataclasses import replace

import pytest

from sfmc_producers.content_errors import ContentChangedError, ContentUnavailableError
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.receiving import SourceUnavailableError
from sfmc_producers.sources.sftp.content import read_content
from tests.support.waiting import eventually

BYTES = bytes(range(256)) * 12_345


@pytest.fixture
def arrival(watched):
    watched.put("contacts.csv").write_bytes(BYTES)
    [found] = watched.source.listed_once()
    return found


def chunks_of(watched, arrival, offset=0):
    source = watched.source
    return read_content(source._server, source._options, arrival.file, offset)


def content(watched, arrival, offset=0):
    return b"".join(chunks_of(watched, arrival, offset))


def other(arrival, **changes):
    return Arrival(file=replace(arrival.file, **changes))


def test_a_file_comes_in_bounded_chunks_and_from_any_place_on(watched, arrival):
    chunks = list(chunks_of(watched, arrival))
    assert b"".join(chunks) == BYTES
    assert max(map(len, chunks)) <= 1 << 20
    assert content(watched, arrival, offset=3_000_000) == BYTES[3_000_000:]


def test_a_file_that_was_moved_after_its_acceptance_is_still_read(watched, arrival):
    watched.restart(after="move", move_to="/done")
    watched.pass_time(2)
    assert watched.names() == []
    assert content(watched, arrival) == BYTES


@pytest.mark.parametrize("announced", [len(BYTES) - 1, len(BYTES) + 1])
def test_a_server_that_lies_about_the_size_is_found_out(watched, arrival, server, announced):
    def lie(attributes):
        attributes.size = announced

    server.attributes = lie
    [found] = watched.source.listed_once()
    with pytest.raises(ContentChangedError):
        content(watched, found)


def test_a_server_that_gives_more_or_less_than_it_says_is_found_out_while_reading(watched, arrival, server):
    def grow(operation, path):
        if operation == "read":
            server.before = lambda *_: None
            watched.put("contacts.csv").write_bytes(BYTES * 2)

    server.before = grow
    with pytest.raises(ContentChangedError, match="has more than"):
        content(watched, arrival)


def test_a_file_that_is_gone_or_has_other_content_is_an_error_before_the_first_chunk(watched, arrival):
    path = watched.put("contacts.csv", "other")
    with pytest.raises(ContentChangedError, match="other content by now"):
        content(watched, arrival)
    path.unlink()
    with pytest.raises(ContentChangedError, match="is gone"):
        content(watched, arrival)


@pytest.mark.parametrize(
    "changes",
    [
        {"location": "sftp://elsewhere:22/in"},
        {"name": "../secret.csv"},
        {"name": ".."},
        {"location": "{}/../etc"},
        {"location": "{}2"},
        {"size": None},
        {"modified_ns": None},
    ],
)
def test_a_file_that_is_not_of_this_source_is_never_asked_for(watched, arrival, server, changes):
    changed = {name: value.format(arrival.file.location) if value else value for name, value in changes.items()}
    asked = []
    server.before = lambda _, path: asked.append(path)
    with pytest.raises(ContentChangedError):
        content(watched, other(arrival, **changed))
    assert asked == []


def test_a_server_that_stalls_while_a_file_is_read_is_given_up(watched, arrival, server):
    watched.restart(timeout=0.3)
    server.stalls = {"read"}
    with pytest.raises(SourceUnavailableError, match="no answer within"):
        content(watched, arrival)


def test_files_read_at_once_share_the_connections_that_are_allowed(watched, arrival, server):
    watched.restart(connections=2)
    readers = [chunks_of(watched, arrival) for _ in range(4)]
    for each in readers:
        next(each)
    watched.pass_time(2)
    assert all(b"".join(each) for each in readers)
    assert server.peak == 2


def test_a_server_that_allows_fewer_connections_than_configured_is_used_with_those(watched, arrival, server):
    watched.restart(connections=3)
    server.most_connections = 1
    readers = [chunks_of(watched, arrival) for _ in range(2)]
    for each in readers:
        next(each)
    assert all(b"".join(each) for each in readers)


def test_a_reader_that_stops_early_gives_its_connection_back(watched, arrival, server):
    watched.restart(connections=1)
    for _ in range(3):
        reader = chunks_of(watched, arrival)
        next(reader)
        reader.close()
    assert content(watched, arrival) == BYTES
    assert server.peak == 1


def test_an_arrival_opens_its_content_from_any_place_on(arrival):
    with arrival.open_content() as opened:
        assert opened.seekable()
        assert opened.read(1000) == BYTES[:1000]
        opened.seek(2_000_000)
        assert b"".join(iter(lambda: opened.read(4_000_000), b"")) == BYTES[2_000_000:]
        opened.seek(5)
        assert opened.read(10) == BYTES[5:15]


def test_a_file_that_changes_after_its_last_byte_was_read_has_no_end(watched, arrival):
    with arrival.open_content() as opened:
        read = 0
        while read < len(BYTES):
            read += len(opened.read(4_000_000))
        watched.put("contacts.csv", "other")
        with pytest.raises(ContentChangedError):
            opened.read(1)


def test_a_server_that_stalls_makes_the_content_unavailable(watched, server):
    watched.restart(timeout=0.3)
    watched.put("contacts.csv").write_bytes(BYTES)
    [found] = watched.source.listed_once()
    server.stalls = {"read"}
    with found.open_content() as opened, pytest.raises(ContentUnavailableError, match="no answer within"):
        opened.read(1)


def test_content_that_is_open_keeps_the_connection_and_its_end_closes_it(watched, arrival, server):
    with arrival.open_content() as opened:
        opened.read(10)
        watched.source.close()
        opened.seek(2_000_000)
        assert opened.read(10) == BYTES[2_000_000:2_000_010]
        assert server.connections == 1
    eventually(lambda: not server.open, 10, "the connection is closed")
