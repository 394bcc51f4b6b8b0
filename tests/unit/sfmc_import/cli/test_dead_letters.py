"""`dead-letters replay` and `delete` of several: each is tried, and of each it is said what became of it."""

import json

import pytest

from sfmc_import.cli.repair import _change_each
from sfmc_import.operations.errors import NotFoundError
from sfmc_import.operations.views import DoneView


def replayed(letter_id: str) -> DoneView:
    if letter_id == "gone":
        raise NotFoundError(f"there is no dead letter {letter_id}", "list them")
    return DoneView(id=letter_id, done="replayed", queue="imports")


def test_one_that_is_gone_keeps_no_other_from_it_and_the_exit_code_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        _change_each(["a", "gone", "b"], replayed, as_json=False)
    printed = capsys.readouterr()

    assert ended.value.code == 1
    assert printed.out.splitlines() == ["replayed  a  imports", "replayed  b  imports"]
    assert printed.err.splitlines() == ["sfmc-import: there is no dead letter gone", "  list them"]


def test_with_json_each_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _change_each(["gone", "b"], replayed, as_json=True)

    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"id": "gone", "done": "failed", "text": "there is no dead letter gone", "fix": "list them"},
        {"id": "b", "done": "replayed", "queue": "imports"},
    ]


def test_when_all_are_done_nothing_fails(capsys: pytest.CaptureFixture[str]) -> None:
    _change_each(["a"], replayed, as_json=False)

    assert capsys.readouterr().out == "replayed  a  imports\n"
