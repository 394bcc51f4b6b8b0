"""Folders with bad entries, hanging mounts and exhausted limits, watched by a real process beside a real Valkey."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from redis import Redis

from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.reading import LedgerReader
from tests.support.producer_processes import Place
from tests.support.waiting import eventually

HANGING_MOUNT = Path(__file__).parents[1] / "support" / "hanging_mount"


@pytest.fixture
def place(tmp_path, redis_server):
    return Place(tmp_path, redis_server)


@pytest.fixture
def hung(place):
    """A folder whose mount hangs while the flag exists."""
    folder, flag, pipe = (place.logs / name for name in ("hung", "flag", "pipe"))
    folder.mkdir()
    os.mkfifo(pipe)
    place.env |= {"PYTHONPATH": str(HANGING_MOUNT), "HANG_FLAG": str(flag), "HANG_PIPE": str(pipe)}
    return folder, flag, pipe


def by_folder(watchers):
    return {each["folder"]: each for watcher in watchers for each in watcher["folders"]}


def noted(place):
    """What the ledger knows about the folders."""
    with Redis.from_url(place.valkey.url) as client:
        return by_folder(LedgerReader(client, Keys()).watchers())


def test_a_mount_that_hangs_stops_neither_other_folders_nor_sigterm_and_status_shows_it(place, redis, hung):
    folder, flag, pipe = hung
    dirs = [str(place.folder), str(folder)]
    with place.watcher("--key", "contacts", "--hanging-after", "0.5", dirs=dirs) as watcher:
        (folder / "a.csv").write_text("id\n")
        watcher.await_event("file_submitted")
        flag.touch()
        said = watcher.await_event("folder_hanging")
        place.put("b.csv")
        watcher.await_event("file_submitted", 2)

        assert (said["folder"], said["level"]) == (str(folder), "error")
        seen = eventually(lambda: "since" in (found := noted(place))[str(folder)] and found, 60, "it is noted")
        assert (seen[str(folder)]["state"], seen[str(place.folder)]["state"]) == ("hanging", "watched")

        flag.unlink()
        os.close(os.open(pipe, os.O_WRONLY))
        watcher.await_event("folder_answers_again")
        flag.touch()
        watcher.await_event("folder_hanging", 2)
        watcher.process.send_signal(signal.SIGTERM)
        assert watcher.process.wait(60) == 0
        assert watcher.lines()[-1]["hanging"] == [str(folder)]


@pytest.mark.nightly
def test_a_mount_that_hangs_at_the_start_is_reported_and_the_others_are_watched(place, redis, hung):
    folder, flag, _ = hung
    flag.touch()
    with place.watcher("--key", "contacts", "--hanging-after", "0.5", dirs=[str(place.folder), str(folder)]) as watcher:
        place.put("b.csv")
        watcher.await_event("file_submitted")
        watcher.await_event("folder_hanging")


def test_status_shows_files_that_wait_with_their_reason_until_they_go_on(place, redis):
    place.put("empty.csv", "")
    (place.folder / "loop.csv").symlink_to("loop.csv")
    with (place.folder / "open.csv").open("w") as writer, place.watcher("--key", "contacts") as watcher:
        writer.write("id\n")
        writer.flush()
        watcher.await_event("file_open_for_writing")
        reasons = {"empty.csv": "empty", "loop.csv": "unreadable", "open.csv": "open"}

        def files():
            return noted(place)[str(place.folder)]["files"]

        eventually(lambda: {each["name"]: each["reason"] for each in files()} == reasons, 60, "all are noted")
        shown = by_folder(json.loads(place.run("status", "--json").stdout)["watchers"])
        assert {each["name"]: each["reason"] for each in shown[str(place.folder)]["files"]} == reasons

        writer.close()
        watcher.await_event("file_submitted")
        eventually(lambda: len(files()) == 2, 60, "it does not wait any more")
    assert noted(place) == {}


NIGHTLY = pytest.mark.nightly


@pytest.mark.parametrize(
    ("limit", "number"),
    [
        ("max_inotify_instances", 0),
        pytest.param("max_inotify_watches", 0, marks=NIGHTLY),
        pytest.param("max_inotify_watches", 2, marks=NIGHTLY),
    ],
)
def test_without_notifications_the_regular_scans_find_the_files(place, redis, limit, number):
    # The limits of a user namespace: no other program is touched.
    limited = ["unshare", "-Ur", "sh", "-c", f'echo {number} > /proc/sys/user/{limit} && exec "$0" "$@"']
    if subprocess.run([*limited, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no user namespaces")
    for name in ("a", "b", "c"):
        (place.folder / name).mkdir()
    with place.watcher("--key", "contacts", "--recursive", within=limited) as watcher:
        said = watcher.await_event("file_notifications_unavailable")
        place.put("c/a.csv")
        watcher.await_event("file_submitted")

        assert "inotify" in said["reason"]
        assert watcher.events().count("file_notifications_unavailable") == 1
