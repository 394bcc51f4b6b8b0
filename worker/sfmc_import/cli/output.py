"""How the commands print: lines that no text from outside can break, JSON, marks, times and examples."""

import json
import math
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, TypeVar

import click

from sfmc_import.cli.wrapping import rows, width_of
from sfmc_import.display import Coloured, json_escaped, one_line, span, wants_colours
from sfmc_import.redaction import hidden

Line = str | Sequence[Coloured]
F = TypeVar("F", bound=Callable[..., Any])

EXAMPLE_COLUMNS = 56
"""The columns of a command in the examples: with its indent it fits into 60."""

MARKS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


def json_option(command: F) -> F:
    """Give a command the option --json, as argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


class SecondsRange(click.FloatRange):
    """A time: `nan` and `inf` are numbers for Python, and no times."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it; fails as click does."""
        seconds: float = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is no time.", param, ctx)
        return seconds


def examples(*lines: str, title: str = "Examples") -> str:
    """Give an epilog whose lines click leaves as they are; a long command has several, which a shell takes as one."""
    return "\b\n" + "\n".join([f"{title}:", *(f"  {row}" for line in lines for row in _typed_rows(line))])


def _typed_rows(line: str) -> Iterator[str]:
    row = ""
    # The indent of a command in a file stays.
    words = re.findall(r"^\s+\S+|(?:'[^']*'|\"[^\"]*\"|[^\s'\"])+", line)
    for number, word in enumerate(words, 1):
        more = 2 if number < len(words) else 0
        if row and len(row) + 1 + len(word) + more > EXAMPLE_COLUMNS:
            yield f"{row} \\"
            row = f"  {word}"
        else:
            row = f"{row} {word}" if row else word
    yield row


def print_line(*parts: str | Coloured, err: bool = False) -> None:
    """Print one line; whatever its parts contain, they stay in it, and nothing in them steers the terminal.

    Where its place has a width, it is written as several rows that keep to it.
    """
    stream = sys.stderr if err else sys.stdout
    colours = wants_colours(os.environ, is_terminal=stream.isatty())
    for row in rows([_safe(part) for part in parts], width_of(stream, os.environ)):
        click.echo("".join(_shown(part, colours=colours) for part in row).rstrip(), file=stream, color=colours)


def print_lines(lines: Iterable[Line]) -> None:
    """Print several lines."""
    for line in lines:
        print_line(*([line] if isinstance(line, str) else line))


def say_outage(reason: str) -> None:
    """Tell a person that a command goes on once there is an answer again."""
    print_line(f"sfmc-import: no answer ({reason}); waiting until there is one", err=True)


def say_unsent(text: str) -> None:
    """Tell a person that a request is recorded, and that its message comes later."""
    print_line(f"sfmc-import: {text}", err=True)


def print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an error that is a bug as Python does, without secrets and control characters."""
    for line in "".join(traceback.format_exception(kind, error, trace)).splitlines():
        print_line(line, err=True)


def _safe(part: str | Coloured) -> Coloured:
    text, colour = (part.text, part.colour) if isinstance(part, Coloured) else (part, None)
    return Coloured(one_line(hidden(text)), colour)


def _shown(part: Coloured, *, colours: bool) -> str:
    return click.style(part.text, fg=part.colour) if colours and part.colour else part.text


def print_script(text: str) -> None:
    """Print a text of our own that a program reads: nothing from outside is in it, and no line is broken."""
    click.echo(text)


def print_json(value: Any) -> None:
    """Print one JSON document on one line, without buffering."""
    click.echo(json_escaped(json.dumps(value, ensure_ascii=False, default=str)))


def mark(level: str) -> Coloured:
    """Give the mark of a finding, in colour on a terminal."""
    return Coloured(*MARKS[level])


def seconds(value: float | None) -> str:
    """Write a time in the units that fit it, as `span`; a dash for none."""
    return "-" if value is None else span(value)
