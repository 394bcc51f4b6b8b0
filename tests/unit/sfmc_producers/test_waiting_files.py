"""Files and entries that start nothing yet: each says why, and none harms another."""

import contextlib
import os
import sys
from pathlib import Path

import pytest

from sfmc_import.operations.unreadable import LINK_TO_NOTHING, NO_FILE
from sfmc_import.routing import Route
from sfmc_producers.stability import StabilityRule, WaitingFile
from sfmc_producers.watch import MAX_FILES, HangingFolders, describe
from tests.support.fake_client import FakeClient
from tests.support.watched_folder import Watched

FRAMES = 300


def test_a_link_to_itself_is_reported_once_and_stops_nothing(watched, client):
    watched.put("contacts.csv")
    (watched.path / "loop.csv").symlink_to("loop.csv")

    assert sorted(watched.pass_time(2, 5)) == ["entry_unreadable", "file_submitted"]
    assert watched.waiting == {"loop.csv": ("unreadable", 0)}
    (watched.path / "loop.csv").unlink()
    assert watched.pass_time(1) == []
    assert watched.waiting == {}


def test_a_link_to_a_file_that_is_not_there_waits_until_it_is_there(watched, client):
    (watched.path / "contacts.csv").symlink_to("sub/real.csv")

    assert watched.pass_time(2, 5) == ["entry_unreadable"]
    [waits] = watched.watch.waiting
    assert (waits.name, waits.reason, waits.text) == ("contacts.csv", "unreadable", LINK_TO_NOTHING)
    watched.put("sub/real.csv")
    watched.pass_time(2, 5)
    assert (watched.waiting, [each.file.name for each in client.requests.values()]) == ({}, ["contacts.csv"])


def test_a_pipe_is_reported_as_what_it_is_and_waited_for(watched, client):
    os.mkfifo(watched.path / "contacts.csv")

    assert watched.pass_time(2, 5) == ["entry_unreadable"]
    [waits] = watched.watch.waiting
    assert (waits.name, waits.reason, waits.text) == ("contacts.csv", "unreadable", NO_FILE)
    (watched.path / "contacts.csv").unlink()
    watched.put("contacts.csv")
    watched.pass_time(2, 5)
    assert (watched.waiting, [each.file.name for each in client.requests.values()]) == ({}, ["contacts.csv"])


def test_an_unreadable_entry_of_an_ignored_name_is_not_reported(watched):
    (watched.path / ".loop").symlink_to(".loop")
    (watched.path / ".#orders.csv").symlink_to("ann@host.4711")

    assert watched.pass_time(2) == []


def test_an_unreadable_entry_that_the_pattern_leaves_out_is_not_reported(tmp_path, client):
    watched = Watched(tmp_path, client, pattern="*.csv")
    (tmp_path / "loop.txt").symlink_to("loop.txt")

    assert watched.pass_time(2) == []


@pytest.fixture
def few_frames():
    """Let calls go 300 deep only: a tree deeper than that is made and removed quickly."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(FRAMES)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("few_frames")
def test_a_tree_deeper_than_a_program_can_call_is_scanned(tmp_path, client):
    watched = Watched(tmp_path, client, recursive=True)
    watched.put("contacts.csv")
    with contextlib.chdir(tmp_path):
        for _ in range(FRAMES):
            Path("level").mkdir()
            os.chdir("level")
        Path("orders.csv").write_text("id\n")
        try:
            seen = watched.pass_time(2)
        finally:
            # pytest could not remove such a tree.
            Path("orders.csv").unlink()
            for _ in range(FRAMES):
                os.chdir("..")
                Path("level").rmdir()

    # The path of the deepest file is too long for a request.
    assert sorted(seen) == ["file_rejected", "file_submitted"]


def test_files_of_a_subfolder_that_becomes_unreadable_are_not_called_gone(tmp_path, client):
    watched = Watched(tmp_path, client, recursive=True)
    watched.put("sub/contacts.csv")
    watched.pass_time(1)
    # A link in the place of the folder, so that listing it fails for every user.
    (tmp_path / "sub").rename(tmp_path / ".away")
    (tmp_path / "sub").symlink_to("sub")

    assert watched.pass_time(1) == ["entry_unreadable"]


def test_a_name_that_is_no_text_waits_with_its_bytes_escaped(watched, client):
    Path(os.fsdecode(os.fsencode(watched.path) + b"/bad\xff.csv")).touch()
    watched.pass_time(2, 5)

    assert watched.waiting == {"bad\\xff.csv": ("unnamable", 0)}


def test_a_file_that_a_program_has_open_for_writing_waits_until_it_is_closed(watched, client):
    with (watched.path / "contacts.csv").open("w") as writer:
        writer.write("id\n")
        writer.flush()

        assert watched.pass_time(2, 60, 60) == ["file_open_for_writing"]
        assert watched.waiting == {"contacts.csv": ("open", 0)}
    assert watched.pass_time(2) == ["file_submitted"]
    assert watched.waiting == {}


def test_a_file_that_a_program_reads_does_not_wait(watched, client):
    watched.put("contacts.csv")
    with (watched.path / "contacts.csv").open():
        assert watched.pass_time(2) == ["file_submitted"]


def test_open_files_can_be_started_all_the_same(tmp_path, client):
    watched = Watched(tmp_path, client, rule=StabilityRule(seconds=2.0, open_files="run"))
    with (tmp_path / "contacts.csv").open("w") as writer:
        writer.write("id\n")
        writer.flush()

        assert watched.pass_time(2) == ["file_submitted"]


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_another_request(watched, client):
    for content in ("AAAA", "BBBB"):
        watched.put(".copy", content)
        os.utime(watched.path / ".copy", ns=(0, 10**18))
        (watched.path / ".copy").rename(watched.path / "contacts.csv")
        watched.pass_time(2)

    assert len(client.requests) == 2
    assert len({each.file.content_hash for each in client.requests.values()}) == 2
    assert len({each.file.fingerprint for each in client.requests.values()}) == 1


def test_a_file_whose_rights_change_is_the_same_file(watched, client):
    watched.put("contacts.csv")
    watched.pass_time(2)
    (watched.path / "contacts.csv").chmod(0o600)

    assert watched.pass_time(2) == ["file_known"]
    assert len(client.requests) == 1


MOUNTS = "27 1 254:0 / / rw - ext4 /dev/vda rw\n40 27 0:35 / {folder} rw - fuse.sshfs in@host:/ rw\n"


def test_on_a_network_file_system_files_wait_longer_and_openers_are_not_asked_for(tmp_path, client):
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "mountinfo").write_text(MOUNTS.format(folder=folder))
    watched = Watched(folder, client, mountinfo=tmp_path / "mountinfo", network_seconds=60)
    with (folder / "contacts.csv").open("w") as writer:
        writer.write("id\n")
        writer.flush()

        assert watched.pass_time(2, 57) == ["network_folder_recognized"]
        assert watched.logs[0]["file_systems"] == ["fuse.sshfs"]
        assert watched.pass_time(1) == ["file_submitted"]


def test_every_file_that_starts_nothing_waits_with_its_reason(watched, client):
    client.routes = [Route(pattern="long_*.csv", customer_key="k{1}")]
    watched.restart()
    client.define("orders-too", "orders.csv")
    watched.put("contacts.csv", "")
    watched.put("orders.csv")
    watched.put("stranger.csv")
    watched.put(f"long_{'x' * 40}.csv")
    watched.pass_time(2, 5)
    watched.put("new.csv")
    watched.pass_time()

    assert watched.waiting == {
        "contacts.csv": ("empty", 0),
        "orders.csv": ("ambiguous", 0),
        "stranger.csv": ("unmatched", 0),
        f"long_{'x' * 40}.csv": ("refused", 0),
        "new.csv": ("growing", 7),
    }


def test_a_file_that_no_definition_matches_says_how_nearly_one_does(watched):
    watched.put("CONTACTS.csv")
    watched.put("stranger.csv")
    watched.pass_time(2, 5)

    assert {each.name: each.code for each in watched.watch.waiting} == {
        "CONTACTS.csv": "case_differs",
        "stranger.csv": "no_match",
    }


def test_files_wait_while_redis_or_the_definitions_are_unavailable(watched, client):
    client.ledger_is_down = client.cloud_is_down = True
    watched.put("contacts.csv")
    watched.pass_time(2)

    assert watched.waiting == {"contacts.csv": ("unavailable", 0)}
    client.ledger_is_down = client.cloud_is_down = False
    watched.pass_time(10)
    assert watched.waiting == {}


def test_a_file_that_waits_for_the_account_says_what_failed_with_its_code(watched, client):
    client.cloud_is_down = True
    watched.put("contacts.csv")
    watched.pass_time(2, 1)

    [file] = watched.watch.waiting
    assert (file.reason, bool(file.code)) == ("unavailable", True)
    assert file.text.startswith("Cannot read the definitions of business unit 510001234 (")
    assert f"({file.code})" in file.text


def test_a_file_that_waits_for_the_ledger_says_so_in_its_words(watched, client):
    client.ledger_is_down = True
    watched.put("contacts.csv")
    watched.pass_time(2, 1)

    [file] = watched.watch.waiting
    assert (file.reason, file.code, bool(file.text)) == ("unavailable", "redis", True)
    assert file.again_at is not None
    assert file.again_at >= file.since
    [said] = describe(HangingFolders([watched.watch], 1.0, lambda: 0.0), file.again_at - 3.0)
    assert said["files"][0]["again"] == 3.0


def test_of_very_many_files_the_oldest_and_the_newest_are_named(watched, client):
    waiting = [WaitingFile(name=str(number), reason="growing", since=float(number)) for number in range(MAX_FILES + 50)]
    watched.watch.waiting = tuple(reversed(waiting))
    [said] = describe(HangingFolders([watched.watch], 1.0, lambda: 0.0), 1000.0)

    names = [file["name"] for file in said["files"]]
    assert (names[0], names[-1], len(names), said["more"]) == ("0", str(MAX_FILES + 49), MAX_FILES, 50)


def test_another_file_system_at_the_place_of_the_folder_is_logged_and_reported(tmp_path, client):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / {tmp_path} rw - nfs4 server:/x rw\n")
    watched = Watched(tmp_path, client, mountinfo=mounts, pattern="*.csv")
    watched.pass_time(1)
    [before] = describe(HangingFolders([watched.watch], 1.0, lambda: 0.0), 1000.0)
    mounts.write_text("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n")
    watched.watch.identity = None

    assert "folder_on_other_file_system" in watched.pass_time(1)
    [now] = describe(HangingFolders([watched.watch], 1.0, lambda: 0.0), 1000.0)
    assert (before["mount"], now["mount"]) == (f"nfs4 server:/x / {tmp_path}", "ext4 - / /")


class Silent(FakeClient):
    """Asked for the definitions, it lets time pass, and keeps what is said of the folder meanwhile."""

    def look_on(self, watched, *seconds):
        self.watched, self.seconds, self.said = watched, seconds, []

    def all_of(self, mid, *, max_age=0.0):
        for each in self.seconds:
            self.watched.now += each
            hanging = HangingFolders([self.watched.watch], 30.0, lambda: self.watched.now)
            (found,) = describe(hanging, self.watched.now)
            self.said.append((found["state"], [(file["name"], file["reason"], file["age"]) for file in found["files"]]))
        return super().all_of(mid, max_age=max_age)


def test_while_the_definitions_are_asked_for_all_finished_files_are_shown_to_wait_for_them(tmp_path):
    client = Silent()
    watched = Watched(tmp_path, client)
    watched.put("contacts.csv")
    watched.put("orders.csv")
    watched.pass_time(1)
    watched.put("new.csv")
    client.look_on(watched, 4.9, 0.1, 100)
    watched.pass_time(1)

    reasons = [{name: reason for name, reason, _ in files} for _, files in client.said]
    grows = dict.fromkeys(("contacts.csv", "new.csv", "orders.csv"), "growing")
    asked = grows | dict.fromkeys(("contacts.csv", "orders.csv"), "unavailable")
    assert (reasons, {state for state, _ in client.said}) == ([grows, asked, asked], {"watched"})
    ages = [{name: age for name, _, age in files} for _, files in client.said]
    assert ages[2]["orders.csv"] == ages[1]["orders.csv"] + 100
    assert "unavailable" not in [reason for reason, _ in watched.waiting.values()]


def test_files_that_could_not_be_taken_before_say_still_when_they_are_tried_again(tmp_path):
    client = Silent(cloud_is_down=True)
    watched = Watched(tmp_path, client)
    watched.put("contacts.csv")
    client.look_on(watched, 0)
    watched.pass_time(1, 2)
    before = watched.watch.waiting
    client.look_on(watched, 100)
    watched.pass_time(60)

    assert before[0].text.endswith("Marketing Cloud does not answer")
    assert client.said[0][1][0][1] == "unavailable"
    assert watched.watch.waiting[0].text == before[0].text
