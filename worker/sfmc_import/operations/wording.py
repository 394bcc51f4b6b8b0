"""What helps against an error, in words for those who have no command line: programs, and people with a browser."""

import re

_WORDS = (
    (r"^give --reason TEXT$", ""),
    (r"--force --reason TEXT", "force with a reason"),
    (r"--reason TEXT", "a reason"),
    (r"--unchecked", "unchecked"),
    (r"then: sfmc-import resolve .*", "then resolve it"),
    (r": sfmc-import follow$", ""),
    (r"(?:^|[;,]\s*)[^;,]*: sfmc-import .*$", ""),
)


def in_words(fix: str | None) -> str:
    """Give what helps without the commands and options of the command line; empty where nothing is left."""
    text = fix or ""
    for command, words in _WORDS:
        text = re.sub(command, words, text)
    return text
