"""What the preflight finds in the beginning of a file, and what it lets pass."""

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import.file_format import Column, FileDescription, FileFormat, Preflight
from sfmc_producers import preflight
from sfmc_producers.preflight import MAX_BYTES, Checked, check, wrong_class
from sfmc_sandbox.importing import Field
from sfmc_sandbox.importing.dates import date_reader
from sfmc_sandbox.importing.outcome import BadRowError
from sfmc_sandbox.importing.values import Style, converter

INFER = FileFormat(file_type="CSV", header_lines=1, mapping="InferFromColumnHeadings", is_quoted=True)
COLUMNS = (
    Column(name="Id", type="Number", is_primary_key=True),
    Column(name="Name", length=5),
    Column(name="Born", type="Date"),
    Column(name="Mail", type="EmailAddress", is_required=True),
)
PEOPLE = FileDescription(INFER, COLUMNS)
HEAD = "Id,Name,Born,Mail\n"
GOOD = "1,Ann,2001-02-03,ann@example.com\n"


def checked(content: str | bytes, description: FileDescription = PEOPLE, **wanted: object) -> Checked:
    data = content.encode() if isinstance(content, str) else content
    return check(io.BytesIO(data), Preflight(**wanted), description)  # type: ignore[arg-type]


def form(**changes: object) -> FileDescription:
    return FileDescription(replace(INFER, **changes), COLUMNS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content",
    [
        HEAD + GOOD,
        "\ufeff" + HEAD + GOOD,
        (HEAD + GOOD).encode("utf-16"),
        (HEAD + GOOD).replace("\n", "\r\n"),
        (HEAD + GOOD).replace("\n", "\r"),
        "mail;id\n".replace(";", ",") + "a@b,1\n",
        HEAD.upper() + GOOD,
        HEAD + '1,"A,""b",1/2/24,a@b\n',
        HEAD + "1,,,a@b\n",
        HEAD + '1,"A\nb",,"a@b"',
        HEAD + '1,A,,"a@b\r\n\r\n"\r\n',
        HEAD + '1,"A""",,a@b\n\n',
        "Id,Mail,Unknown\n1,a@b,x\n",
        HEAD + "\n\n" + GOOD + "\n",
    ],
)
def test_a_file_that_fits_passes(content: str | bytes):
    assert checked(content) == Checked()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (HEAD + GOOD + "2,Annabella,,a@b\n", "line 3, column Name: text longer than 5"),
        (HEAD + "x,Ann,,a@b\n", "line 2, column Id: no whole number"),
        (HEAD + "9999999999,Ann,,a@b\n", "line 2, column Id: a number outside -2147483648 to 2147483647"),
        (HEAD + ",Ann,,a@b\n", "line 2, column Id: empty, and a value is required"),
        (HEAD + "1,Ann,soon,a@b\n", "line 2, column Born: no date"),
        (HEAD + "1,Ann,,home\n", "line 2, column Mail: no email address"),
        (HEAD + "1,Ann\n", "line 2: 2 columns instead of 4"),
        ("Id,Name\n1,Ann\n", "header: column Mail is missing, and a value is required"),
        ("Id,Mail,Id\n1,a@b,1\n", "header: column Id stands there twice"),
        ("1;Ann;2001-02-03;a@b\n" * 2, "header: it names no column of the destination; look at delimiter"),
        ((HEAD + GOOD + "2,Jos\xe9,,a@b\n").encode("latin-1"), "line 3: bytes that are no text in utf-8"),
        (HEAD + GOOD + 'x,"' + "y" * 200_000, "line 3: cannot be read as a row; a quote may be open"),
        (HEAD + '1,"Ann,,a@b\n2,x,,a@b\n3,y,,a@b\n', "line 2: a quote stays open to the end of the file"),
        (HEAD + GOOD + '2,"A', "line 3: a quote stays open to the end of the file"),
        (HEAD + GOOD + "\n\n" + '2,"A\n', "line 5: a quote stays open to the end of the file"),
        ('Id,"Name\n1,x\n', "line 1: a quote stays open to the end of the file"),
        (HEAD + "y" * 1_100_000, "line 2: longer than 1048576 characters"),
        (HEAD + '1,"A\nb",,a@b\n2,Ann,,no\n', "line 4, column Mail: no email address"),
    ],
)
def test_what_is_wrong_is_named_by_line_column_and_class(content: str | bytes, problem: str):
    [found, *_] = checked(content).problems

    assert found.startswith(problem)


@pytest.mark.parametrize("content", [b"", HEAD, HEAD + "\n\n", "\ufeff"])
def test_a_file_without_a_row_is_empty(content: str | bytes):
    assert checked(content) == Checked(is_empty=True)


def test_only_so_many_rows_are_checked_and_so_many_problems_named():
    bad = "x,Ann,,a@b\n"

    assert checked(HEAD + GOOD * 3 + bad, rows=3) == Checked()
    assert checked(HEAD + bad, rows=0) == Checked()
    assert len(checked(HEAD + bad * 100).problems) == 5


@pytest.mark.parametrize(
    ("content", "description", "wanted"),
    [
        ("Id\tMail\n1\ta@b\n", form(file_type="TAB"), {}),
        ("Id|Mail\n1|a@b\n", form(file_type="Other", delimiter="|"), {}),
        ("Id::Mail\n1::a@b\n", form(file_type="Other", delimiter="::"), {}),
        ("a title\nId,Mail\n1,a@b\n", form(header_lines=2), {}),
        ("Id,Mail\nNULL,a@b\n", FileDescription(replace(INFER, null_text="NULL"), COLUMNS[1:]), {}),
        ("1,a@b\n", form(mapping="MapByOrdinal", header_lines=0), {"columns": ("Id", "Mail")}),
        ("1,x,a@b\n", form(mapping="MapByOrdinal", header_lines=0), {"columns": ("Id", "", "Mail")}),
        ("whatever\n", form(mapping="ManualMap", header_lines=0), {}),
        ("Id,Mail\n1,J\xe9@b\n".encode("cp1252"), PEOPLE, {"encoding": "cp1252"}),
        ('Id,Name,Mail\n1,"a,a@b\n', form(is_quoted=False), {}),
        ("anything,goes\n1,2\n", FileDescription(INFER), {}),
    ],
)
def test_the_file_is_read_as_its_definition_says(content: str | bytes, description: FileDescription, wanted: dict):
    assert checked(content, description, **wanted) == Checked()


def test_columns_by_place_are_checked_and_must_exist():
    by_place = form(mapping="MapByOrdinal", header_lines=0)

    assert checked("x,a@b\n", by_place, columns=("Id", "Mail")).problems == ("line 1, column Id: no whole number",)
    assert checked("1\n", by_place, columns=("Id", "Mail")).problems == ("line 1: 1 columns instead of 2",)
    assert checked("1\n", by_place, columns=("Nr",)).problems == ("preflight: the destination has no column Nr",)


class Endless(io.RawIOBase):
    """A file that never ends."""

    def __init__(self, line: bytes) -> None:
        self.line, self.given = line, 0

    def read(self, size: int = -1) -> bytes:
        self.given += size
        return (self.line * (size // len(self.line) + 1))[:size]


@pytest.mark.parametrize("line", ["é" * 50 + "\n", HEAD])
def test_of_a_file_without_end_a_bounded_part_is_read(line: str):
    content = Endless(line.encode())
    check(content, Preflight(rows=100_000), FileDescription(replace(INFER, mapping=None)))  # type: ignore[arg-type]

    assert content.given <= MAX_BYTES + 4


@given(st.binary(max_size=300), st.sampled_from(["utf-8", "cp1252", "utf-16-le", "shift_jis"]), st.booleans())
def test_any_bytes_are_judged(content: bytes, encoding: str, quoted: bool):
    found = checked(content, form(is_quoted=quoted), encoding=encoding)

    assert all(problem.startswith(("line ", "header: ")) for problem in found.problems)


@given(st.lists(st.text(alphabet='ab,"\n\ré€', max_size=12), max_size=8), st.integers(1, 7))
def test_how_the_bytes_come_changes_nothing(parts: list[str], size: int):
    content = (HEAD + "".join(parts)).encode()

    class Slow(io.BytesIO):
        def read(self, wanted: int | None = -1) -> bytes:
            return super().read(min(size, wanted) if wanted and wanted > 4 else wanted)

    assert check(Slow(content), Preflight(), PEOPLE) == checked(content)


SECRET = "Xq7zW9"


@given(st.sampled_from(["Text", "Number", "Decimal", "Date", "Boolean", "EmailAddress"]), st.text(max_size=20))
def test_no_value_of_the_file_is_ever_said(kind: str, more: str):
    description = FileDescription(INFER, (Column(name="c", type=kind, length=3, is_required=True),))
    for content in (f"c\n{SECRET}{more}\n", f"{SECRET}{more}\n{SECRET}\n"):
        assert not any(SECRET in problem for problem in checked(content, description).problems)


DATES = st.dates().flatmap(
    lambda day: st.sampled_from(["%Y-%m-%d", "%d.%m.%y", "%m/%d/%Y", "%d %b %Y", "%B %d, %Y", "%Y%m%d"]).map(
        day.strftime
    )
)
VALUES = st.one_of(
    st.text(max_size=30),
    st.from_regex(r"[+-]?[0-9]{1,14}(\.[0-9]{1,5})?", fullmatch=True),
    st.sampled_from(["yes", "T", " true ", "1e3", "Infinity", "1_0", "2024-W01-1", "1/2/4", "5:00"]),
    st.emails(),
    DATES,
)


@given(
    st.sampled_from(["Text", "Number", "Decimal", "Date", "Boolean", "EmailAddress", "Phone", "Locale"]),
    st.none() | st.integers(1, 30),
    st.booleans(),
    VALUES,
)
def test_what_the_sandbox_takes_is_never_refused(kind: str, length: int | None, required: bool, text: str):
    field = Field("c", type=kind, max_length=length, is_required=required)  # type: ignore[arg-type]
    style = Style(null_text="", read_date=date_reader("en-US"), now="2026-01-01T00:00:00")
    try:
        converter(field, style)(text)
    except BadRowError:
        return

    assert wrong_class(Column(name="c", type=kind, length=length, is_required=required), text) is None


def test_what_is_read_is_bounded_by_a_constant():
    assert preflight.MAX_BYTES <= 64 * 1024 * 1024


def test_a_quote_that_stays_open_is_found_with_a_delimiter_of_several_characters_and_below_skipped_lines():
    two = form(file_type="Other", delimiter="::", header_lines=2)

    assert checked('a title\nId::Mail\n1::"a@b\n2::c@d\n', two).problems == (
        "line 3: a quote stays open to the end of the file",
    )


def test_a_row_that_is_open_where_reading_ends_says_nothing_and_what_was_wrong_before_is_said():
    rest = "".join(f"{number},Ann,,a@b\n" for number in range(MAX_BYTES // 10))
    bad, is_open = "x,Ann,,a@b\n", '1,"' + "A" * 50_000

    assert checked(HEAD + rest, rows=10_000_000) == Checked()
    assert checked(HEAD + bad + rest, rows=10_000_000).problems == ("line 2, column Id: no whole number",)
    text = HEAD + "1,Ann,,a@b\n" * ((MAX_BYTES - 20_000) // 11)
    assert checked(text + is_open, rows=10_000_000) == Checked()
