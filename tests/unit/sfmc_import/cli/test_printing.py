import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sfmc_import.cli.output import print_json, print_line, seconds
from sfmc_import.display import Coloured
from sfmc_import.events import line
from sfmc_import.redaction import KNOWN

ROOT = Path(__file__).parents[4]
EVIL = "a\x1b[2J\nb\u202e\x9b\ud800"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"), (0, "0 s"), (59.6, "60 s"), (119, "119 s"), (150, "2 min"), (3600, "1 h"), (12000, "3 h 20 min"),
        (90000, "1 d 1 h"), (172800, "2 d"),
    ],
)  # fmt: skip
def test_a_time_has_the_units_that_fit_it(value: float | None, text: str) -> None:
    assert seconds(value) == text


def event(name: str, **data: Any) -> dict[str, Any]:
    return {"type": f"sfmc.import.{name}", "subject": "Daily", "time": "2026-11-22T01:02:03.004Z", "data": data}


def shown(name: str, **data: Any) -> str:
    return "".join(part.text for part in line(event(name, **data))).rstrip()


def test_an_event_is_one_line() -> None:
    text = shown("completed", file={"name": "a.csv"}, task_id="7", rows_total=10, rows_successful=9, rows_failed=1)

    assert text.split("  ")[0] == "2026-11-22 01:02:03 UTC"
    assert text.endswith("Daily                 a.csv  Task.ID 7  10 rows, 9 ok, 1 failed")


def test_an_event_without_particulars_is_a_short_line() -> None:
    assert shown("accepted", file=None) == "2026-11-22 01:02:03 UTC  accepted               Daily"


def test_an_event_of_an_unknown_kind_is_shown_too() -> None:
    assert "unrouted" in shown("unrouted", why="no route")


WRONG_KEY = {"code": "43010"}
FILE = {"location": "/in/a b", "name": "x.csv"}


@pytest.mark.parametrize(
    ("name", "more", "ending"),
    [
        (
            "start_unknown",
            {},
            (
                "then resolve it; if it ran: sfmc-import resolve r-1 --task-id N; if it did not:"
                " sfmc-import resolve r-1 --not-started --reason TEXT"
            ),
        ),
        ("gave_up", {}, "request r-1; fix the cause, then replay it: sfmc-import replay r-1"),
        ("rejected", {"code": "11"}, "right that is missing, then replay it: sfmc-import replay r-1"),
        ("rejected", {"code": "http_400"}, "report it with its text: the same request would be refused again"),
        ("rejected", WRONG_KEY | {"file": FILE}, "sfmc-import start KEY --mid MID --file '/in/a b/x.csv'"),
        ("rejected", WRONG_KEY | {"file": {"location": "s3://b", "name": "x.csv"}}, "sfmc-import start KEY --mid MID"),
        ("rejected", WRONG_KEY | {"file": {"location": "", "name": "x.csv"}}, "sfmc-import start KEY --mid MID"),
        (
            "rejected",
            WRONG_KEY | {"file": {"location": "/in", "name": "it's\x1b\n.csv"}},
            r"--file $'/in/it\'s\x1b\n.csv'",
        ),
        ("follow_timed_out", {"task_id": "4711"}, "or follow it again: sfmc-import follow 4711 --mid 7"),
        ("completed_suspicious", {}, "by force: sfmc-import replay r-1 --force --reason TEXT"),
        ("import_failed", {}, "start the corrected file, or replay this one: sfmc-import replay r-1"),
        ("completed", {}, "Daily"),
    ],
)
def test_a_line_after_which_a_person_must_act_has_the_request_and_the_command(
    name: str, more: dict[str, Any], ending: str
) -> None:
    assert shown(name, request_id="r-1", mid="7", **more).endswith(ending)


@pytest.mark.parametrize("word", ["operator.forced", "not_started", "cancelled", "started"])
def test_what_an_operator_did_has_the_words_of_the_operator(word: str) -> None:
    said = shown(word, request_id="r-1", mid="7", operator="ann", reason="the customer waits")

    assert "operator ann  reason: the customer waits" in said


def test_a_pause_says_until_when_and_its_end_who_had_paused() -> None:
    words = {"operator": "ann", "reason": "columns change", "scope": "all", "since": 1772344800000}

    assert shown("operator.paused", **words, until=1772348400000).endswith(
        "operator ann  reason: columns change  until 2026-03-01T07:00:00Z"
    )
    assert shown("operator.paused", **words).endswith("reason: columns change  until it is resumed")
    assert shown("operator.resumed", **words | {"reason": None}, paused_by="bob").endswith(
        "operator ann  paused by bob"
    )


def test_the_words_of_a_sender_are_not_repeated_in_each_line() -> None:
    assert "the customer waits" not in shown("starting", request_id="r-1", mid="7", reason="the customer waits")


def test_a_line_stays_one_line_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_line(*line(event("rejected", file={"name": EVIL}, text=EVIL) | {"subject": EVIL, "type": f"x.{EVIL}"}))

    shown = capsys.readouterr().out
    assert shown.count("\n") == 1
    assert not {"\x1b", "\u202e", "\x9b"} & set(shown)


def test_a_line_has_colours_where_they_are_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_line(Coloured("plain", "red"))
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_line(Coloured("forced", "red"), err=True)

    assert capsys.readouterr() == ("plain\n", "\x1b[31mforced\x1b[0m\n")


def test_json_keeps_its_value_and_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": EVIL, "more": "é"})

    shown = capsys.readouterr().out
    assert json.loads(shown) == {"name": EVIL, "more": "é"}
    assert shown.count("\n") == 1
    assert not {"\x1b", "\u202e", "\x9b"} & set(shown)


def test_a_line_shows_no_secret_that_this_process_knows(capsys: pytest.CaptureFixture[str]) -> None:
    KNOWN.learn("geheim-geheim-geheim")
    print_line("redis://:pw@host and geheim-geheim-geheim")

    assert capsys.readouterr().out == "redis://[redacted]@host and [redacted]\n"


PRINTERS = {"click.echo", "click.secho", "print", "sys.stdout.write", "sys.stderr.write"}
ALLOWED = {
    ("worker/sfmc_import/cli/output.py", "click.echo"),
    ("worker/sfmc_import/cli/main.py", "click.echo"),
    ("worker/sfmc_import/cli/notify.py", "click.echo"),  # a new secret, the one time that it is shown
    ("worker/sfmc_import/cli/repair.py", "click.echo"),  # the bytes of a dead letter, for a program
    ("worker/sfmc_import/cli/tokens.py", "click.echo"),  # a new token, the one time that it is shown
}


LAST_NAMES = {name.rpartition(".")[2] for name in PRINTERS}


def calls_of_printers(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        called = getattr(node, "func", None)
        if getattr(called, "attr", getattr(called, "id", None)) in LAST_NAMES and ast.unparse(called) in PRINTERS:
            yield ast.unparse(called)


def test_nothing_prints_past_the_printer_that_escapes() -> None:
    found = {
        (str(path.relative_to(ROOT)), name)
        for folder in ("worker", "producers", "ops/local")
        for path in (ROOT / folder).rglob("*.py")
        for name in calls_of_printers(path)
    }

    assert found == ALLOWED
