import os

from sfmc_import import client
from sfmc_import.request import FileInfo


def test_a_file_is_described_as_the_folder_watcher_describes_it(tmp_path):
    (tmp_path / "a.csv").write_text("12345")
    os.utime(tmp_path / "a.csv", ns=(0, 10**18 + 1))

    assert client.file_at(tmp_path / "a.csv") == FileInfo(
        location=tmp_path.as_posix(), name="a.csv", size=5, modified_ns=10**18 + 1
    )
    assert client.file_at(tmp_path / "a.csv", "drop").location == "drop"
