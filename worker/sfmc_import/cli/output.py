"""What the commands share when they print: JSON, marks, times and examples."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

MARKS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


def json_option(command: F) -> F:
    """Give a command the option --json, as argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(command)


def examples(*lines: str, title: str = "Examples") -> str:
    """Give an epilog whose lines click leaves as they are."""
    return "\b\n" + "\n".join([f"{title}:", *(f"  {line}" for line in lines)])


def print_json(value: Any) -> None:
    """Print one JSON document on one line, without buffering."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def mark(level: str) -> str:
    """Give the mark of a finding, in colour on a terminal."""
    word, colour = MARKS[level]
    return click.style(word, fg=colour)


def seconds(value: float | None) -> str:
    """Write a time in the units that fit it: 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    if value is None:
        return "-"
    whole = round(value)
    for unit, size, smaller, small in (("d", 86400, "h", 3600), ("h", 3600, "min", 60)):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole // 60} min" if whole >= 120 else f"{whole} s"
