"""The source `folder`: real folders, real processes, the sandbox."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import RunningSystem, running_system
from tests.support.sources import example_of, running_source
from tests.support.waiting import eventually

ROWS = "Key,Value\n1,one\n"
MANY = 400


def policy(folder: Path, *more: str) -> str:
    """The example of the page, with folders of the test."""
    quick = ('kind = "folder"', "stable_seconds = 0.2", "rescan = 0.3", *more)
    places = {f'"/data/{name}"': f'"{folder / name}"' for name in ("arrivals", "accepted")}
    return example_of("folder", **places, **{'kind = "folder"': "\n".join(quick)})


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with running_system(least_rights=True) as made:
        made.worker()
        made.beat()
        made.sandbox.control.define("orders", FileSpec="orders_1.csv")
        made.sandbox.drop("orders_1.csv", ROWS)
        yield made


@pytest.fixture
def idle() -> Iterator[RunningSystem]:
    """A system without workers: requests are recorded only."""
    with running_system(least_rights=True) as made:
        yield made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "arrivals").mkdir()
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []


def accepted(system: RunningSystem) -> list[str]:
    return [each["data"]["file"]["name"] for each in system.events() if each["type"] == "sfmc.import.accepted"]


def test_a_file_becomes_one_completed_import_and_is_moved(system: RunningSystem, place: Path) -> None:
    with running_source(system, "arrivals", policy(place)), running_source(system, "arrivals", policy(place)):
        (place / "arrivals" / "orders_1.csv").write_text(ROWS)
        system.await_event("completed")
        eventually(lambda: names(place / "accepted") == ["orders_1.csv"], 30, "it is moved")
    assert names(place / "arrivals") == []
    assert (len(system.sandbox.control.performs("orders")), accepted(system)) == (1, ["orders_1.csv"])


def test_a_folder_may_come_after_its_source_and_go_away_and_come_back(idle: RunningSystem, tmp_path: Path) -> None:
    arrivals = tmp_path / "arrivals"
    with running_source(idle, "arrivals", policy(tmp_path)):
        eventually(lambda: "CANNOT BE READ" in idle.run("status").stdout, 30, "it is waited for")
        for number in (1, 2):
            arrivals.mkdir()
            (arrivals / f"orders_{number}.csv").write_text(ROWS)
            eventually(lambda number=number: len(accepted(idle)) == number, 30, "its file is accepted")
            eventually(lambda: names(arrivals) == [], 30, "its file is moved")
            arrivals.rmdir()
    assert names(tmp_path / "accepted") == ["orders_1.csv", "orders_2.csv"]


def test_thousands_of_files_are_accepted_and_moved_once_by_two_sources_of_which_one_is_killed(
    idle: RunningSystem, place: Path
) -> None:
    expected = sorted(f"orders_{number}.csv" for number in range(MANY))
    for name in expected:
        (place / "arrivals" / name).write_text(name)
    with running_source(idle, "arrivals", policy(place)) as first, running_source(idle, "arrivals", policy(place)):
        eventually(lambda: len(names(place / "accepted")) > MANY // 4, 60, "some are moved")
        os.killpg(first.pid, signal.SIGKILL)
        eventually(lambda: len(names(place / "accepted")) >= MANY, 60, "all are moved")
    assert names(place / "arrivals") == []
    assert (names(place / "accepted"), sorted(accepted(idle))) == (expected, expected)
    assert all((place / "accepted" / name).read_text() == name for name in expected)


def test_a_move_to_another_file_system_is_refused_in_one_line(idle: RunningSystem, place: Path) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == place.stat().st_dev:
        pytest.skip("there is no second file system")
    text = policy(place).replace(str(place / "accepted"), str(shared / "sfmc-import-accepted"))
    with running_source(idle, "arrivals", text) as child:
        assert child.wait(30) == 1
    log = idle.log_of(child).read_text("utf-8")
    assert "lies on another file system" in log


@pytest.mark.nightly
def test_files_stay_while_redis_is_away_and_are_moved_when_it_is_back(idle: RunningSystem, place: Path) -> None:
    with running_source(idle, "arrivals", policy(place)) as child:
        eventually(lambda: "watch_started" in idle.log_of(child).read_text(), 30, "it watches")
        idle.valkey.pause()
        try:
            (place / "arrivals" / "orders_1.csv").write_text(ROWS)
            eventually(lambda: "backend_unavailable" in idle.log_of(child).read_text(), 30, "it is said")
            assert names(place / "arrivals") == ["orders_1.csv"]
        finally:
            idle.valkey.resume()
        eventually(lambda: names(place / "accepted") == ["orders_1.csv"], 60, "it is moved")
    assert accepted(idle) == ["orders_1.csv"]
