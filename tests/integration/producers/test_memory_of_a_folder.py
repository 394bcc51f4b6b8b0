"""What a watcher remembers is bounded by the files that lie in its folder now, however many it has handled."""

import gc

import pytest

from sfmc_producers.removing import After
from sfmc_producers.stability import FileStat, TrackedFile
from tests.support.fake_client import FakeClient
from tests.support.watched_folder import Watched

FILES = 100


def remembered() -> tuple[int, int]:
    gc.collect()
    known = gc.get_objects()
    return sum(isinstance(each, FileStat) for each in known), sum(isinstance(each, TrackedFile) for each in known)


@pytest.fixture
def client() -> FakeClient:
    client = FakeClient()
    for number in range(FILES):
        client.define(f"k{number}", f"{number}.csv")
    return client


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def put_all(watched: Watched, text: str) -> None:
    for number in range(FILES):
        watched.put(f"{number}.csv", text)


def test_each_file_that_lies_there_is_remembered_once_however_often_it_is_seen(folder, client):
    before = remembered()
    watched = Watched(folder, client)
    put_all(watched, "1")
    watched.pass_time(2, *[5.0] * 10)

    assert len(client.requests) == FILES
    assert remembered() == (before[0] + FILES, before[1] + FILES)


@pytest.mark.parametrize("action", ["move", pytest.param("delete", marks=pytest.mark.nightly)])
def test_of_files_that_were_moved_or_deleted_nothing_is_remembered(folder, client, action):
    before = remembered()
    watched = Watched(folder, client, after=After(action, folder.parent / "done" if action == "move" else None))
    for text in ("1", "22", "333"):
        put_all(watched, text)
        watched.pass_time(2)

    assert len(client.requests) == 3 * FILES
    assert remembered() == before


@pytest.mark.nightly
def test_of_files_that_went_by_themselves_nothing_is_remembered(folder, client):
    before = remembered()
    watched = Watched(folder, client)
    put_all(watched, "1")
    watched.pass_time(2)
    for each in folder.iterdir():
        each.unlink()
    watched.pass_time(1)

    assert remembered() == before
