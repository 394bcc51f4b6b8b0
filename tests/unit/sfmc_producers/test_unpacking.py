"""Files are unpacked while they are read, within bounds; what is damaged is never read to its end."""

import gzip
import io
import os
import zipfile
from contextlib import suppress
from functools import partial

import pytest

from sfmc_producers.content_errors import ContentDamagedError, ContentUnavailableError
from sfmc_producers.delivery.ranged import RangedContent
from sfmc_producers.delivery.unpacking import JUDGED_FROM, Limits, unpacked

CONTENT = os.urandom(3_000_000) + b"Key,Value\n" * 100_000


def zipped(method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> bytes:
    """A zip file; a member `x_csv` is x.csv."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return made.getvalue()


PACKED = {"gz": gzip.compress(CONTENT, 1), "zip": zipped(x_csv=CONTENT)}


class Held:
    """A file in memory that counts its reads."""

    def __init__(self, content: bytes, error: Exception | None = None) -> None:
        self.content, self.error = content, error
        self.most = self.reads = 0
        self.is_checked = self.is_closed = False

    def size(self) -> int:
        return len(self.content)

    def read(self, offset: int, most: int) -> bytes:
        self.reads, self.most = self.reads + 1, max(self.most, most)
        if self.error is not None and self.reads > 1:
            raise self.error
        return self.content[offset : offset + most]

    def check(self) -> None:
        self.is_checked = True

    def close(self) -> None:
        self.is_closed = True


def opened(held: Held, *forms: str, limits: Limits = Limits()):  # noqa: B008 - it is frozen
    return unpacked(lambda: RangedContent(held), forms, limits, None)()  # type: ignore[arg-type,return-value]


def read(held: Held, *forms: str, limits: Limits = Limits()) -> bytes:  # noqa: B008
    with opened(held, *forms, limits=limits) as content:
        return b"".join(iter(partial(content.read, 4 * 1024 * 1024), b""))


@pytest.mark.parametrize("form", PACKED)
def test_a_packed_file_is_read_unpacked_and_compared_with_what_arrived_at_the_end(form: str) -> None:
    held = Held(PACKED[form])
    assert read(held, form) == CONTENT
    assert (held.is_checked, held.is_closed) == (True, True)
    assert held.most <= 1024 * 1024


def test_forms_are_taken_off_from_the_outside_in() -> None:
    assert read(Held(zipped(x_gz=gzip.compress(b"inner"))), "zip", "gz") == b"inner"


def test_a_file_that_is_no_stream_can_be_read_again_from_its_beginning_and_from_nowhere_else() -> None:
    with opened(Held(PACKED["gz"]), "gz") as content:
        assert not content.seekable()


@pytest.mark.parametrize("form", PACKED)
@pytest.mark.parametrize("left", [0, 1, 30, len(CONTENT) // 2, -1])
def test_a_file_that_was_cut_is_damaged(form: str, left: int) -> None:
    with pytest.raises(ContentDamagedError):
        read(Held(PACKED[form][:left]), form)


NAMED = bytes([0x1F, 0x8B, 8, 0x08, 0, 0, 0, 0, 0, 0xFF])
"""The head of a gzip member up to its name, which ends with a zero."""


@pytest.mark.parametrize(
    "content",
    [NAMED + b"n" * 3_000_000, PACKED["gz"] + NAMED + b"n" * 3_000_000, gzip.compress(b"x") + b"\0" * 3_000_000],
    ids=["name", "second name", "filling"],
)
def test_a_name_or_a_filling_without_an_end_is_damaged_before_all_is_read(content: bytes) -> None:
    held = Held(content)
    with pytest.raises(ContentDamagedError):
        read(held, "gz")
    assert held.reads * 1024 * 1024 < len(content) + 1024 * 1024


def test_a_member_may_be_filled_up_to_whole_blocks() -> None:
    packed = gzip.compress(b"inner")
    assert read(Held(packed.ljust(65_536, b"\0") + gzip.compress(b" and more")), "gz") == b"inner and more"


@pytest.mark.parametrize("form", PACKED)
def test_a_flipped_bit_is_found_at_the_latest_at_the_end(form: str) -> None:
    changed = bytearray(PACKED[form])
    changed[len(changed) // 2] ^= 1
    with pytest.raises(ContentDamagedError):
        read(Held(bytes(changed)), form)


@pytest.mark.parametrize("form", PACKED)
def test_a_source_that_fails_on_the_way_is_not_taken_for_a_damaged_file(form: str) -> None:
    with pytest.raises(ContentUnavailableError):
        read(Held(PACKED[form], ContentUnavailableError("cut")), form)


@pytest.mark.parametrize(
    ("archive", "said"),
    [
        pytest.param(zipped(), "0 files", id="empty"),
        pytest.param(zipped(a_csv=b"1", b_csv=b"2"), "2 files", id="two files"),
        pytest.param(zipped(zipfile.ZIP_LZMA, a_csv=b"1"), "use deflate", id="lzma"),
        pytest.param(zipped(zipfile.ZIP_BZIP2, a_csv=b"1"), "use deflate", id="bzip2"),
    ],
)
def test_a_zip_file_has_one_file_in_a_form_that_is_read_in_little_memory(archive: bytes, said: str) -> None:
    with pytest.raises(ContentDamagedError, match=said):
        read(Held(archive), "zip")


def test_folders_and_what_macos_adds_do_not_count() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("data/", b"")
        archive.writestr("data/x.csv", b"content")
        archive.writestr("__MACOSX/data/._x.csv", b"junk")
    assert read(Held(made.getvalue()), "zip") == b"content"


def test_an_encrypted_zip_file_says_so() -> None:
    changed = bytearray(zipped(x_csv=b"content"))
    changed[changed.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ContentDamagedError, match="password"):
        read(Held(bytes(changed)), "zip")


def test_a_directory_of_a_zip_file_that_would_fill_the_memory_is_not_read() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number in range(20):
            info = zipfile.ZipInfo(f"{number}.csv")
            info.comment = bytes(65_000)
            archive.writestr(info, b"")
    with pytest.raises(ContentDamagedError, match="directory is too large"):
        read(Held(made.getvalue()), "zip")


@pytest.mark.parametrize("form", PACKED)
def test_a_bomb_is_not_read_beyond_the_limits(form: str) -> None:
    bomb = bytes(JUDGED_FROM + 4 * 1024 * 1024)
    packed = gzip.compress(bomb) if form == "gz" else zipped(x_csv=bomb)
    with pytest.raises(ContentDamagedError, match="max_ratio"):
        read(Held(packed), form)
    with pytest.raises(ContentDamagedError, match="max_unpacked"):
        read(Held(packed), form, limits=Limits(size=1_000_000))
    assert read(Held(packed), form, limits=Limits(ratio=2000)) == bomb


def test_the_beginning_of_a_packed_file_costs_the_beginning_of_it() -> None:
    held = Held(gzip.compress(os.urandom(2_000_000), 1))
    with opened(held, "gz") as content:
        content.read(1000)
    assert held.reads == 1
    assert held.is_closed


def test_what_is_said_of_a_file_of_another_form_has_none_of_its_bytes() -> None:
    with pytest.raises(ContentDamagedError) as damaged:
        read(Held(b"secret,values\n"), "gz")

    assert str(damaged.value) == "it cannot be unpacked (gz): it is of another form"


@pytest.mark.parametrize("place", [b"PK\x01\x02", b"PK\x05\x06"])
def test_a_zip_file_whose_directory_is_nonsense_is_damaged(place: bytes) -> None:
    packed = zipped(x_csv=b"1")
    begin = packed.rindex(place)
    for at in range(begin + 4, min(begin + 46, len(packed))):
        broken = packed[:at] + b"\xff\xff\xff\xff" + packed[at + 4 :]
        with suppress(ContentDamagedError):
            read(Held(broken), "zip")
