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


def waiting(place):
    return noted(place).get(str(place.folder), {"files": []})["files"]


def levels(place, check):
    """What `doctor` finds of this kind: level, text and fix."""
    findings = json.loads(place.run("doctor", "--json").stdout)["findings"]
    return [(each["level"], each["text"], each["fix"]) for each in findings if each["check"] == check]


def test_files_that_wait_for_marketing_cloud_are_an_alarm_in_status_show_and_doctor(place, redis):
    place.put("orders.csv")
    with place.watcher() as watcher:
        watcher.await_event("backend_unavailable")
        eventually(
            lambda: [each.get("code") for each in waiting(place)] == ["token_unavailable"], 20, "the cause is noted"
        )
        whole, one = place.run("status").stdout, place.run("show", "orders.csv")
        [(level, text, _)] = levels(place, "folder")

    for said in (whole, text):
        assert (
            "1 file in it is not looked at: Redis or the list of definitions does not answer (Cannot read the def"
            in said
        )
        assert "token_unavailable" in said
    assert f"folder {place.folder}: 1 file in it is not looked at" in whole.partition("due next")[0]
    assert (one.returncode, level) == (0, "fail")
    assert one.stdout.startswith(f"no request yet: it waits in folder {place.folder}, read by ")


@pytest.mark.nightly
def test_a_folder_whose_watcher_was_killed_is_an_alarm_until_one_reads_it_or_an_operator_forgets_it(place, redis):
    with place.watcher("--key", "contacts") as watcher:
        eventually(lambda: noted(place), 60, "the watcher says what it reads")
        os.killpg(watcher.process.pid, signal.SIGKILL)
        watcher.process.wait(60)
    # What happens a minute later.
    redis.delete(Keys().watchers)
    place.put("orders.csv")
    said = f"folder {place.folder}: NO WATCHER READS IT (it was read last on "
    assert said in place.run("status").stdout
    [(level, _, fix)] = levels(place, "folder")
    assert (level, "start its watcher again" in fix) == ("fail", True)

    with place.watcher("--key", "contacts") as watcher:
        watcher.await_event("file_submitted")
        eventually(lambda: noted(place), 60, "the watcher says what it reads")
        shown = place.run("status").stdout
        assert (said in shown, f"  folder  {place.folder}  watched, by " in shown) == (False, True)
        watcher.process.send_signal(signal.SIGTERM)
        assert watcher.process.wait(60) == 0
    assert f"  folder  {place.folder}  its watcher was stopped (it was read last on " in place.run("status").stdout
    assert levels(place, "folder")[0][0] == "ok"
    assert place.run("folders", "forget", str(place.folder)).returncode == 0
    assert place.run("folders", "list").stdout == "no folder was watched within two weeks\n"


UNMOUNTED = """mount -t tmpfs in "$WATCHED" || exit 77
(while [ ! -e "$FLAG" ]; do sleep 0.1; done; umount -l "$WATCHED") &
exec "$0" "$@"
"""


def test_a_folder_that_is_unmounted_under_its_watcher_is_an_alarm(place, redis):
    if subprocess.run(
        ["unshare", "-Urm", "mount", "-t", "tmpfs", "x", "/mnt"], capture_output=True, check=False
    ).returncode:
        pytest.skip("this machine allows no mounts in user namespaces")
    flag = place.logs / "flag"
    place.env |= {"WATCHED": str(place.folder), "FLAG": str(flag)}
    with place.watcher("--key", "contacts", within=["unshare", "-Urm", "sh", "-c", UNMOUNTED]) as watcher:
        eventually(lambda: noted(place).get(str(place.folder), {}).get("mount"), 60, "the mount is noted")
        assert "ANOTHER FILE SYSTEM" not in place.run("status").stdout
        flag.touch()
        watcher.await_event("folder_on_other_file_system")

        def shown():
            text = place.run("status").stdout
            return (
                f"folder {place.folder}: ANOTHER FILE SYSTEM than before (until then it was tmpfs in / {place.folder}"
                in text
            )

        eventually(shown, 60, "status shows it")
        assert levels(place, "folder")[0][0] == "fail"
        assert place.run("folders", "forget", str(place.folder)).returncode == 0
    assert "ANOTHER FILE SYSTEM" not in place.run("status").stdout


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
