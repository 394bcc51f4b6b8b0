"""What helps against an error, as data: each surface writes of it what its readers can use."""

import shlex
from dataclasses import dataclass

from sfmc_import.display import one_line


@dataclass(frozen=True, slots=True)
class Option:
    """An option inside a sentence: as it is typed, and in words for those who have no command line."""

    typed: str
    words: str


FORCE = Option("--force --reason TEXT", "force with a reason")
REASON = Option("--reason TEXT", "a reason")


@dataclass(frozen=True, slots=True)
class Command:
    """A command of `sfmc-import`: its name and arguments, each as one word."""

    words: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(["sfmc-import", *map(shell_word, self.words)])


def shell_word(text: str) -> str:
    """Write a text as a shell takes it, also when it is shown with escapes."""
    shown = one_line(text)
    if shown == text:
        return shlex.quote(text)
    inside = text.replace("\\", r"\\").replace("'", r"\'")
    return f"$'{one_line(inside)}'"


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do: a sentence without its full stop, and the command that does it.

    `at_prompt` is what the command line alone says, before the command. `action` is one of `next` of the request
    `request_id`, which does the same.
    """

    parts: tuple[str | Option, ...] = ()
    command: Command | None = None
    at_prompt: str = ""
    action: str = ""
    request_id: str = ""

    def in_words(self) -> str:
        """Write it for programs and for people with a browser; empty where it is about the command line alone."""
        return "".join(each.words if isinstance(each, Option) else each for each in self.parts)

    def __str__(self) -> str:
        """Write it for the command line."""
        sentence = "".join(each.typed if isinstance(each, Option) else each for each in self.parts)
        said = "; ".join(each for each in (sentence, self.at_prompt) if each)
        return ": ".join(each for each in (said, str(self.command or "")) if each)


def with_command(lead: str, *words: str) -> Advice:
    """Give an advice that is a command alone; `lead` says what it does."""
    return Advice(command=Command(words), at_prompt=lead)
