"""How the functions of a script come into one table and are made late, and that no variable hides one."""

import re
from importlib import import_module
from typing import Any

import pytest

from sfmc_import.ledger.ledger_settings import LedgerSettings
from sfmc_import.ledger.lua_functions import FUNCTION, in_one_table, made_late
from sfmc_import.ledger.scripts import EVERY, SELDOM, STEPS, read_part, sources

SCRIPT = """
local function one(x) return x + 1 end
local function two(r)
  -- one is called: one(1)
  return one(r.one) .. one(2) .. 'one(' .. "one"
end
local TABLE = {one = one, other = {two, two = 2}}
function steps.three()
  if one == two then return r:one() end
  return pcall(one, two (1))
end
return steps.three()
"""
IN_ONE_TABLE = """local F = {}

function F.one(x) return x + 1 end
function F.two(r)
  -- one is called: one(1)
  return F.one(r.one) .. F.one(2) .. 'one(' .. "one"
end
local TABLE = {one = F.one, other = {F.two, two = 2}}
function steps.three()
  if F.one == F.two then return r:one() end
  return pcall(F.one, F.two (1))
end
return steps.three()
"""


LATE = """local F = {}
local TABLE = {one = 1}
function F.one(x) return x + 1 end

-- It is called when something failed.
function F.two(r)
  return F.one(r.one) .. F.three()
end
local NUMBER = 3
function F.three() return NUMBER end
function steps.four()
  return a.failed and F.two(a) or F.one(1)
end
local given = steps.four()
return given
"""
MADE_LATE = """local F
local TABLE = {one = 1}
local NUMBER = 3
local function make()
F = {
one = function(x) return x + 1 end,
}
setmetatable(F, {__index = function(_, name)
setmetatable(F, nil)
function F.two(r)
  return F.one(r.one) .. F.three()
end
function F.three() return NUMBER end
return F[name]
end})
function steps.four()
  return a.failed and F.two(a) or F.one(1)
end
end
make()
local given = steps.four()
return given
"""


def functions_of(script: str) -> set[str]:
    return set(re.findall(r"^(?:function F\.(?=\w+\()|(?=\w+ = function\())(\w+)", script, re.MULTILINE))


def test_a_seldom_function_and_what_it_alone_calls_are_made_when_it_is_named():
    assert made_late(LATE, {"two"}) == MADE_LATE


def test_what_is_made_late_is_what_was_called():
    lua: Any = import_module("lupa.lua51").LuaRuntime()
    run = lua.eval("function(text, failed) steps, a = {}, {failed = failed, one = 4}; return loadstring(text)() end")

    assert (run(MADE_LATE, False), run(MADE_LATE, True)) == (2, "53")


def test_a_script_without_seldom_functions_needs_no_second_look():
    assert "setmetatable" not in made_late(LATE, {"unknown"})


def test_each_seldom_function_is_one_of_a_file():
    parts = {*EVERY, *(part for parts in STEPS.values() for part in parts)}

    assert {match[1] for part in parts for match in FUNCTION.finditer(read_part(part))} >= SELDOM


def test_what_names_a_function_finds_it_in_the_table_and_nothing_else_changes():
    assert in_one_table(SCRIPT) == IN_ONE_TABLE


@pytest.fixture(scope="module")
def scripts() -> dict[str, str]:
    return sources(LedgerSettings().for_scripts())


@pytest.mark.parametrize("step", STEPS)
def test_no_variable_of_a_script_has_the_name_of_one_of_its_functions(scripts: dict[str, str], step: str):
    script = re.sub(r"--[^\n]*", "", scripts[step])
    functions = functions_of(script)
    variables = re.findall(
        r"\blocal (?!function)([\w, ]+)|\bfor ([\w, ]+?) (?:in|=)|function [\w.]*\(([\w, ]*)\)", script
    )

    assert functions
    assert functions & {name for groups in variables for name in re.split("[, ]+", "".join(groups))} == set()
    assert re.findall(r"\blocal (?:function )?F\b", script) == ["local F"]


@pytest.mark.parametrize("step", STEPS)
def test_no_two_variables_of_a_script_outside_its_functions_have_one_name(scripts: dict[str, str], step: str):
    """All stand before all functions: the second would be that of functions above it too."""
    declared = re.findall(r"^local (?!function)([\w, ]+)", scripts[step], re.MULTILINE)
    names = [name.strip() for group in declared for name in group.split(",")]

    assert len(names) == len(set(names))


@pytest.mark.parametrize("step", STEPS)
def test_a_script_names_nothing_that_is_not_there(scripts: dict[str, str], step: str):
    """Lua says so when the line is reached, which may be a rare one."""
    lua: Any = import_module("lupa.lua51").LuaRuntime()
    listing = lua.eval("function(text) return assert(loadstring(text)) and string.len(text) end")

    assert listing(scripts[step]) == len(scripts[step].encode())
    script = re.sub(r"--[^\n]*|'(?:\\.|[^'\\])*'", "", scripts[step])
    assert set(re.findall(r"\bF\.(\w+)", script)) <= functions_of(script)
    names = {match[1] for part in {*EVERY, *STEPS[step]} for match in FUNCTION.finditer(read_part(part))}
    assert names & set(re.findall(r"(?<![\w.:])(\w+)\s*\(", script)) == set()
