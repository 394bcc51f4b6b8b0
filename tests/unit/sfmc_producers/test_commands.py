import contextlib

from structlog.testing import capture_logs

from sfmc_producers import watch
from sfmc_producers.commands import read_folder
from sfmc_producers.stability import StabilityRule

USUAL = {"mid": "1", "key": None, "pattern": "*.csv", "location": None}


def folder(given, **usual):
    return read_folder(given, USUAL | usual, StabilityRule(), recursive=False)


def test_a_folder_takes_the_options_of_the_command_and_its_path_as_its_place():
    read = folder("/data/eu")

    assert (str(read.path), read.location, read.mid, read.key, read.pattern) == (
        "/data/eu",
        "/data/eu",
        "1",
        None,
        "*.csv",
    )


def test_options_behind_the_path_are_for_this_folder_alone():
    read = folder("/data/eu,mid=7,key=a=b,c,pattern=x*,location=drop", key="theirs")

    assert (str(read.path), read.location, read.mid, read.key, read.pattern) == ("/data/eu", "drop", "7", "a=b,c", "x*")


def test_a_comma_in_a_path_is_part_of_it():
    assert str(folder("/data/a,b=c,mid").path) == "/data/a,b=c,mid"


def test_the_place_of_a_relative_path_is_absolute_and_keeps_links(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with contextlib.chdir(tmp_path):
        location = folder("link/").location

    assert location == f"{tmp_path}/link"


def test_an_error_in_a_scan_is_logged_and_ends_that_scan_only():
    def scan():
        raise RuntimeError("never seen before")

    with capture_logs() as logs:
        assert watch._scan(scan) is None
    assert [(each["event"], each["log_level"]) for each in logs] == [("scan_failed", "error")]
