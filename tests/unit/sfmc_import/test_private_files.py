import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sfmc_import.private_files import make_private_folder, open_private, write_private


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture(autouse=True)
def open_to_everybody() -> Iterator[None]:
    """A umask that would let everybody in."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_a_file_and_the_folders_made_for_it_are_for_this_user_alone(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "heart"
    make_private_folder(file.parent)
    write_private(file, b"starting 1\n")

    assert (mode(file), mode(file.parent), mode(tmp_path / "a")) == (0o600, 0o700, 0o700)


def test_a_shorter_text_takes_the_place_of_a_longer_one_and_an_open_file_becomes_private(tmp_path: Path) -> None:
    file = tmp_path / "heart"
    file.write_text("of an earlier version, for everybody\n")
    write_private(file, b"ready\n")

    assert (file.read_bytes(), mode(file)) == (b"ready\n", 0o600)


def test_no_link_leads_the_writing_elsewhere(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "link").symlink_to(precious)
    (tmp_path / "dangling").symlink_to(tmp_path / "new")
    os.link(precious, tmp_path / "second-name")

    for name, why in (("link", "it is a link"), ("dangling", "it is a link"), ("second-name", "second name")):
        with pytest.raises(OSError, match=why):
            write_private(tmp_path / name, b"ready\n")

    assert precious.read_text() == "precious"
    assert not (tmp_path / "new").exists()


def test_a_pipe_or_a_folder_in_the_place_of_the_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    for path, why in ((tmp_path / "pipe", "[Dd]evice"), (tmp_path, "directory")):
        with pytest.raises(OSError, match=why):
            open_private(path)
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OSError, match="not a regular file"):
        open_private(tmp_path / "pipe")
    os.close(reader)
