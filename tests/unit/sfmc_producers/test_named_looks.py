import os

import pytest

from sfmc_producers.folder import TOGETHER
from sfmc_producers.next_looks import NextLooks, with_markers
from sfmc_producers.stability import StabilityRule
from tests.support.fake_client import FakeClient
from tests.support.watched_folder import Watched
from tests.unit.sfmc_producers.test_waiting_files import MOUNTS


def test_a_named_file_is_submitted_without_a_scan_and_no_other_is_looked_at(watched, client):
    watched.pass_time()
    watched.put("contacts.csv")
    watched.put("orders.csv")
    watched.look("contacts.csv", after=1)

    assert watched.look(after=watched.next_in) == ["file_submitted"]
    assert client.started == [("contacts.csv", "contacts")]
    assert watched.pass_time(2) == ["file_submitted"]


def test_the_wait_of_a_named_file_counts_from_its_last_change(watched, client):
    watched.pass_time()
    watched.put("contacts.csv")
    watched.look("contacts.csv", after=0.5)

    assert watched.next_in == pytest.approx(1.5, abs=0.2)
    assert watched.look(after=watched.next_in + 0.2) == ["file_submitted"]


def test_without_a_scan_before_it_the_wait_counts_from_the_first_look(watched, client):
    watched.put("contacts.csv")
    watched.now = 30.0

    assert watched.pass_time(1.9) == []
    assert watched.pass_time(0.1) == ["file_submitted"]


@pytest.mark.parametrize("step", [3600.0, -3600.0, 0.2])
def test_after_the_clock_was_set_the_wait_counts_from_the_look_until_a_scan_has_seen_all(watched, client, step):
    watched.pass_time()
    watched.put("contacts.csv")
    watched.put("orders.csv")
    watched.stepped = step
    watched.look("contacts.csv", after=1)
    assert watched.next_in == pytest.approx(2, abs=0.01)
    watched.look("orders.csv", after=1)

    assert watched.look(after=0.9) == []
    assert watched.look(after=0.2) == ["file_submitted"]
    assert watched.look(after=0.8) == []
    assert watched.look(after=0.2) == ["file_submitted"]


def test_a_named_file_that_grows_waits_anew(watched, client):
    watched.pass_time()
    watched.put("contacts.csv", "id\n")
    watched.pass_time(1.5)
    watched.put("contacts.csv", "id\n1\n")
    watched.look("contacts.csv")

    assert watched.look(after=1.9) == []
    assert watched.look(after=0.2) == ["file_submitted"]


def test_a_named_file_that_is_gone_again_is_reported_and_forgotten(watched, client):
    watched.put("contacts.csv")
    watched.pass_time(2)
    (watched.path / "contacts.csv").unlink()

    assert watched.look("contacts.csv") == ["file_gone"]
    assert watched.pass_time(2) == []


def test_a_named_marker_lets_its_file_go(tmp_path, client):
    watched = Watched(tmp_path, client, rule=StabilityRule(seconds=2.0, marker=".done"))
    watched.put("contacts.csv")
    watched.pass_time(2)
    assert watched.waiting == {"contacts.csv": ("no_marker", 0)}
    watched.put("contacts.csv.done", "")

    assert watched.look("contacts.csv.done") == ["file_submitted"]
    assert watched.waiting == {}


def test_what_waits_elsewhere_goes_on_waiting_while_one_file_is_looked_at(watched):
    watched.put("empty.csv", "")
    watched.pass_time(2)
    watched.put("contacts.csv")
    watched.look("contacts.csv")

    assert {name: reason for name, (reason, _) in watched.waiting.items()} == {
        "empty.csv": "empty",
        "contacts.csv": "growing",
    }


def test_names_that_are_no_text_or_lead_in_a_circle_wait_when_they_are_named(watched):
    watched.pass_time()
    (watched.path / os.fsdecode(b"bad\xff.csv")).write_text("id\n")
    (watched.path / "loop.csv").symlink_to("loop.csv")
    (watched.path / "nowhere.csv").symlink_to("gone.csv")
    (watched.path / "folder.csv").mkdir()

    named = (os.fsdecode(b"bad\xff.csv"), "loop.csv", "nowhere.csv", "folder.csv", "none.csv")
    assert sorted(watched.look(*named)) == [
        "entry_unreadable",
        "entry_unreadable",
        "file_name_undecodable",
    ]


def test_after_an_outage_of_the_folder_all_files_are_scanned(watched, client):
    watched.pass_time()
    watched.path.rename(watched.path.with_name("away"))
    assert watched.look("contacts.csv") == ["folder_unreadable"]
    watched.path.with_name("away").rename(watched.path)
    watched.put("contacts.csv")

    assert watched.look("orders.csv") == ["folder_readable_again"]
    assert watched.pass_time(2) == ["file_submitted"]


def test_on_a_network_file_system_all_files_are_scanned_and_the_wait_counts_from_the_look(tmp_path, client):
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "mountinfo").write_text(MOUNTS.format(folder=folder))
    watched = Watched(folder, client, mountinfo=tmp_path / "mountinfo", network_seconds=60)
    watched.pass_time()
    watched.put("contacts.csv")
    watched.put("orders.csv")
    watched.look("contacts.csv", after=30)

    assert watched.look(after=59) == []
    assert watched.look(after=1.1) == ["file_submitted", "file_submitted"]


def test_many_files_are_submitted_together_and_in_their_order(tmp_path, client):
    watched = Watched(tmp_path, client, key="one")
    names = [f"{number:03}.csv" for number in range(TOGETHER + 5)]
    for age, name in enumerate(reversed(names)):
        watched.put(name)
        os.utime(tmp_path / name, ns=(0, 10**18 - age))
    sent = []
    submit_many = client.submit_many
    client.submit_many = lambda given: sent.append(len(given)) or submit_many(given)
    watched.pass_time(2)

    assert sent == [TOGETHER, 5]
    assert [name for name, _ in client.started] == names


class Cut(FakeClient):
    """Records the first requests of a batch, and then dies, or Redis does."""

    def submit_many(self, submissions):
        super().submit_many(submissions[:2])
        raise MemoryError


def test_a_watcher_that_dies_within_a_batch_has_remembered_nothing_and_the_next_one_submits_the_rest(tmp_path, client):
    cut = Cut()
    watched = Watched(tmp_path, cut, key="one")
    for name in ("a.csv", "b.csv", "c.csv"):
        watched.put(name)
    with pytest.raises(MemoryError):
        watched.pass_time(2)
    client.requests = cut.requests
    watched.client = client
    watched.restart()

    assert watched.pass_time(2) == ["file_known", "file_known", "file_submitted"]
    assert len(client.requests) == 3


def test_a_scan_that_broke_off_leaves_nothing_to_be_submitted_by_the_next_one(tmp_path):
    cut = Cut()
    watched = Watched(tmp_path, cut, key="one")
    watched.put("a.csv")
    with pytest.raises(MemoryError):
        watched.pass_time(2)
    (tmp_path / "a.csv").unlink()

    assert watched.pass_time(2) == ["file_gone"]


def test_looks_are_given_when_their_time_has_come_and_each_name_once():
    looks = NextLooks()
    looks.replace([(3.0, "c"), (1.0, "a")])
    looks.add(2.0, "b")
    looks.add(1.5, "a")

    assert (looks.next_in(0.5), looks.take(0.9), looks.take(2.0), looks.next_in(2.5)) == (0.5, set(), {"a", "b"}, 0.5)
    looks.replace([])
    assert looks.next_in(0.0) is None


def test_a_file_and_its_marker_are_looked_at_together():
    assert with_markers(["a.csv"], None) == {"a.csv"}
    assert with_markers(["a.csv", "b.csv.done"], ".done") == {"a.csv", "a.csv.done", "b.csv", "b.csv.done"}
