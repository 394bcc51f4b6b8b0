"""How a file is written: delimiter, line end, quotes; taken from a definition's properties, pure."""

from dataclasses import dataclass

from ops.sandbox.importing.definition import FileType, Options
from ops.sandbox.importing.outcome import RefusedError

_LINE_ENDS = {"CRLF": "\r\n", "LF": "\n", "CR": "\r", "\\r\\n": "\r\n", "\\n": "\n", "\\r": "\r"}
_NAMED_DELIMITERS = {"\\t": "\t", "TAB": "\t"}
_FORBIDDEN = ('"', "\n", "\r")


@dataclass(frozen=True, slots=True)
class Dialect:
    """`line_end` is "" where any of CR LF, LF and CR ends a line; `quoted` is StandardQuotedStrings."""

    delimiter: str
    line_end: str
    quoted: bool


def dialect_of(options: Options) -> Dialect:
    """Return the dialect a definition describes; RefusedError where FileType Other has no usable Delimiter."""
    return Dialect(_delimiter(options), _line_end(options.end_of_line), options.quoted_strings)


def _delimiter(options: Options) -> str:
    if options.file_type is FileType.CSV:
        return ","
    if options.file_type is FileType.TAB:
        return "\t"
    delimiter = _NAMED_DELIMITERS.get(options.delimiter, options.delimiter)
    if not delimiter or any(letter in delimiter for letter in _FORBIDDEN):
        raise RefusedError(f"FileType Other needs a Delimiter, not {options.delimiter!r}")
    return delimiter


def _line_end(text: str) -> str:
    """Return the characters of EndOfLineRepresentation, spelled as they are, as an escape or as LF, CR, CRLF."""
    return _LINE_ENDS.get(text, _LINE_ENDS.get(text.upper(), text))
