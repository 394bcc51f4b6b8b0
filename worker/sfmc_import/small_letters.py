"""Gives the small letter of each capital of the alphabets in use: Python and Lua compare keys by this one table."""

from collections.abc import Mapping
from functools import cache

_ALPHABETS = (
    range(0xC0, 0x590),  # Latin, Greek, Cyrillic, Armenian
    range(0x10A0, 0x1100),  # Georgian
    range(0x13A0, 0x1400),  # Cherokee
    range(0x1C80, 0x1CC0),
    range(0x1E00, 0x2000),  # Latin, Greek with accents
    range(0x2100, 0x2190),  # letter-like signs
    range(0x24B0, 0x24F0),
    range(0x2C00, 0x2DE0),  # Glagolitic, Latin, Coptic
    range(0xA640, 0xA800),  # Cyrillic, Latin
    range(0xFF21, 0xFF3B),  # of full width
)


@cache
def small_letters() -> Mapping[str, str]:
    """Give each capital beyond ASCII with its small letter, and what is written with other letters in capitals.

    So ß is ss, for its capitals are SS, and a sigma at the end of a word is one like any other.
    """
    every = (chr(code) for alphabet in _ALPHABETS for code in alphabet)
    found = {letter: letter.casefold() if letter.casefold() != letter else letter.lower() for letter in every}
    return {letter: small for letter, small in found.items() if small != letter}


def in_small_letters(text: str) -> str:
    """Give a text in small letters, the same in Python and in a script of the ledger."""
    if text.isascii():
        return text.lower()
    return "".join(small_letters().get(each, each.lower() if each.isascii() else each) for each in text)


def to_lua_text() -> str:
    """Give the table as one text of Lua: each letter after a blank, then `=` and its small letter."""
    return "'" + "".join(f" {letter}={small}" for letter, small in small_letters().items()) + " '"
