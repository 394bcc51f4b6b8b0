import pytest

from sfmc_import.file_content import PART_BYTES, PARTS, WHOLE_UP_TO, content_hash_at

GIB = 2**30


def hash_of(file):
    return content_hash_at(file, file.stat().st_size)


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES])
def test_of_a_file_up_to_16_mib_every_byte_counts(tmp_path, size):
    file = tmp_path / "a.csv"
    file.write_bytes(b"x" * size)
    before = hash_of(file)
    file.write_bytes(b"x" * max(0, size - 1) + b"y" * min(1, size))

    assert (hash_of(file) != before) == (size > 0)
    assert len(before) == 16


@pytest.mark.parametrize("size", [WHOLE_UP_TO + 1, 4 * GIB])
@pytest.mark.parametrize("part", [0, 1, PARTS // 2, PARTS - 1])
def test_of_a_larger_file_64_parts_from_the_first_byte_to_the_last_count(tmp_path, size, part):
    file = tmp_path / "a.csv"
    with file.open("wb") as sparse:
        sparse.truncate(size)
        before = hash_of(file)
        sparse.seek((size - 1) * part // (PARTS - 1))
        sparse.write(b"y")

    assert hash_of(file) != before


def test_a_file_that_cannot_be_read_has_no_hash(tmp_path):
    assert content_hash_at(tmp_path, 1) is None
    assert content_hash_at(tmp_path / "missing", 1) is None
