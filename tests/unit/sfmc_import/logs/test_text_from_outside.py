import io
import json
import logging

import pytest
import structlog

from sfmc_import.logs import configure

EVIL = "orders\x1b[2J\n2026-01-01T00:00:00Z [info] forged \u202e\u2028\x9b31m\ud800"


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal whose user wants no colours."""
    monkeypatch.setenv("NO_COLOR", "1")
    return Terminal()


def shown_by(out: io.BytesIO) -> list[str]:
    text = out.getvalue().decode()
    assert "\x1b" not in text
    assert not {"\u202e", "\u2028", "\x9b"} & set(text)
    return text.splitlines()


def test_a_person_reads_one_line_for_each_record_whatever_its_text_is(plain: Terminal) -> None:
    configure(stream=plain)
    structlog.get_logger("any").warning("file_gone", file=EVIL, names=[EVIL], more={EVIL: EVIL})
    logging.getLogger("library").warning("no file %s", EVIL)

    lines = shown_by(plain)

    assert len(lines) == 2
    assert r"orders\x1b[2J\n2026-01-01" in lines[0]
    assert r"no file orders\x1b[2J\n2026-01-01" in lines[1]


def open_no_file(name: str) -> None:
    raise ValueError(name)


def test_the_lines_of_a_traceback_cannot_be_taken_for_records(plain: Terminal) -> None:
    configure(stream=plain)
    try:
        open_no_file(EVIL)
    except ValueError:
        structlog.get_logger("any").exception("failed")

    first, *rest = shown_by(plain)

    assert "failed" in first
    assert any("forged" in line for line in rest)
    assert not [line for line in rest if line.startswith("2026")]


def test_json_stays_json_and_has_escapes_too() -> None:
    out = io.BytesIO()
    configure(form="json", stream=out)
    structlog.get_logger("any").warning("file_gone", file=EVIL)

    [line] = shown_by(out)

    assert json.loads(line)["file"] == EVIL


def test_what_another_library_adds_under_our_names_is_not_taken_for_ours() -> None:
    out = io.BytesIO()
    configure(form="json", stream=out)
    logging.getLogger("a.library").warning("lost %s", "it", extra={"event": {"id": 7}, "error": "theirs", "mid": "x"})

    record = json.loads(out.getvalue())

    assert record["event"] == "lost it"
    assert not {"error", "mid"} & record.keys()
