"""The commands `scan` and `explain`, and `scan_every`: a folder and a stream, real processes, the sandbox."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import posts
from tests.support.processes import RunningSystem, running_system
from tests.support.sources import running_source, use_policy
from tests.support.waiting import eventually

ROWS = "Key,Value\n1,one\n"


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with running_system(least_rights=True) as made:
        made.worker()
        made.beat()
        control = made.sandbox.control
        control.define("daily", FileSpec="daily.csv", MaxImportFrequency=1)
        control.define("free", FileSpec="free.csv")
        control.define("dated", FileSpec="dated_%%YEAR%%%%MONTH%%%%DAY%%.csv")
        control.define("fresh", FileSpec="fresh.csv", MaxFileAge=1)
        made.sandbox.drop("daily.csv", ROWS)
        yield made


@pytest.fixture
def idle() -> Iterator[RunningSystem]:
    """Without workers: requests are recorded only."""
    with running_system(least_rights=True) as made:
        yield made


class Folder:
    """A folder, its source and the commands about it."""

    def __init__(self, system: RunningSystem, path: Path, *lines: str) -> None:
        self.system, self.path = system, path
        path.mkdir(exist_ok=True)
        head = ("[[source]]", 'name = "drop"', 'kind = "folder"', f'path = "{path}"', "stable_seconds = 0.01")
        self.policy = "\n".join((*head, *lines, ""))

    def put(self, *names: str, text: str = ROWS) -> None:
        for name in names:
            (self.path / name).write_text(text)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return self.system.run(*command, **use_policy(self.system, self.policy))

    def scan(self, *options: str) -> tuple[list[str], dict[str, int]]:
        """The names of new files, and the counts."""
        done = self.run("scan", "drop", "--json", *options)
        assert done.returncode == 0, done.stderr
        *found, last = map(json.loads, done.stdout.splitlines())
        return sorted(each["file"]["name"] for each in found), last["counts"]

    def explain(self, what: str, *options: str) -> dict[str, Any]:
        done = self.run("explain", what, "--json", *options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


ROUTE = ("[[source.route]]", 'pattern = "orders_*.csv"', 'customer_key = "orders"')


def test_a_scan_submits_what_has_no_request_yet_and_twice_submits_nothing_new(
    idle: RunningSystem, tmp_path: Path
) -> None:
    folder = Folder(idle, tmp_path / "in", *ROUTE)
    folder.put("orders_1.csv", "orders_2.csv", "orders_old.csv", "unknown.csv")
    os.utime(folder.path / "orders_old.csv", (time.time() - 40 * 86400,) * 2)
    three = ["orders_1.csv", "orders_2.csv"]

    assert folder.scan("--dry-run")[0] == three
    assert idle.names() == []
    new, counts = folder.scan()
    assert (new, counts["new"], counts["known"], counts["unmatched"], counts["older"]) == (three, 2, 0, 1, 1)
    assert sorted(idle.names()) == ["accepted", "accepted", "unrouted"]
    folder.put("orders_1.csv", text=ROWS * 2)
    assert folder.scan("--dry-run")[0] == ["orders_1.csv"]
    assert folder.scan()[0] == ["orders_1.csv"]
    new, counts = folder.scan("--since", "60d")
    assert (new, counts["known"], counts["older"]) == (["orders_old.csv"], 2, 0)
    assert idle.names().count("unrouted") == 1
    shown = json.loads(folder.run("status", "--unmatched", "--json").stdout)
    assert (shown["count"], shown["unmatched"][0]["name"]) == (1, "unknown.csv")


def test_a_watcher_and_its_scans_see_one_arrival_of_each_file(idle: RunningSystem, tmp_path: Path) -> None:
    folder = Folder(idle, tmp_path / "in", "rescan = 0.1", 'scan_every = "0.2s"', *ROUTE)
    folder.put(*(f"orders_{number}.csv" for number in range(20)))
    with running_source(idle, "drop", folder.policy) as child:
        eventually(lambda: len(idle.names()) >= 20, 30, "all are accepted")
        scanned = idle.log_of(child)
        eventually(lambda: scanned.read_text().count("source_scanned") >= 3, 30, "they are scanned again")
    assert folder.scan()[1]["known"] == 20
    assert idle.names() == ["accepted"] * 20


def test_what_cannot_be_scanned_is_said_in_one_line(idle: RunningSystem, tmp_path: Path) -> None:
    folder = Folder(idle, tmp_path / "in")
    folder.path.rmdir()
    stream = '[[source]]\nname = "drop"\nkind = "stream"\nkey = "k"\n'
    wrong = [
        (folder.run("scan", "drop"), 1, "cannot be read"),
        (idle.run("scan", "drop", **use_policy(idle, stream)), 2, "a source of kind stream cannot be listed"),
        (
            idle.run("source", "drop", **use_policy(idle, stream + 'scan_every = "1h"\n')),
            2,
            "scan_every: a source of kind stream cannot be listed",
        ),
    ]

    assert [(done.returncode, said in done.stderr) for done, _, said in wrong] == [(code, True) for _, code, _ in wrong]


@pytest.mark.nightly
def test_a_file_is_explained_from_rule_to_decision_and_nothing_is_done(system: RunningSystem, tmp_path: Path) -> None:
    folder = Folder(system, tmp_path / "in", *ROUTE)
    folder.put("free.csv", "dated_20200101.csv", "orders_1.csv", "fresh.csv", "free.csv.part")
    os.utime(folder.path / "fresh.csv", (time.time() - 7200,) * 2)
    before = system.names()

    free = folder.explain(str(folder.path / "free.csv"), "--source", "drop")
    dated = folder.explain(str(folder.path / "dated_20200101.csv"), "--source", "drop")
    unknown = folder.explain(str(folder.path / "orders_1.csv"), "--source", "drop")
    old = folder.explain(str(folder.path / "fresh.csv"))
    assert [(each["rule"], each["matched"]) for each in free["rules"]] == [
        ("route 1 of the source (orders_*.csv)", False),
        ("FileSpec of free", True),
    ]
    assert "does not match all of the name" in free["rules"][0]["why"]
    assert (free["decision"]["what"], free["definition"]["file_spec"]) == ("start", "free.csv")
    assert (dated["decision"]["what"], dated["decision"]["reason"]) == ("nothing", "date_differs")
    assert (unknown["rules"][0]["matched"], unknown["decision"]["reason"]) == (True, "43010")
    unfinished = folder.explain(str(folder.path / "free.csv.part"), "--source", "drop")
    assert (unfinished["decision"]["reason"], "not complete" in unfinished["rules"][0]["why"]) == ("ignored", True)
    assert (old["decision"]["what"], old["decision"]["reason"]) == ("reject", "file_too_old")
    (folder.path / "free.csv").write_text("")
    empty = folder.explain(str(folder.path / "free.csv"), "--source", "drop")["decision"]
    assert (empty["what"], empty["reason"]) == ("nothing", "empty")
    (folder.path / "free.csv").write_text(ROWS * 2)
    # Without a source the usual rule of watchers counts: ten seconds.
    growing = folder.explain(str(folder.path / "free.csv"))["decision"]
    assert (growing["what"], growing["reason"], "; after that: start" in growing["text"]) == ("wait", "growing", True)
    assert system.names() == before


def test_a_posted_event_is_explained_by_the_form_of_its_source(system: RunningSystem, tmp_path: Path) -> None:
    event = {"EventName": "s3:ObjectCreated:Put", "Records": [posts.s3_record("in/orders_1.csv")]}
    (tmp_path / "event.json").write_text(json.dumps(event))
    lines = ('[[source]]\nname = "hook"\nkind = "push"\nform = "s3-webhook"\nauth = "none"', *ROUTE)
    policy = use_policy(system, "\n".join(lines))

    done = system.run("explain", str(tmp_path / "event.json"), "--source", "hook", "--json", **policy)

    explained = json.loads(done.stdout)
    assert (explained["file"]["location"], explained["file"]["name"]) == ("s3://drop/in", "orders_1.csv")
    assert explained["target"]["customer_key"] == "orders"


def test_without_an_address_of_marketing_cloud_the_lines_say_what_to_do(system: RunningSystem, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(ROWS)
    done = system.run("explain", str(file), SFMC_SOAP_URL="", SFMC_AUTH_URL="")
    assert "the address is not set: see what is missing with sfmc-import doctor" in done.stdout + done.stderr


@pytest.mark.nightly
def test_what_the_ledger_would_decide_is_what_it_then_decides(system: RunningSystem, tmp_path: Path) -> None:
    folder = Folder(system, tmp_path / "in")
    folder.put("daily.csv")
    first = folder.explain(str(folder.path / "daily.csv"), "--source", "drop")
    assert first["decision"]["what"] == "start"
    assert folder.scan()[0] == ["daily.csv"]
    system.await_event("completed", first["request_id"])

    again = folder.explain(str(folder.path / "daily.csv"), "--source", "drop")["decision"]
    assert (again["what"], again["request_id"]) == ("duplicate", first["request_id"])
    folder.put("daily.csv", text=ROWS * 2)
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"file": {"location": "/in", "name": "daily.csv", "version": "v2"}}))
    waits = folder.explain(str(event))["decision"]
    assert (waits["what"], waits["reason"], waits["request_id"]) == ("wait", "window", first["request_id"])
    assert f"waits until {waits['until']} because MaxImportFrequency of the definition" in waits["text"]
    assert folder.scan()[0] == ["daily.csv"]
    assert system.await_event("deferred")["data"]["held_by"] == first["request_id"]
