"""Makes a script cheap to call: without unused functions, the others in one table, the seldom ones made late.

Its constants stand where they are used: a variable, and more so a table, costs time on each call.
"""

import re
from collections.abc import Callable, Collection, Mapping

# A function at the left margin, on one line or up to the `end` at the left margin.
FUNCTION = re.compile(r"^(?:local )?function ((?:steps\.)?\w+)\((?:[^\n]* end|.*?^end)\n", re.MULTILINE | re.DOTALL)

TABLE = "F"
"""The name of the table in a script."""

# Comments, texts, dots that join or are left out, names of fields, and then the one group: names and numbers.
_TOKEN = re.compile(r"--[^\n]*|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|\.{2,3}|[.:]\s*\w+|(\w+)", re.DOTALL)
# What follows the name of a field in a table, or of a variable that is given a value.
_ASSIGNED = re.compile(r"(?:\s|--[^\n]*)*=(?!=)")
_LOCAL = re.compile(rf"^local function {TABLE}\.", re.MULTILINE)

# At the left margin: a whole number, a table of names that each have `true` or a text, and the name of a key that
# depends on nothing.
_NUMBER = re.compile(r"^local ([A-Z][A-Z_]*) = (\d+)\n", re.MULTILINE)
_NAMES = re.compile(r"^local ([A-Z][A-Z_]*) = \{((?:\w+ ?= ?(?:true|'[^']*')(?:, ?)?)+)\}\n", re.MULTILINE)
_KEY = re.compile(r"^local function (\w+_key)\(\) return (TAG \.\. '[^'\n]*') end\n", re.MULTILINE)
_CAPITALS = re.compile(r"\b[A-Z][A-Z_]*\b")
_KEY_CALL = re.compile(r"\b(\w+_key)\(\)")
_INDEXED = re.compile(r"\b([A-Z][A-Z_]*)\[((?:[^\[\]\n]|\[\w+\])+)\]")
_ENTRY = re.compile(r"(\w+) ?= ?(true|'[^']*')")


def names_in(text: str) -> set[str]:
    """Give the names in a Lua text, without those in its comments."""
    return set(re.findall(r"(?:steps\.)?\w+", re.sub(r"--[^\n]*", "", text)))


def with_settings(text: str, settings: Mapping[str, int]) -> str:
    """Write the settings, which a script has as `cfg.name`."""
    return re.sub(r"\bcfg\.(\w+)", lambda match: str(settings[match[1]]), text)


def with_constants(text: str) -> str:
    """Write whole numbers and keys where they are used, and make a function of comparisons of each table of names."""
    numbers, keys = dict(_NUMBER.findall(text)), dict(_KEY.findall(text))
    text = _KEY.sub("", _NUMBER.sub("", text))
    text = _CAPITALS.sub(lambda match: numbers.get(match[0], match[0]), text)
    text = _KEY_CALL.sub(lambda match: f"({keys[match[1]]})" if match[1] in keys else match[0], text)
    tables = {name for name, _ in _NAMES.findall(text)}
    text = _NAMES.sub(lambda match: _function(match[1], match[2]), text)
    return _with_calls(text, tables) if tables else text


def _with_calls(text: str, tables: Collection[str]) -> str:
    def called(match: re.Match[str]) -> str:
        inside = _with_calls(match[2], tables)
        return f"{match[1]}({inside})" if match[1] in tables else f"{match[1]}[{inside}]"

    return _INDEXED.sub(called, text)


def _function(name: str, entries: str) -> str:
    cases = " ".join(f"if key == '{key}' then return {value} end" for key, value in _ENTRY.findall(entries))
    return f"local function {name}(key) {cases} end\n"


def without_unused(text: str, names: Callable[[str], set[str]] = names_in) -> str:
    """Leave out the functions that no other text of the script names: Redis creates each one anew on each call."""
    functions = {match[1]: match[0] for match in FUNCTION.finditer(text)}
    reached = _reached(FUNCTION.sub("", text), functions, names)
    return FUNCTION.sub(lambda match: match[0] if match[1] in reached else "", text)


def in_one_table(text: str) -> str:
    """Put the functions at the left margin into one table.

    As local variables they cost an upvalue for each function that names another one, made and looked for on each call;
    of a table each needs one. No variable may have the name of such a function; a test sees to it.
    """
    functions = {match[1] for match in FUNCTION.finditer(text) if not match[1].startswith("steps.")}
    named = _LOCAL.sub(f"function {TABLE}.", _with_table(text, functions))
    return f"local {TABLE} = {{}}\n{named}"


_IN_TABLE = re.compile(rf"^function (?:{TABLE}|(steps))\.(\w+)(\((?:[^\n]* end|.*?^end))\n", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"^--[^\n]*\n|^\n", re.MULTILINE)


def made_late(text: str, seldom: Collection[str], names: Callable[[str], set[str]] = names_in) -> str:
    """Let each call make the functions that it needs, and those reached only by way of `seldom` ones when one is named.

    The variables between the functions come first, then a function that makes the others: it has their variables at
    hand, which Lua would look for in a list for each function at the left margin, and the table is made in its size.
    """
    found = list(_IN_TABLE.finditer(text))
    bodies = {match[2]: match[3] for match in found if not match[1]}
    steps, end = "".join(match[0] for match in found if match[1]), found[-1].end()
    usual = _reached(steps + text[end:], {name: body for name, body in bodies.items() if name not in seldom}, names)
    made = "".join(f"{name} = function{body},\n" for name, body in bodies.items() if name in usual)
    late = "".join(f"function {TABLE}.{name}{body}\n" for name, body in bodies.items() if name not in usual)
    variables = _COMMENT.sub("", _IN_TABLE.sub("", text[:end])).replace(f"local {TABLE} = {{}}\n", "")
    return (
        f"local {TABLE}\n{variables}local function make()\n{TABLE} = {{\n{made}}}\n{_made_when_named(late)}{steps}end\n"
        f"make()\n{text[end:]}"
    )


def _reached(begin: str, bodies: Mapping[str, str], names: Callable[[str], set[str]]) -> set[str]:
    reached: set[str] = set()
    found = names(begin) & bodies.keys()
    while found:
        reached |= found
        found = set().union(*(names(bodies[name]) for name in found)) & bodies.keys() - reached
    return reached


def _made_when_named(functions: str) -> str:
    if not functions:
        return ""
    return (
        f"setmetatable({TABLE}, {{__index = function(_, name)\nsetmetatable({TABLE}, nil)\n"
        f"{functions}return {TABLE}[name]\nend}})\n"
    )


def _with_table(text: str, functions: Collection[str]) -> str:
    def named(match: re.Match[str]) -> str:
        is_function = match[1] in functions and not _ASSIGNED.match(text, match.end())
        return f"{TABLE}.{match[1]}" if is_function else match[0]

    return _TOKEN.sub(named, text)
