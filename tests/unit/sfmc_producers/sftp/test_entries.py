"""What a listing shows, whatever the server writes into it."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from sfmc_producers.sources.sftp.entries import (
    Handled,
    Skipped,
    Subfolder,
    is_same,
    needs_look,
    other_names,
    read_entry,
)
from sfmc_producers.stability import FileStat

REGULAR, FOLDER, LINK, UNKNOWN = 1, 2, 3, 5
NUMBERS = st.none() | st.integers(0, 2**64)
ATTRIBUTES = st.builds(SimpleNamespace, type=st.integers(0, 9), size=NUMBERS, mtime=NUMBERS)


def attributes(kind=REGULAR, size=5, mtime=7):
    return SimpleNamespace(type=kind, size=size, mtime=mtime)


@given(within=st.sampled_from(["", "eu/", "eu/de/"]), name=st.binary(max_size=40), found=st.none() | ATTRIBUTES)
def test_no_name_leads_out_of_its_folder_and_no_bytes_are_lost(within, name, found):
    read = read_entry(within, name, found)
    if isinstance(read, Skipped):
        assert read.name == within.encode() + name
        return
    last = read.name.removeprefix(within)
    assert last.encode() == name
    assert not {"/", "\0"} & set(last)


def test_each_kind_of_entry_is_recognised():
    assert read_entry("eu/", b"a.csv", attributes()) == FileStat("eu/a.csv", 5, 7 * 10**9)
    assert read_entry("eu/", b"de", attributes(FOLDER)) == Subfolder("eu/de")
    assert read_entry("", b"a", attributes(LINK)) == Skipped(b"a", "link")
    assert read_entry("", b"a", attributes(4)) == Skipped(b"a", "special")
    assert read_entry("", b"a", attributes(mtime=None)) == Skipped(b"a", "no_attributes")
    assert read_entry("", b"a", None) == Skipped(b"a", "gone")
    assert read_entry("", b"\xff", attributes()) == Skipped(b"\xff", "unnamable")


def test_an_entry_is_asked_for_alone_only_where_the_listing_leaves_something_out():
    assert not needs_look(attributes())
    assert not needs_look(attributes(LINK, None, None))
    assert needs_look(attributes(UNKNOWN))
    assert needs_look(attributes(size=None))


def test_a_path_shows_the_same_file_only_with_the_same_size_time_and_kind():
    file = FileStat("a", 5, 7 * 10**9)
    assert is_same(attributes(), file)
    different = [None, attributes(LINK), attributes(size=6), attributes(mtime=8), attributes(mtime=None)]
    assert not any(is_same(each, file) for each in different)


def test_what_a_complete_listing_does_not_show_is_forgotten_and_nothing_after_one_that_was_broken_off():
    handled = Handled(b"key")
    handled.begin()
    handled.add("a", 1)
    handled.add("b", 1)
    handled.begin()
    handled.begin()
    assert handled.has("a", 1)
    assert not handled.has("a", 2)
    handled.end()
    assert (handled.has("a", 1), handled.has("b", 1), len(handled)) == (True, False, 1)


def test_moved_files_have_several_names_to_choose_from():
    names = list(other_names("a.csv", "0123456789abcdef"))
    assert names[:3] == ["a.csv", "a.csv.0123456789ab", "a.csv.0123456789ab.2"]
    assert len(set(names)) == len(names) == 10
