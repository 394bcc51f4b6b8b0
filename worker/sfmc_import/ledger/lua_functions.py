"""Makes a script cheap to call: without unused functions, the others in one table, the seldom ones made late.

Its constants stand where they are used: a variable, and more so a table, costs time on each call.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping

# A function at the left margin, on one line or up to the `end` at the left margin.
FUNCTION = re.compile(r"^(?:local )?function ((?:steps\.)?\w+)\((?:[^\n]* end|.*?^end)\n", re.MULTILINE | re.DOTALL)

TABLE = "F"
"""The name of the table in a script."""

# Comments, texts, names and numbers, blanks, dots that join or are left out, any other sign.
_TOKEN = re.compile(r"--[^\n]*|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|\w+|\s+|\.{2,3}|[=~<>]=|.", re.DOTALL)

# At the left margin: a whole number, a table of names that each have `true` or a text, and the name of a key that
# depends on nothing.
_NUMBER = re.compile(r"^local ([A-Z][A-Z_]*) = (\d+)\n", re.MULTILINE)
_NAMES = re.compile(r"^local ([A-Z][A-Z_]*) = \{((?:\w+ ?= ?(?:true|'[^']*')(?:, ?)?)+)\}\n", re.MULTILINE)
_KEY = re.compile(r"^local function (\w+_key)\(\) return (TAG \.\. '[^'\n]*') end\n", re.MULTILINE)
_ENTRY = re.compile(r"(\w+) ?= ?(true|'[^']*')")


def names_in(text: str) -> set[str]:
    """Give the names in a Lua text, without those in its comments."""
    return set(re.findall(r"(?:steps\.)?\w+", re.sub(r"--[^\n]*", "", text)))


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
    for name, entries in _NAMES.findall(text):
        text = re.sub(rf"\b{name}\[((?:[^\[\]\n]|\[\w+\])+)\]", rf"{name}(\1)", text)
        text = text.replace(f"local {name} = {{{entries}}}\n", _function(name, entries))
    return text


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
    named = "".join(_with_table(text, functions))
    return f"local {TABLE} = {{}}\n" + re.sub(
        rf"^local function {TABLE}\.", f"function {TABLE}.", named, flags=re.MULTILINE
    )


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


def _with_table(text: str, functions: set[str]) -> Iterator[str]:
    tokens = _TOKEN.findall(text)
    before = ""
    for token, following in zip(tokens, _next_signs(tokens), strict=True):
        is_field = before in {".", ":"} or following == "="
        yield f"{TABLE}.{token}" if token in functions and not is_field else token
        before = before if _is_blank(token) else token


def _next_signs(tokens: list[str]) -> list[str]:
    """Give what follows each token, blanks and comments left out."""
    found, sign = [], ""
    for token in reversed(tokens):
        found.append(sign)
        sign = sign if _is_blank(token) else token
    return found[::-1]


def _is_blank(token: str) -> bool:
    return token.isspace() or token.startswith("--")
