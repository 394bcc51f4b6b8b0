"""What helps is data: the command line gets a command that can be pasted, everybody else a sentence and a page."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import import operations
from sfmc_import.advice import FORCE, REASON, Advice, Command, with_command
from sfmc_import.cli.main import cli
from sfmc_import.errors import SfmcImportError
from sfmc_server.console.advising import Link, link_of

COMMAND = re.compile(r"--[a-z]|sfmc-import [a-z]")
PACKAGES = ("worker/sfmc_import", "ops/server/sfmc_server", "producers/sfmc_producers")
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("advice", "typed", "words"),
    [
        (Advice(), "", ""),
        (Advice(("look at it again",)), "look at it again", "look at it again"),
        (Advice(at_prompt="give --reason TEXT"), "give --reason TEXT", ""),
        (Advice(("give ", REASON, ": why")), "give --reason TEXT: why", "give a reason: why"),
        (Advice((FORCE, " imports it")), "--force --reason TEXT imports it", "force with a reason imports it"),
        (with_command("list them with", "dead-letters"), "list them with: sfmc-import dead-letters", ""),
        (Advice(("resolve it",), Command(("resolve", "a b"))), "resolve it: sfmc-import resolve 'a b'", "resolve it"),
        (Advice(("five events",), Command(("status",)), "see also"), "five events; see also: sfmc-import status",
         "five events"),
    ],
)  # fmt: skip
def test_an_advice_is_written_for_the_command_line_and_in_words(advice: Advice, typed: str, words: str) -> None:
    assert (str(advice), advice.in_words()) == (typed, words)


def test_an_error_prints_its_advice_with_the_command() -> None:
    error = SfmcImportError("no", with_command("see", "tokens", "list"))

    assert error.lines() == ["sfmc-import: no", "  see: sfmc-import tokens list"]
    assert error.fix == "see: sfmc-import tokens list"


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_a_shell_gives_a_command_each_text_back_as_one_word(text: str) -> None:
    assert shlex.split(str(Command(("show", text)))) == ["sfmc-import", "show", text]


@pytest.mark.parametrize(
    ("advice", "link"),
    [
        (Advice(("resolve it",), action="resolve", request_id="a/b"), Link("/request/resolve?id=a%2Fb", "Resolve")),
        (with_command("list them with", "dead-letters"), Link("/dead-letters", "Dead letters")),
        (with_command("see", "tokens", "list"), None),
        (Advice(("pause it",), action="pause", request_id="a"), None),
        (Advice(("look at it again",)), None),
    ],
)
def test_the_console_has_a_page_for_what_it_can_do(advice: Advice, link: Link | None) -> None:
    assert link_of(advice) == link


def test_no_operation_writes_a_command_or_an_option_into_a_sentence() -> None:
    texts = [text for path in Path(operations.__file__).parent.glob("*.py") for text in _texts_of(_tree(path))]

    assert len(texts) > 100
    assert [each for each in texts if COMMAND.search(each)] == []


def test_each_command_of_an_advice_is_there() -> None:
    found = {words for package in PACKAGES for path in (ROOT / package).rglob("*.py") for words in _commands(path)}

    assert ("status", "--unmatched") in found
    assert sorted(" ".join(words) for words in found if not _is_known(words)) == []


def _tree(path: Path) -> ast.AST:
    return ast.parse(path.read_text("utf-8"))


def _texts_of(tree: ast.AST) -> list[str]:
    nodes = list(ast.walk(tree))
    docstrings = {id(each.value) for each in nodes if isinstance(each, ast.Expr)}
    left_out = docstrings | {id(part) for each in nodes for part in _for_a_prompt(each)}
    found = [each.value for each in nodes if isinstance(each, ast.Constant) and id(each) not in left_out]
    return [each for each in found if isinstance(each, str)]


def _for_a_prompt(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.keyword) and node.arg == "at_prompt":
        yield node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"Option", "Command"}:
        yield from (part for each in node.args for part in ast.walk(each))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "with_command":
        yield from node.args


def _commands(path: Path) -> Iterator[tuple[str, ...]]:
    for node in ast.walk(_tree(path)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id == "with_command":
            yield _plain(node.args[1:])
        if node.func.id == "Command" and node.args and isinstance(node.args[0], ast.Tuple):
            yield _plain(node.args[0].elts)


def _plain(nodes: list[ast.expr]) -> tuple[str, ...]:
    return tuple(str(each.value) if isinstance(each, ast.Constant) else "…" for each in nodes)


def _is_known(words: tuple[str, ...]) -> bool:
    command: click.Command | None = cli
    context = click.Context(cli)
    for number, word in enumerate(words):
        if not isinstance(command, click.Group):
            options = {name for each in command.params for name in each.opts} if command else set()
            return all(each in options for each in words[number:] if each.startswith("--"))
        command = command.get_command(context, word)
    return command is not None
