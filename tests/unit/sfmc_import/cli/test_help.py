"""The help of every command fits into 60 columns, and its examples can be pasted."""

import re
import shlex
from collections.abc import Iterator
from functools import cache

import click
import pytest

from sfmc_import.cli.main import cli
from sfmc_import.cli.output import EXAMPLE_COLUMNS, examples

COLUMNS = 60
FURTHER = re.compile(r" \\\n\s*")


@cache
def helps() -> dict[str, tuple[click.Command, str]]:
    """Give each command by its words, with its help at 60 columns."""
    return {" ".join(words): (command, text) for words, command, text in _walk(cli, ("sfmc-import",), None)}


def _walk(
    command: click.Command, words: tuple[str, ...], parent: click.Context | None
) -> Iterator[tuple[tuple[str, ...], click.Command, str]]:
    settings = {**command.context_settings, "terminal_width": COLUMNS}
    context = click.Context(command, parent=parent, info_name=words[-1], **settings)
    yield words, command, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _walk(found, (*words, name), context)


def test_no_line_of_a_help_is_wider_than_60_columns() -> None:
    too_wide = [
        (words, line) for words, (_, text) in helps().items() for line in text.splitlines() if len(line) > COLUMNS
    ]

    assert "sfmc-import dead-letters replay" in helps()
    assert too_wide == []


def test_each_example_is_a_command_with_options_that_it_has() -> None:
    found = [(words, line) for words, (command, _) in helps().items() for line in _examples(command)]

    assert len(found) > 50
    assert [line for _, line in found if not _can_be_typed(line)] == []


@pytest.mark.parametrize(
    "line",
    [
        "sfmc-import status",
        "sfmc-import resolve 0199f3a2-… --not-started --reason 'nothing under Imports for that hour'",
        "sfmc-import doctor --json | jq '.findings[] | select(.level!=\"ok\")'",
        "sfmc-import pause \"Daily Orders of the North\" --reason 'columns   change' --for 2h --operator Ann",
        f"sfmc-import start {'k' * 100} --wait",
    ],
)
def test_an_example_on_several_lines_is_the_same_command(line: str) -> None:
    title, *rows = examples(line).removeprefix("\b\n").splitlines()
    typed = "\n".join(row.removeprefix("  ") for row in rows)

    assert title == "Examples:"
    assert shlex.split(FURTHER.sub(" ", typed)) == shlex.split(line)
    assert all(len(row) <= EXAMPLE_COLUMNS + 2 or len(row.split()) <= 2 for row in rows)


def test_an_example_of_a_file_keeps_its_indent() -> None:
    assert examples("healthcheck:", "  test: [CMD, x]", title="In compose") == (
        "\b\nIn compose:\n  healthcheck:\n    test: [CMD, x]"
    )


def _examples(command: click.Command) -> list[str]:
    _, _, lines = (command.epilog or "").partition("Examples:\n")
    return [line.strip() for line in FURTHER.sub(" ", lines).splitlines() if line.strip()]


def _can_be_typed(line: str) -> bool:
    words = [word for word in shlex.split(line, comments=True) if not re.fullmatch(r"[A-Z_]+=\w+", word)]
    if not words or words[0] != "sfmc-import":
        return line.startswith(("#", "echo "))
    command, rest = _called(words[1:])
    options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
    own = rest[: rest.index("|")] if "|" in rest else rest
    return all(word.partition("=")[0] in options for word in own if word.startswith("-"))


def _called(words: list[str]) -> tuple[click.Command, list[str]]:
    command: click.Command = cli
    for number, word in enumerate(words):
        found = command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
        if found is None:
            return command, words[number:]
        command = found
    return command, []
