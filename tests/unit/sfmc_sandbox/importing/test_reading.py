import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_sandbox.importing.reading import Dialect, Rows, Unreadable, lines_of, newline_mode


def rows_of(text, delimiter=",", line_end="", quoted=True):
    dialect = Dialect(delimiter, line_end, quoted)
    stream = io.TextIOWrapper(
        io.BytesIO(text.encode("utf-8", "surrogateescape")),
        encoding="utf-8",
        errors="surrogateescape",
        newline=newline_mode(dialect),
    )
    return Rows(lines_of(stream, dialect), dialect)


def read(text, **dialect):
    return list(rows_of(text, **dialect))


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_any_usual_line_end_is_understood_without_end_of_line_representation(line_end):
    assert read(line_end.join(["a,b", "c,d", ""])) == [["a", "b"], ["c", "d"]]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r", "|", "~~", "END"])
def test_end_of_line_representation_ends_lines(line_end):
    assert read(line_end.join(["a,b", "c,d", ""]), line_end=line_end) == [["a", "b"], ["c", "d"]]


def test_end_of_line_representation_is_found_across_the_pieces_a_file_is_read_in():
    text = "~~".join(f"{number:05}," + "x" * 90 for number in range(3000))
    assert [row[0] for row in read(text, line_end="~~")] == [f"{number:05}" for number in range(3000)]


def test_a_line_feed_is_no_end_where_another_one_is_named():
    (row,) = read("a,b\nc,d\r\n", line_end="\r\n")
    assert isinstance(row, Unreadable)


def test_standard_quoted_strings_may_hold_delimiters_quotes_and_line_ends():
    assert read('"a,b","say ""hi""","two\nlines"\nc,d,e\n') == [["a,b", 'say "hi"', "two\nlines"], ["c", "d", "e"]]


def test_without_standard_quoted_strings_a_quote_is_a_letter():
    assert read('"a,b"\n', quoted=False) == [['"a', 'b"']]


@pytest.mark.parametrize("delimiter", ["\t", ";", "|", "||", "<->", "é"])
def test_a_delimiter_of_any_length_separates_columns(delimiter):
    assert read(f'a{delimiter}"b{delimiter}c"\n', delimiter=delimiter) == [["a", f"b{delimiter}c"]]


def test_blank_lines_are_no_rows():
    assert read("\na,b\n\n\nc,d\n\n") == [["a", "b"], ["c", "d"]]


def test_line_and_raw_speak_of_the_latest_row():
    rows = rows_of('skipped\n"a\nb",1\nc,2\n')
    rows.skip_lines(1)
    assert [(row[0], rows.line, rows.raw) for row in rows] == [("a\nb", 2, '"a\nb",1'), ("c", 4, "c,2")]


def test_bytes_that_are_no_text_make_their_row_unreadable_and_no_other():
    rows = rows_of("a,b\nc\udcff,d\ne,f\n")
    found = [(row, rows.raw) for row in rows]
    assert [row for row, _ in found] == [["a", "b"], [], ["e", "f"]]
    assert found[1][0].reason == "the bytes of this row are not text in the file's encoding"
    assert found[1][1] == "c?,d"


def test_a_row_too_long_for_the_reader_is_unreadable_and_the_next_is_read():
    first, second = read("x" * (csv.field_size_limit() + 1) + "\na,b\n")
    assert isinstance(first, Unreadable)
    assert second == ["a", "b"]


def test_skipping_more_lines_than_there_are_leaves_nothing():
    rows = rows_of("a\nb\n")
    rows.skip_lines(5)
    assert list(rows) == []


letters = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


@given(st.lists(st.lists(letters, min_size=2, max_size=4), max_size=10))
def test_what_a_csv_writer_writes_is_read_back(table):
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(table)
    assert read(text.getvalue()) == table


@given(st.binary(max_size=300), st.sampled_from([",", "||"]), st.sampled_from(["", "\n", "~"]), st.booleans())
def test_any_bytes_are_read_to_their_end(content, delimiter, line_end, quoted):
    rows = rows_of(content.decode("utf-8", "surrogateescape"), delimiter, line_end, quoted)
    assert all(rows.raw is not None and rows.line > 0 for _ in rows)
