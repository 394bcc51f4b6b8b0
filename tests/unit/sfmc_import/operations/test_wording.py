"""What helps, in words for those who have no command line."""

import ast
import re
from pathlib import Path

import pytest

from sfmc_import import operations
from sfmc_import.operations.wording import in_words

COMMAND = re.compile(r"--[a-z]|sfmc-import [a-z]")


@pytest.mark.parametrize(
    ("fix", "words"),
    [
        (None, ""),
        ("give --reason TEXT", ""),
        ("give --reason TEXT: why the window does not count", "give a reason: why the window does not count"),
        ("--force --reason TEXT imports it again", "force with a reason imports it again"),
        ("list them with: sfmc-import dead-letters", ""),
        ("find out whether it ran, then: sfmc-import resolve 1 --task-id N (or --not-started)",
         "find out whether it ran, then resolve it"),
        ("files are looked for in the newest 20 events; see also: sfmc-import status --unmatched",
         "files are looked for in the newest 20 events"),
    ],
)  # fmt: skip
def test_what_helps_is_said_without_the_command_line(fix: str | None, words: str) -> None:
    assert in_words(fix) == words


def test_no_operation_tells_a_program_of_a_command_or_an_option() -> None:
    texts = [
        text
        for path in Path(operations.__file__).parent.glob("*.py")
        for text in _texts_of(ast.parse(path.read_text("utf-8")))
        if path.name not in {"wording.py", "views.py", "fixing.py"}
    ]

    assert any(COMMAND.search(each) for each in texts)
    assert [each for each in texts if COMMAND.search(in_words(each))] == []


def _texts_of(tree: ast.AST) -> list[str]:
    nodes = list(ast.walk(tree))
    inner = {id(part) for each in nodes if isinstance(each, ast.JoinedStr) for part in each.values}
    docstrings = {id(each.value) for each in nodes if isinstance(each, ast.Expr)}
    plain = [e.value for e in nodes if isinstance(e, ast.Constant) and id(e) not in inner | docstrings]
    joined = ["".join(str(getattr(p, "value", "x")) if isinstance(p, ast.Constant) else "x" for p in each.values)
              for each in nodes if isinstance(each, ast.JoinedStr)]  # fmt: skip
    return [each for each in (*plain, *joined) if isinstance(each, str)]
