"""Each property that chooses or describes the file changes what a whole import does."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.sfmc_sandbox.importing.world import NOW, TIDY, counts


def test_file_spec_names_the_file_of_today_in_the_zone_of_the_account(world):
    world.people()
    world.put("people_2024_05_08.csv", TIDY[0])
    world.put("people_2024_05_09.csv", *TIDY)
    just_after_midnight_utc = datetime(2024, 5, 9, 1, tzinfo=UTC)  # still the 8th in Chicago
    assert world.run(just_after_midnight_utc, FileSpec="people_%%YEAR%%_%%Month%%_%%DAY%%.csv").total == 1
    assert world.run(NOW, FileSpec="people_%%YEAR%%_%%Month%%_%%DAY%%.csv").total == 2


def test_file_spec_takes_the_nearest_date_where_today_has_no_file(world):
    world.people()
    world.put("people20240501.csv", *TIDY)
    world.put("people20240401.csv", *TIDY)
    outcome = world.run(FileSpec="people%%YEAR%%%%MONTH%%%%DAY%%.csv")
    assert (outcome.status, outcome.file) == ("Completed", "people20240501.csv")


def test_a_missing_file_ends_in_error_and_changes_no_rows(world):
    world.people()
    world.into_people(*TIDY)
    outcome = world.run(FileSpec="other.csv", UpdateType="Overwrite")
    assert (outcome.status, outcome.total, outcome.file) == ("Error", 0, None)
    assert outcome.message == "no file for 'other.csv' in the file transfer location"
    assert len(world.rows()) == 2


def test_an_empty_file_spec_ends_in_error(world):
    world.people()
    assert world.run(FileSpec="").message == "FileSpec is empty: name a file"


def test_retrieve_file_transfer_location_is_a_folder_by_key_or_object_id(world):
    world.people()
    for name in ("My SFTP", "guid-1"):
        (world.files / name).mkdir()
        (world.files / name / "people.csv").write_text("Email\na@example.com\n")
    assert world.run(RetrieveFileTransferLocation={"CustomerKey": "My SFTP"}).status == "Completed"
    assert world.run(RetrieveFileTransferLocation={"ObjectID": "guid-1"}).status == "Completed"
    assert world.run(RetrieveFileTransferLocation={"CustomerKey": "gone"}).status == "Error"


@pytest.mark.parametrize("name", ["..", ".", "../files", "a/b", "a\\b"])
def test_retrieve_file_transfer_location_never_leaves_its_root(world, name):
    world.people()
    assert "is not the name of a location" in world.run(RetrieveFileTransferLocation={"CustomerKey": name}).message


@pytest.mark.parametrize("link", ["ExactTarget Enhanced FTP", "ExactTarget Enhanced FTP/Import", "My SFTP"])
def test_a_location_that_is_a_link_out_of_its_root_is_refused(world, tmp_path, link):
    world.people()
    outside = tmp_path / "elsewhere"
    (outside / "Import").mkdir(parents=True)
    for folder in (outside, outside / "Import"):
        (folder / "people.csv").write_text("Email\na@example.com\n")
    name = link.partition("/")[0]
    shutil.rmtree(world.files / link, ignore_errors=True)
    (world.files / link).symlink_to(outside)
    outcome = world.run(RetrieveFileTransferLocation={"CustomerKey": name})
    assert outcome.message == f"RetrieveFileTransferLocation {name!r} is a link that leads out of files"
    assert world.rows() == []


def test_a_file_that_is_a_link_out_of_its_root_is_refused_and_one_within_is_read(world, tmp_path):
    world.people()
    (tmp_path / "secret.csv").write_text("Email\na@example.com\n")
    (world.imports / "people.csv").symlink_to(tmp_path / "secret.csv")
    assert world.run(DeleteFile=True).message == "the file 'people.csv' is a link that leads out of files"
    assert (tmp_path / "secret.csv").exists()
    world.put("real.csv", *TIDY)
    (world.imports / "people.csv").unlink()
    (world.imports / "people.csv").symlink_to("real.csv")
    assert world.run().successful == 2


def test_max_file_age_leaves_old_files_out(world):
    world.people()
    world.put("people.csv", *TIDY, modified=NOW - timedelta(hours=5))
    assert world.run(MaxFileAge=5).status == "Completed"
    assert world.run(MaxFileAge=4).message == "every file for 'people.csv' is older than MaxFileAge allows"


def test_max_file_age_schedule_offset_lengthens_the_age(world):
    world.people()
    world.put("people.csv", *TIDY, modified=NOW - timedelta(hours=5))
    assert world.run(MaxFileAge=3, MaxFileAgeScheduleOffset=1).status == "Error"
    assert world.run(MaxFileAge=3, MaxFileAgeScheduleOffset=2).status == "Completed"


def test_has_multiple_files_imports_every_part_as_one_run(world):
    world.people()
    world.put("people.csv", TIDY[0])
    world.put("people_1.csv", TIDY[1])
    world.put("people_2.csv", "a@example.com,Again,31")
    outcome = world.run(HasMultipleFiles=True)
    assert outcome.file == "people.csv, people_1.csv, people_2.csv"
    assert counts(outcome) == (2, 1, 0, 0)
    assert ("a@example.com", "Again", 31) in world.rows()
    assert world.run().file == "people.csv"


@pytest.mark.parametrize(
    ("properties", "content"),
    [
        ({"FileType": "CSV"}, "Email,Name\na@example.com,Ann\n"),
        ({"FileType": "TAB"}, "Email\tName\na@example.com\tAnn\n"),
        ({"FileType": "Other", "Delimiter": ";"}, "Email;Name\na@example.com;Ann\n"),
        ({"FileType": "Other", "Delimiter": "||"}, "Email||Name\na@example.com||Ann\n"),
        ({"EndOfLineRepresentation": "~"}, "Email,Name~a@example.com,Ann~"),
        ({"EndOfLineRepresentation": "CR"}, "Email,Name\ra@example.com,Ann\r"),
        ({"HeaderLines": 3}, "Report of May\n\nEmail,Name\na@example.com,Ann\n"),
    ],
)
def test_file_type_delimiter_end_of_line_representation_and_header_lines_describe_the_file(world, properties, content):
    world.people()
    world.put_bytes("people.csv", content.encode())
    assert counts(world.run(**properties)) == (1, 0, 0, 0)
    assert world.rows() == [("a@example.com", "Ann", None)]


def test_file_type_other_without_delimiter_ends_in_error(world):
    world.people()
    world.put("people.csv", *TIDY)
    assert world.run(FileType="Other").message.startswith("FileType Other needs a Delimiter")


def test_standard_quoted_strings_on_and_off(world):
    world.people()
    assert counts(world.into_people('a@example.com,"Ann, Dr",1')) == (1, 0, 0, 0)
    assert counts(world.into_people('a@example.com,"Ann",1', StandardQuotedStrings=False)) == (1, 0, 0, 0)
    assert world.rows() == [("a@example.com", '"Ann"', 1)]
    assert counts(world.into_people('a@example.com,"Ann, Dr",1', StandardQuotedStrings=False)) == (0, 0, 0, 1)


def test_null_representation_is_stored_as_null(world):
    world.people()
    world.into_people("a@example.com,-,-", "b@example.com,,", NullRepresentation="-")
    assert world.rows() == [("a@example.com", None, None), ("b@example.com", "", None)]


@pytest.mark.parametrize(("code_page", "encoding"), [(1252, "cp1252"), (65001, "utf-8-sig"), (1200, "utf-16")])
def test_encoding_code_page_reads_the_bytes(world, code_page, encoding):
    world.people()
    world.put("people.csv", "zoe@example.com,Zoë,1", encoding=encoding)
    assert world.run(EncodingCodePage=code_page).status == "Completed"
    assert world.rows() == [("zoe@example.com", "Zoë", 1)]


def test_without_encoding_code_page_bytes_of_another_encoding_are_a_bad_row(world):
    world.people()
    world.put("people.csv", "zoe@example.com,Zoë,1", TIDY[0], encoding="cp1252")
    assert counts(world.run(AllowErrors=True)) == (1, 0, 0, 1)
    assert world.reasons() == ["the bytes of this row are not text in the file's encoding"]


def test_a_file_that_is_not_in_its_encoding_at_all_ends_in_error(world):
    world.people()
    world.put_bytes("people.csv", b"\xff\xfeE\x00m\x00\x00")
    outcome = world.run(EncodingCodePage=1200)
    assert outcome.status == "Error"
    assert outcome.message


def test_delete_file_removes_the_file_of_a_completed_import_only(world):
    world.people()
    path = world.put("people.csv", *TIDY, "broken")
    assert world.run(DeleteFile=True).status == "Error"
    assert path.exists()
    assert world.run(DeleteFile=False, AllowErrors=True).status == "Completed"
    assert path.exists()
    assert world.run(DeleteFile=True, AllowErrors=True).status == "Completed"
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"\n\n", b"Email,Name,Age\n"])
def test_a_file_without_rows_completes_with_none(world, content):
    world.people()
    world.put_bytes("people.csv", content)
    outcome = world.run()
    assert (outcome.status, outcome.total) == ("Completed", 0)


def test_blank_headings_in_an_unreadable_file_end_in_error(world):
    world.people()
    world.put_bytes("people.csv", b"Em\xffail\na@example.com\n")
    assert "the column headings cannot be read" in world.run().message


def test_an_unreadable_folder_entry_is_no_file(world):
    world.people()
    (world.imports / "people.csv").mkdir()
    assert world.run().message.startswith("no file for 'people.csv'")
