"""Breaks a line into rows of a width: between words alone, so that ids, paths and addresses are never cut."""

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from sfmc_import.display import Coloured

LEAST = 30
"""A width below this is not kept: nothing could be read."""

STEP = 4
"""How far the further rows of a line are moved to the right."""

_WORD = re.compile(r"\S+")
_COMMAND = re.compile(r"(?:(?<=: )|^ *)(?=sfmc-import [a-z])")
# A quoted text of a command stays whole: a shell would take the line end in it for a part of it.
_COMMAND_WORD = re.compile(r"(?:\$?'(?:\\.|[^'])*'|\S)+")


def width_of(stream: TextIO, environ: Mapping[str, str]) -> int | None:
    """Give the columns to keep to: COLUMNS, or those of the terminal; None for a file or a pipe, which has no width."""
    given = environ.get("COLUMNS", "")
    if given.isascii() and given.isdigit() and int(given):
        return max(LEAST, int(given))
    if not stream.isatty():
        return None
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except OSError:
        return None
    return max(LEAST, columns) if columns else None


def columns(text: str) -> int:
    """Count the columns that a terminal needs for a text."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF") for each in text)


def rows(parts: Sequence[Coloured], width: int | None) -> Iterator[list[Coloured]]:
    """Yield the rows of a line; a word that is wider than a row has one of its own."""
    text = "".join(part.text for part in parts)
    if width is None or columns(text) <= width:
        yield list(parts)
        return
    further = " " * (len(text) - len(text.lstrip(" ")) + STEP)
    for number, (begin, end, goes_on) in enumerate(_breaks(text, width, len(further))):
        row = _between(parts, begin, end)
        yield [*([Coloured(further)] if number else []), *row, *([Coloured(" \\")] if goes_on else [])]


@dataclass(frozen=True, slots=True)
class _Word:
    begin: int
    end: int
    of_command: bool = False
    is_last: bool = True
    whole: int = 0
    """Where its command ends."""


def _words(text: str) -> Iterator[_Word]:
    at = 0
    while found := _COMMAND.search(text, at):
        yield from (_Word(*each.span()) for each in _WORD.finditer(text, at, found.start()))
        command = _command_at(text, found.start())
        at = command[-1][1]
        for number, (begin, end) in enumerate(command, 1):
            yield _Word(begin, end, of_command=True, is_last=number == len(command), whole=at)
    yield from (_Word(*each.span()) for each in _WORD.finditer(text, at))


def _command_at(text: str, at: int) -> list[tuple[int, int]]:
    """Give the words of the command that begins there; a word with a semicolon at its end is the last one."""
    words: list[tuple[int, int]] = []
    for each in _COMMAND_WORD.finditer(text, at):
        words.append(each.span())
        if each[0].endswith(";"):
            break
    return words


def _breaks(text: str, width: int, further: int) -> Iterator[tuple[int, int, bool]]:
    """Yield begin and end of each row, and whether a command goes on in the next one.

    A command that a person may copy begins a row, unless all of it fits; a shell takes its rows as one line.
    """
    begin = end = 0
    before: _Word | None = None
    for word in _words(text):
        moved = further if begin else 0
        last = word.whole if word.of_command and not (before and before.of_command) else word.end
        more = 2 if word.of_command and not word.is_last and last == word.end else 0
        if before is not None and moved + columns(text[begin:last].rstrip()) + more > width:
            yield begin, end, before.of_command and not before.is_last
            begin = word.begin
        end, before = word.end, word
    if end > begin:
        yield begin, end, False


def _between(parts: Sequence[Coloured], begin: int, end: int) -> list[Coloured]:
    found, at = [], 0
    for part in parts:
        text = part.text[max(0, begin - at) : max(0, end - at)]
        found += [Coloured(text, part.colour)] if text else []
        at += len(part.text)
    return found
