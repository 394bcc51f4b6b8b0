from pathlib import Path

import structlog

from sfmc_import.worker_process import Heartbeat, share_arenas
from tests.support.waiting import eventually


def test_the_first_beat_is_there_at_once(tmp_path: Path) -> None:
    heartbeat = Heartbeat(tmp_path / "run" / "heart", seconds=60)
    heartbeat.start()

    assert (tmp_path / "run" / "heart").read_text().startswith("starting ")
    heartbeat.stop()


def test_the_heart_goes_on_beating(tmp_path: Path) -> None:
    file = tmp_path / "heart"
    heartbeat = Heartbeat(file, seconds=0.01)
    heartbeat.start()
    first = file.stat().st_mtime_ns

    eventually(lambda: file.stat().st_mtime_ns > first, 60, "the file is touched again")
    heartbeat.stop()


def test_it_says_when_the_worker_takes_messages(tmp_path: Path) -> None:
    heartbeat = Heartbeat(tmp_path / "heart", seconds=60)
    heartbeat.start()
    heartbeat.ready()

    assert (tmp_path / "heart").read_text().startswith("ready ")
    heartbeat.stop()


def test_a_worker_that_left_leaves_no_sign_of_life(tmp_path: Path) -> None:
    heartbeat = Heartbeat(tmp_path / "heart", seconds=60)
    heartbeat.start()
    heartbeat.stop()

    assert not (tmp_path / "heart").exists()


def test_a_file_that_cannot_be_written_does_not_end_the_worker(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    heartbeat = Heartbeat(tmp_path / "file" / "heart", seconds=60)

    heartbeat.start()
    heartbeat.stop()


def test_a_heartbeat_goes_through_no_link_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "heart").symlink_to(tmp_path / "precious")
    heartbeat = Heartbeat(tmp_path / "heart", seconds=60)
    with structlog.testing.capture_logs() as logged:
        heartbeat.start()
    heartbeat.stop()

    assert (tmp_path / "precious").read_text() == "precious"
    assert logged[0]["event"] == "heartbeat_not_written"
    assert "it is a link" in logged[0]["error"]


def test_the_number_of_arenas_that_the_environment_sets_stays() -> None:
    assert share_arenas({"MALLOC_ARENA_MAX": "8"}) is False
