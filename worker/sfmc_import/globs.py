"""Matches names with globs and gives what each wildcard stands for, in a time that no name makes long."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

MOST_STEPS = 1_000_000
"""So many steps `re` may need at worst, for which it takes some milliseconds; beyond them each place is tried once."""

_WILDCARD = re.compile(r"(\*\*)|(\*)|(\?)|(\[[^\]]+\])")


class Pattern(Protocol):
    """What a name is compared with: a glob, or a regular expression."""

    def fullmatch(self, text: str, /) -> "Found | None":
        """Compare all of a text."""
        ...


class Found(Protocol):
    """What matched: the whole, then each group by its number."""

    def __getitem__(self, group: int | str, /) -> str | None: ...


@dataclass(frozen=True, slots=True)
class _Groups:
    texts: Sequence[str]

    def __getitem__(self, group: int | str, /) -> str:
        return self.texts[int(group)]


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of a glob: a fixed text, or a wildcard for one character, or any number, of those that `takes` allows."""

    fixed: str = ""
    takes: Callable[[str], object] | None = None
    repeats: bool = False

    def begins(self, text: str, ends: Sequence[bool]) -> list[bool]:
        """Say of each place of a text whether this part can begin there, and end at one of `ends`."""
        if self.takes is None:
            more = len(self.fixed)
            fits = [text.startswith(self.fixed, at) and ends[at + more] for at in range(len(text) - more + 1)]
            return fits + [False] * (len(text) + 1 - len(fits))
        begins = list(ends) if self.repeats else [False] * len(ends)
        for at in range(len(text) - 1, -1, -1):
            follows = begins[at + 1] if self.repeats else ends[at + 1]
            begins[at] = begins[at] or bool(follows and self.takes(text[at]))
        return begins

    def end(self, text: str, begin: int, ends: Sequence[bool]) -> int:
        """Give the last of `ends` that this part can reach."""
        if self.takes is None or not self.repeats:
            return begin + (len(self.fixed) or 1)
        last = at = begin
        while at <= len(text):
            last = at if ends[at] else last
            if at == len(text) or not self.takes(text[at]):
                break
            at += 1
        return last


class Glob:
    """A glob: `*` and `?` stay within one folder, `**` crosses folders, `[a-z]` and `[!a-z]` are one character.

    Each wildcard takes as much as it can, the first one first, as the groups of a regular expression do.
    Raises re.error for a set of characters that is none.
    """

    def __init__(self, pattern: str) -> None:
        self._parts, written, end = list[_Part](), "", 0
        for wildcard in _WILDCARD.finditer(pattern):
            fixed, (part, group) = pattern[end : wildcard.start()], _read(wildcard)
            self._parts += [*([_Part(fixed)] if fixed else []), part]
            written += re.escape(fixed) + group
            end = wildcard.end()
        self._parts += [_Part(pattern[end:])] if pattern[end:] else []
        self._pattern = re.compile(written + re.escape(pattern[end:]))
        self._repeats = sum(part.repeats for part in self._parts)

    @property
    def groups(self) -> int:
        """How many wildcards it has."""
        return self._pattern.groups

    def fullmatch(self, text: str, /) -> Found | None:
        """Compare all of a text; gives what the wildcards stand for by their numbers, 0 is the whole."""
        if (len(text) + 1) ** self._repeats <= MOST_STEPS:
            return self._pattern.fullmatch(text)
        return self.in_one_pass(text)

    def in_one_pass(self, text: str) -> Found | None:
        """Do the same by looking at each place once for each part: what `re` does in more steps for most texts."""
        ends = [[False] * len(text) + [True]]
        for part in reversed(self._parts):
            ends.append(part.begins(text, ends[-1]))
        if not ends.pop()[0]:
            return None
        at, found = 0, [text]
        for part in self._parts:
            begin, at = at, part.end(text, at, ends.pop())
            if part.takes is not None:
                found.append(text[begin:at])
        return _Groups(found)


def _read(wildcard: re.Match[str]) -> tuple[_Part, str]:
    crossing, star, one, _ = wildcard.groups()
    if crossing:
        return _Part(takes=lambda each: each != "\n", repeats=True), "(.*)"
    if star or one:
        return _Part(takes=lambda each: each != "/", repeats=bool(star)), "([^/]*)" if star else "([^/])"
    characters = wildcard[0].replace("[!", "[^")
    return _Part(takes=re.compile(characters).fullmatch), f"({characters})"
