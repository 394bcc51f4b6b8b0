"""Accepted files are moved or deleted, those files alone, and never over another."""

import os
from dataclasses import replace

import pytest

from sfmc_producers.hidden_names import PREFIX, Hidden, is_hidden, mark_of
from sfmc_producers.removing import After, Remover, rename_new, rename_over_own
from sfmc_producers.stability import FileStat, StabilityRule
from tests.support.watched_folder import Watched

OLD = 1_700_000_000 * 10**9
OLD_SHOWN = "20231114T221320Z"


@pytest.fixture
def place(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path


def watching(place, client, action="move", **options):
    to = place / "done" if action == "move" else None
    return Watched(place / "in", client, after=After(action, to), **options)


def files(folder):
    return {each.relative_to(folder).as_posix(): each.read_text() for each in folder.rglob("*") if each.is_file()}


def stat_of(path, name=None):
    status = path.stat()
    return FileStat(name or path.name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def hidden_by(place, name="a.csv", text="new"):
    """Take a file as far as its hidden name, as a process that is killed then leaves it."""
    (place / "in" / name).write_text(text)
    status = (place / "in" / name).stat()
    to = place / "nowhere"
    to.write_text("no folder")
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        Remover(place / "in", After("move", to)).remove(stat_of(place / "in" / name))
    [hidden] = [each.name for each in (place / "in").iterdir() if is_hidden(each.name)]
    assert (place / "in" / hidden).stat().st_ino == status.st_ino
    return hidden


def test_an_accepted_file_is_moved_and_the_next_scan_says_nothing_more(place, client):
    watched = watching(place, client)
    watched.put("contacts.csv")

    assert watched.pass_time(2, 5, 60) == ["file_submitted", "file_removed"]
    assert (files(place / "in"), files(place / "done")) == ({}, {"contacts.csv": "id\n1\n"})


def test_an_accepted_file_is_deleted(place, client):
    watched = watching(place, client, "delete")
    watched.put("contacts.csv")

    assert watched.pass_time(2, 5) == ["file_submitted", "file_removed"]
    assert files(place) == {}


def test_a_file_that_starts_nothing_stays(place, client):
    watched = watching(place, client, "delete")
    watched.put("unknown.csv")
    watched.pass_time(2, 5)

    assert files(place / "in") == {"unknown.csv": "id\n1\n"}


def test_a_file_stays_while_the_ledger_does_not_have_it(place, client):
    watched = watching(place, client, "delete")
    client.ledger_is_down = True
    watched.put("contacts.csv")
    watched.pass_time(2, 5)
    assert files(place / "in") == {"contacts.csv": "id\n1\n"}

    client.ledger_is_down = False
    watched.pass_time(60)
    assert files(place / "in") == {}


def test_after_a_restart_a_file_that_was_accepted_before_is_moved(place, client):
    watched = Watched(place / "in", client)
    watched.put("contacts.csv")
    watched.pass_time(2)
    watched = watching(place, client)

    assert watched.pass_time(2) == ["file_known", "file_removed"]
    assert (len(client.requests), files(place / "done")) == (1, {"contacts.csv": "id\n1\n"})


def test_a_file_whose_name_is_taken_gets_a_suffix_and_none_is_overwritten(place, client):
    watched = watching(place, client)
    for text in ("one", "second", "third one"):
        watched.put("contacts.csv", text)
        os.utime(place / "in" / "contacts.csv", ns=(OLD, OLD))
        watched.pass_time(2)

    assert files(place / "done") == {
        "contacts.csv": "one",
        f"contacts.{OLD_SHOWN}.csv": "second",
        f"contacts.{OLD_SHOWN}-2.csv": "third one",
    }


def test_files_of_subfolders_keep_their_subfolder(place, client):
    watched = watching(place, client, recursive=True)
    watched.put("eu/contacts.csv")
    watched.pass_time(2)

    assert files(place / "done") == {"eu/contacts.csv": "id\n1\n"}


def test_two_watchers_move_each_file_once_without_an_error(place, client):
    one, other = (watching(place, client) for _ in range(2))
    one.put("contacts.csv")
    one.put("orders.csv")
    other.pass_time(2)
    one.pass_time(2)
    other.pass_time(5)

    assert sorted(files(place / "done")) == ["contacts.csv", "orders.csv"]
    assert {each["log_level"] for each in (*one.logs, *other.logs)} <= {"info"}


@pytest.mark.parametrize("action", ["move", "delete"])
def test_the_marker_of_a_file_goes_with_it(place, client, action):
    watched = watching(place, client, action, rule=StabilityRule(seconds=2.0, marker=".done"))
    watched.put("contacts.csv")
    watched.put("contacts.csv.done", "")
    watched.pass_time(2)

    assert files(place / "in") == {}
    assert files(place / "done") == ({"contacts.csv": "id\n1\n", "contacts.csv.done": ""} if action == "move" else {})


def put_marked(folder, text, name="a.csv"):
    (folder / name).write_text(text)
    (folder / f"{name}.done").write_text("")
    return stat_of(folder / name)


@pytest.mark.parametrize("action", ["move", "delete"])
def test_the_marker_of_a_new_file_stays_when_the_file_before_it_is_removed(place, action):
    remover = Remover(place / "in", After(action, place / "done" if action == "move" else None), ".done")
    accepted = put_marked(place / "in", "old")
    (place / "nowhere").write_text("no folder")
    broken = Remover(place / "in", After("move", place / "nowhere"), ".done")
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        broken.remove(accepted)
    [hidden] = [each.name for each in (place / "in").iterdir() if is_hidden(each.name) and each.name.endswith(".csv")]
    put_marked(place / "in", "new")

    assert remover.finish(hidden).outcome == ("moved" if action == "move" else "deleted")
    assert files(place / "in").keys() >= {"a.csv", "a.csv.done"}
    assert files(place / "in")["a.csv"] == "new"


@pytest.mark.parametrize("is_same_inode", [True, False], ids=["written_over", "replaced"])
def test_a_marker_that_is_not_the_one_that_lay_beside_the_file_stays(place, is_same_inode):
    put_marked(place / "in", "old")
    marker, file = place / "in" / "a.csv.done", place / "in" / "a.csv"
    marks = [mark_of(each.name, (st := each.stat()).st_ino, st.st_size, st.st_mtime_ns) for each in (file, marker)]
    hidden = Hidden(*marks, "a.csv").text
    file.rename(place / "in" / hidden)
    if not is_same_inode:
        marker.rename(place / "old.done")
    marker.write_text("")
    os.utime(marker, ns=(OLD, OLD))

    assert Remover(place / "in", After("delete"), ".done").finish(hidden).outcome == "deleted"
    assert files(place / "in") == {"a.csv.done": ""}


@pytest.mark.parametrize("action", ["move", "delete"])
def test_a_hidden_marker_that_a_killed_process_left_is_removed_too(place, client, action):
    accepted = put_marked(place / "in", "old", "contacts.csv")
    broken = Remover(place / "in", After("move", place / "nowhere"), ".done")
    (place / "nowhere").write_text("no folder")
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        broken.remove(accepted)
    assert all(is_hidden(name) for name in files(place / "in"))
    watched = watching(place, client, action, rule=StabilityRule(seconds=2.0, marker=".done"))
    watched.pass_time(2)

    moved = {"contacts.csv": "old", "contacts.csv.done": ""}
    assert (files(place / "in"), files(place / "done")) == ({}, moved if action == "move" else {})


@pytest.mark.parametrize("action", ["move", "delete"])
def test_a_file_that_changed_after_it_was_accepted_is_left_alone(place, action):
    path = place / "in" / "a.csv"
    path.write_text("old")
    accepted = stat_of(path)
    path.write_text("newer")

    assert Remover(place / "in", After(action, place / "done")).remove(accepted).outcome == "changed"
    assert files(place / "in") == {"a.csv": "newer"}


def test_a_file_that_is_gone_is_no_error(place):
    (place / "in" / "a.csv").write_text("old")
    accepted = stat_of(place / "in" / "a.csv")
    (place / "in" / "a.csv").unlink()

    assert Remover(place / "in", After("delete")).remove(accepted).outcome == "gone"


def test_a_removal_that_another_process_began_is_ended(place, client):
    hidden_by(place, "contacts.csv", "old")
    watched = watching(place, client)

    assert watched.pass_time() == ["file_removed"]
    assert (files(place / "in"), files(place / "done")) == ({}, {"contacts.csv": "old"})


def test_another_file_under_a_hidden_name_gets_its_own_name_back(place, client):
    hidden = hidden_by(place, "contacts.csv", "old")
    (place / "in" / hidden).unlink()
    (place / "in" / hidden).write_text("not what was accepted")
    watched = watching(place, client, "delete")

    assert watched.pass_time(2, 2) == ["file_removed", "file_submitted", "file_removed"]
    assert client.started == [("contacts.csv", "contacts")]


def test_another_file_whose_own_name_is_taken_stays_hidden_and_is_reported_once(place, client):
    hidden = hidden_by(place, "contacts.csv", "old")
    (place / "in" / hidden).write_text("not what was accepted")
    watched = watching(place, client, "delete")
    watched.put("contacts.csv")

    assert watched.pass_time(1, 5, 60) == ["file_not_removed", "file_submitted", "file_removed", "file_removed"]


def test_an_empty_file_under_a_hidden_name_is_what_a_killed_process_left(place, client):
    hidden = hidden_by(place, "contacts.csv", "old")
    (place / "in" / hidden).write_text("")
    watched = watching(place, client)
    watched.put("contacts.csv")
    watched.pass_time(2)

    assert (files(place / "in"), files(place / "done")) == ({}, {"contacts.csv": "id\n1\n"})


def test_where_files_cannot_be_moved_they_wait_and_are_moved_later(place, client):
    (place / "done").write_text("no folder")
    watched = watching(place, client)
    watched.put("contacts.csv")
    watched.put("orders.csv")

    events = watched.pass_time(2, 5, 5)
    assert (events.count("file_submitted"), events.count("file_not_removed")) == (2, 1)
    assert {reason for reason, _ in watched.waiting.values()} == {"unmoved"}
    (place / "done").unlink()
    watched.pass_time(5)

    assert sorted(files(place / "done")) == ["contacts.csv", "orders.csv"]
    assert len(client.requests) == 2


def test_a_name_too_long_for_a_hidden_one_is_no_reason_to_lose_a_file(place, client):
    name = "c" * 240 + ".csv"
    client.define("long", name)
    watched = watching(place, client)
    watched.put(name)
    watched.pass_time(2, 5)

    assert files(place / "in") == {name: "id\n1\n"}
    assert watched.waiting[name][0] == "unmoved"


def test_who_keeps_files_touches_none_that_others_move(place, client):
    hidden = hidden_by(place)
    watched = Watched(place / "in", client, rule=StabilityRule(seconds=2.0, complete=("*",)))

    assert watched.pass_time(2, 5) == []
    assert hidden in files(place / "in")


def test_hidden_names_are_recognised():
    assert is_hidden(f"sub/{PREFIX}{'0' * 16}-a.csv")
    assert not any(map(is_hidden, (f"{PREFIX}a.csv", ".a.csv", f"x{PREFIX}{'0' * 16}-a.csv")))


@pytest.mark.parametrize("rename", [rename_new, rename_over_own])
def test_a_rename_never_goes_over_another_file(place, rename):
    one, other = place / "one", place / "other"
    one.write_text("1")
    other.write_text("2")
    with pytest.raises(FileExistsError):
        rename(one, other)
    with pytest.raises(FileNotFoundError):
        rename(place / "none", place / "free")
    rename(one, place / "free")

    assert files(place) == {"other": "2", "free": "1"}


@pytest.mark.parametrize("name", ["-rf", "two\nlines.csv", "ünï.csv", "a b.csv", "..csv", "$(x).csv", "-"])
def test_odd_names_are_names(place, name):
    path = place / "in" / name
    path.write_text("x")

    assert Remover(place / "in", After("move", place / "done")).remove(stat_of(path)).outcome == "moved"
    assert files(place / "done") == {name: "x"}


def test_a_link_is_moved_and_what_it_points_to_stays(place):
    (place / "real.csv").write_text("x")
    (place / "in" / "a.csv").symlink_to(place / "real.csv")
    remover = Remover(place / "in", After("delete"))

    assert remover.remove(replace(stat_of(place / "in" / "a.csv"), name="a.csv")).outcome == "deleted"
    assert files(place) == {"real.csv": "x"}


def test_a_file_that_cannot_be_moved_for_its_own_sake_holds_up_none_behind_it(place, client):
    name = "a" * 240 + ".csv"
    client.define("long", name)
    watched = watching(place, client)
    watched.put(name)
    watched.put("contacts.csv")
    watched.put("orders.csv")
    watched.pass_time(2, 5)

    assert files(place / "in") == {name: "id\n1\n"}
    assert sorted(files(place / "done")) == ["contacts.csv", "orders.csv"]
