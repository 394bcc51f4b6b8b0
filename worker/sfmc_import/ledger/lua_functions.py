"""Makes a script cheap to call: without unused functions, the others in one table, the seldom ones made late."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping

# A function at the left margin, on one line or up to the `end` at the left margin.
FUNCTION = re.compile(r"^(?:local )?function ((?:steps\.)?\w+)\((?:[^\n]* end|.*?^end)\n", re.MULTILINE | re.DOTALL)

TABLE = "F"
"""The name of the table in a script."""

# Comments, texts, names and numbers, blanks, dots that join or are left out, any other sign.
_TOKEN = re.compile(r"--[^\n]*|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|\w+|\s+|\.{2,3}|[=~<>]=|.", re.DOTALL)


def names_in(text: str) -> set[str]:
    """Give the names in a Lua text, without those in its comments."""
    return set(re.findall(r"(?:steps\.)?\w+", re.sub(r"--[^\n]*", "", text)))


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
