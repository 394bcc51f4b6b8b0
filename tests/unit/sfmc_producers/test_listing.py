import os

import pytest

from sfmc_producers.listing import look_again
from sfmc_producers.stability import FileStat


def seen(path):
    status = path.stat()
    return FileStat(path.name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "a.csv"
    made.write_text("12345")
    return made


def outcome(path, expected):
    return look_again(path, expected, open_files="wait").outcome


def test_an_unchanged_file_has_the_hash_of_its_content(file):
    look = look_again(file, seen(file), open_files="wait")

    assert (look.outcome, look.content_hash) == ("unchanged", "5994471abb01112a")


def test_a_file_with_other_content_of_the_same_size_and_time_has_changed(file):
    expected = seen(file)
    file.write_text("54321")
    os.utime(file, ns=(0, expected.modified_ns))

    assert outcome(file, expected) == "changed"


def test_a_file_that_is_gone_says_so(file):
    expected = seen(file)
    file.unlink()

    assert outcome(file, expected) == "gone"


def test_a_file_that_became_a_link_to_itself_cannot_be_read(file):
    expected = seen(file)
    file.unlink()
    file.symlink_to(file)

    assert outcome(file, expected) == "unreadable"


def test_a_file_that_became_a_pipe_stops_nothing(file):
    expected = seen(file)
    file.unlink()
    os.mkfifo(file)

    assert outcome(file, expected) == "changed"


@pytest.mark.parametrize("mode", ["a", "r+"])
def test_a_file_that_is_open_for_writing_says_so(file, mode):
    with file.open(mode):
        assert outcome(file, seen(file)) == "open"
    assert outcome(file, seen(file)) == "unchanged"


def test_a_file_that_a_link_leads_to_is_looked_at(file):
    link = file.with_name("link.csv")
    link.symlink_to(file)

    with file.open("a"):
        assert outcome(link, seen(file)) == "open"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_compared_by_its_attributes_and_has_no_hash(file):
    file.chmod(0)
    look = look_again(file, seen(file), open_files="wait")

    assert (look.outcome, look.content_hash) == ("unchanged", None)
    assert outcome(file, FileStat("a.csv", 1, 1)) == "changed"
