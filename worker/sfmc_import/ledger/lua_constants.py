"""Writes the constants of a script where they are used: a variable, and more so a table, costs time on each call."""

import re
from collections.abc import Mapping

# At the left margin: a whole number, a table of names that each have `true` or a text, and the name of a key that
# depends on nothing.
_NUMBER = re.compile(r"^local ([A-Z][A-Z_]*) = (\d+)\n", re.MULTILINE)
_TABLE = re.compile(r"^local ([A-Z][A-Z_]*) = \{((?:\w+ ?= ?(?:true|'[^']*')(?:, ?)?)+)\}\n", re.MULTILINE)
_KEY = re.compile(r"^local function (\w+_key)\(\) return (TAG \.\. '[^'\n]*') end\n", re.MULTILINE)
_ENTRY = re.compile(r"(\w+) ?= ?(true|'[^']*')")


def with_settings(text: str, settings: Mapping[str, int]) -> str:
    """Write the settings, which a script has as `cfg.name`."""
    return re.sub(r"\bcfg\.(\w+)", lambda match: str(settings[match[1]]), text)


def with_constants(text: str) -> str:
    """Write whole numbers and keys where they are used, and make a function of comparisons of each table of names."""
    for name, number in _NUMBER.findall(text):
        text = re.sub(rf"\b{name}\b", number, text)
    text = re.sub(r"^local \d+ = \d+\n", "", text, flags=re.MULTILINE)
    keys = dict(_KEY.findall(text))
    text = _KEY.sub("", text)
    for name, key in keys.items():
        text = re.sub(rf"\b{name}\(\)", f"({key})", text)
    for name, entries in _TABLE.findall(text):
        text = re.sub(rf"\b{name}\[((?:[^\[\]\n]|\[\w+\])+)\]", rf"{name}(\1)", text)
        text = text.replace(f"local {name} = {{{entries}}}\n", _function(name, entries))
    return text


def _function(name: str, entries: str) -> str:
    cases = " ".join(f"if key == '{key}' then return {value} end" for key, value in _ENTRY.findall(entries))
    return f"local function {name}(key) {cases} end\n"
