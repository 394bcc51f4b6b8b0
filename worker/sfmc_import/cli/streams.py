"""Standard output and error of the command: whole after any start, and a lost one is noticed at the first write."""

import errno
import io
import os
import sys
from typing import Any

import click


class OutputLostError(Exception):
    """Standard output has no reader any more, or cannot be written; not an OSError, which click and others catch."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror)
        self.reader_is_gone = error.errno == errno.EPIPE


class _Output(io.FileIO):
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OutputLostError(error) from error


class _Errors(io.FileIO):
    """A lost standard error changes neither what a command does nor its exit code."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(memoryview(data))


def open_streams() -> None:
    """Put streams of ours in the place of this process's own; does nothing where a program has put others there."""
    _open_missing()
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Output(1, "wb", closefd=False), sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Errors(2, "wb", closefd=False), sys.stderr)


def _open_missing() -> None:
    """Open what a shell has closed (`>&-`), or the next file or socket would get its number.

    Standard output is opened for reading: whoever writes to it learns that it is not there.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)


def _text(raw: io.FileIO, before: Any) -> io.TextIOWrapper:
    # What a terminal's encoding does not have is shown by its number, not by a traceback.
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(before, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=raw.name == 2 or raw.isatty(),
    )


def end_without_output(lost: OutputLostError, code: int) -> None:
    """Say why there is no output, unless its reader has gone, and end the process."""
    if not lost.reader_is_gone:
        click.echo(f"sfmc-import: cannot write to standard output: {lost}", err=True)
    # What is still in the buffer goes nowhere; otherwise the interpreter would complain while it ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(code)
