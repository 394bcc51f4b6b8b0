"""A file leaves its folder, or is remembered as handled, only when disk or replicas have its request."""

import pytest

from sfmc_producers.removing import After
from tests.support.watched_folder import Watched

DELETE = After("delete")


@pytest.fixture
def watched(tmp_path, client):
    client.confirms_nothing = True
    return Watched(tmp_path, client, key="orders", after=DELETE)


def test_a_file_stays_while_its_request_is_not_confirmed_and_goes_when_it_is(watched, tmp_path):
    watched.put("a.csv")
    said = watched.pass_time(2, 60)

    assert said.count("backend_unavailable") == 1
    assert (tmp_path / "a.csv").exists()
    assert watched.waiting == {"a.csv": ("unavailable", 0.0)}
    watched.client.confirms_nothing = False
    watched.pass_time(300)
    assert not (tmp_path / "a.csv").exists()
    assert len(watched.client.requests) == 1


def test_why_a_file_waits_is_said_of_it(watched):
    watched.put("a.csv")
    watched.pass_time(2)

    [waiting] = watched.watch.waiting
    assert "has not confirmed in time" in waiting.text
    assert waiting.again_at is not None


def test_a_file_that_stays_is_submitted_again_until_it_is_confirmed(tmp_path, client):
    client.confirms_nothing = True
    watched = Watched(tmp_path, client, key="orders")
    watched.put("a.csv")
    watched.pass_time(2)
    client.requests.clear()
    client.confirms_nothing = False

    assert "file_submitted" in watched.pass_time(300)
    assert len(client.requests) == 1


def test_all_files_of_a_look_are_confirmed_together(tmp_path, client):
    watched = Watched(tmp_path, client, key="orders", after=DELETE)
    for number in range(3):
        watched.put(f"{number}.csv")
    watched.pass_time(2)

    assert client.confirmed == [list(client.requests)]
    assert len(client.requests) == 3
    assert not any(tmp_path.iterdir())
