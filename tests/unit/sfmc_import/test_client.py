import os
from dataclasses import asdict

import pytest

from sfmc_import import client
from sfmc_import.request import FileInfo, read_request


def test_a_file_is_described_as_the_folder_watcher_describes_it(tmp_path):
    (tmp_path / "a.csv").write_text("12345")
    os.utime(tmp_path / "a.csv", ns=(0, 10**18 + 1))

    assert client.file_at(tmp_path / "a.csv") == FileInfo(
        location=tmp_path.as_posix(), name="a.csv", size=5, modified_ns=10**18 + 1, content_hash="5994471abb01112a"
    )
    assert client.file_at(tmp_path / "a.csv", "drop").location == "drop"


@pytest.mark.parametrize("years", [-100, 5_000])
def test_a_file_may_be_dated_before_1970_and_far_ahead(tmp_path, years):
    stamp = years * 365 * 86400 * 10**9
    file = tmp_path / "a.csv"
    file.write_text("12345")
    os.utime(file, ns=(0, stamp))
    message = {"customer_key": "daily", "file": asdict(client.file_at(file))}
    message["file"].pop("version")

    # A file system may have a shorter range and sets the nearest time.
    assert (read_request("r", "7", message).file.modified_ns > 10**18) == (years > 0)
