"""The same source over OpenSSH's own sftp-server."""

import os

import pytest

from tests.integration.sftp_source.watched import WatchedServer
from tests.support.sftp_server import SftpTestServer, openssh_program


@pytest.fixture
def watched(tmp_path, client):
    program = openssh_program()
    if program is None:
        pytest.skip("OpenSSH's sftp-server is not installed")
    (tmp_path / "in").mkdir()
    with SftpTestServer(tmp_path, program=program) as server:
        watched = WatchedServer(server, client, dir=f"{tmp_path}/in")
        yield watched
        watched.close()


def test_files_are_taken_and_moved_and_a_taken_name_is_not_overwritten(watched, client):
    watched.restart(after="move", move_to=f"{watched.server.root}/done", recursive=True)
    for number in range(2):
        watched.put("eu/contacts.csv", "x" * (number + 1))
        watched.pass_time(2)
    assert len(client.requests) == 2
    assert sorted(each.stat().st_size for each in (watched.server.root / "done").iterdir()) == [1, 2]
    assert watched.names("in/eu") == []


def test_links_and_names_that_are_no_text_start_nothing(watched, client):
    root = watched.server.root
    (root / "in" / "contacts.csv").symlink_to("/etc/hosts")
    (root / "in" / os.fsdecode(b"b\xff.csv")).write_bytes(b"x")
    skipped = [line["reason"] for line in watched.pass_time(2, 2) if line["event"] == "entry_skipped"]
    assert (skipped, client.started, len(watched.kept.letters)) == (["link"], [], 1)


def test_the_content_is_that_of_the_file(watched):
    watched.put("contacts.csv").write_bytes(bytes(3_000_000))
    [arrival] = watched.source.listed_once()
    assert arrival.open_content().readall() == bytes(3_000_000)


def test_a_folder_that_is_not_there_is_said_once(watched):
    (watched.server.root / "in").rename(watched.server.root / "away")
    assert watched.events(1, 1) == ["folder_unreadable"]
