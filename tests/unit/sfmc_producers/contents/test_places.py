"""An event must not choose among all files that the login may read."""

import io

import pytest

from sfmc_import.request import FileInfo
from sfmc_producers.content_errors import ContentGoneError
from sfmc_producers.contents.places import with_content
from sfmc_producers.sources.arrivals import Arrival

ROOT = "s3://drop"


@pytest.mark.parametrize("location", ["s3://drop", "s3://drop/in", "s3://drop/in/2026"])
def test_a_file_at_the_place_of_the_table_or_below_can_be_opened(location: str) -> None:
    arrival = Arrival(file=FileInfo(location=location, name="a.csv"))
    opened = with_content(arrival, ROOT, lambda each: io.BytesIO(each.file.name.encode()))
    assert opened.file == arrival.file
    assert opened.open_content is not None
    assert opened.open_content().read() == b"a.csv"


@pytest.mark.parametrize("location", ["", "s3://dropped", "s3://drop-2/in", "S3://drop", "gs://drop", "x/s3://drop"])
def test_a_file_anywhere_else_is_never_opened_and_the_line_says_from_where_files_are_read(location: str) -> None:
    opened = with_content(Arrival(file=FileInfo(location=location, name="a.csv")), ROOT, lambda _: io.BytesIO())
    assert opened.open_content is not None
    with pytest.raises(ContentGoneError, match=r"a\.csv does not lie below s3://drop, from where"):
        opened.open_content()


def test_a_folder_of_an_sftp_server_that_is_its_root_has_all_of_its_files() -> None:
    opened = with_content(
        Arrival(file=FileInfo(location="sftp://h:22/in", name="a")), "sftp://h:22/", lambda _: io.BytesIO(b"x")
    )
    assert opened.open_content is not None
    assert opened.open_content().read() == b"x"
