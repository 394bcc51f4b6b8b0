"""Lines keep to the width of their place: they break between words, and nothing is cut."""

import io

import pytest

from sfmc_import.cli.output import print_line
from sfmc_import.cli.wrapping import columns, rows, width_of
from sfmc_import.display import Coloured

ID = "0199f3a2-4c1d-7e0b-9a57-6f1f4c7d8e90"


def shown(text: str, width: int | None = 60) -> list[str]:
    return ["".join(part.text for part in row).rstrip() for row in rows([Coloured(text)], width)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({"COLUMNS": "60"}, 60), ({"COLUMNS": "5"}, 30), ({"COLUMNS": "0"}, None), ({"COLUMNS": "x"}, None), ({}, None)],
)
def test_the_width_is_that_of_columns_and_a_pipe_has_none(environ: dict[str, str], expected: int | None) -> None:
    assert width_of(io.StringIO(), environ) == expected
    assert width_of(Terminal(), environ) == expected


def test_a_line_that_fits_or_has_no_width_stays_as_it_is() -> None:
    assert shown("  state    completed") == ["  state    completed"]
    assert shown("a " * 200, None) == [("a " * 200).rstrip()]


def test_a_long_line_breaks_between_words_and_its_rows_are_moved_to_the_right() -> None:
    found = shown("  waits    " + "word " * 40)

    assert max(map(len, found)) <= 60
    assert found[0].startswith("  waits    word")
    assert all(each.startswith("      word") for each in found[1:])
    assert " ".join(found).split() == ["waits", *["word"] * 40]


def test_a_word_that_is_wider_than_a_row_is_not_cut_and_stands_alone() -> None:
    path = f"/in/{'n' * 250}.csv"

    assert shown(f"  file     {path} of somebody") == ["  file", f"      {path}", "      of somebody"]


def test_a_command_begins_a_row_and_a_shell_takes_its_rows_as_one_line() -> None:
    command = f"sfmc-import start {'K' * 36} --mid 510001234 --file '/in/a b.csv'"
    found = shown(f"2026-03-01 06:00:00 UTC  rejected  x  request {ID}; when the cause is gone: {command}")
    begin = next(number for number, each in enumerate(found) if each.strip().startswith("sfmc-import"))
    typed = " ".join(each.strip().removesuffix("\\").strip() for each in found[begin:])

    assert typed == command
    assert all(each.endswith(" \\") for each in found[begin:-1])
    assert max(map(len, found)) <= 60


def test_a_command_that_fits_stays_behind_its_words() -> None:
    assert shown("  list them with: sfmc-import dead-letters") == ["  list them with: sfmc-import dead-letters"]


def test_wide_characters_count_twice_and_combining_ones_not_at_all() -> None:
    assert columns("\u8a3b\u6587") == 4
    assert columns("e\u0301") == 1
    assert max(columns(each) for each in shown("\u8a3b\u6587 " * 40)) <= 60


def test_colours_stay_with_their_words() -> None:
    found = list(rows([Coloured("a " * 28), Coloured("rejected", "red"), Coloured(" b")], 60))

    assert found[1] == [Coloured("    "), Coloured("rejected", "red"), Coloured(" b")]


def test_what_is_printed_keeps_to_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    print_line("word " * 40)

    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60
