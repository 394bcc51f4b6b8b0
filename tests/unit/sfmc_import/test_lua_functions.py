"""How the functions of a script come into one table, and that no variable hides one."""

import re
from importlib import import_module
from typing import Any

import pytest

from sfmc_import.ledger.ledger_settings import LedgerSettings
from sfmc_import.ledger.lua_functions import FUNCTION, in_one_table
from sfmc_import.ledger.scripts import STEPS, read_part, sources

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


def test_what_names_a_function_finds_it_in_the_table_and_nothing_else_changes():
    assert in_one_table(SCRIPT) == IN_ONE_TABLE


@pytest.fixture(scope="module")
def scripts() -> dict[str, str]:
    return sources(LedgerSettings().for_scripts())


@pytest.mark.parametrize("step", STEPS)
def test_no_variable_of_a_script_has_the_name_of_one_of_its_functions(scripts: dict[str, str], step: str):
    script = re.sub(r"--[^\n]*", "", scripts[step])
    functions = set(re.findall(r"^function F\.(\w+)", script, re.MULTILINE))
    variables = re.findall(
        r"\blocal (?!function)([\w, ]+)|\bfor ([\w, ]+?) (?:in|=)|function [\w.]*\(([\w, ]*)\)", script
    )

    assert functions
    assert functions & {name for groups in variables for name in re.split("[, ]+", "".join(groups))} == set()
    assert re.findall(r"\blocal (?:function )?F\b", script) == ["local F"]


@pytest.mark.parametrize("step", STEPS)
def test_a_script_names_nothing_that_is_not_there(scripts: dict[str, str], step: str):
    """Lua says so when the line is reached, which may be a rare one."""
    lua: Any = import_module("lupa.lua51").LuaRuntime()
    listing = lua.eval("function(text) return assert(loadstring(text)) and string.len(text) end")

    assert listing(scripts[step]) == len(scripts[step].encode())
    script = re.sub(r"--[^\n]*|'(?:\\\\.|[^'\\\\])*'", "", scripts[step])
    assert set(re.findall(r"\bF\.(\w+)", script)) == set(re.findall(r"^function F\.(\w+)", script, re.MULTILINE))
    names = {match[1] for part in {"lib", *STEPS[step]} for match in FUNCTION.finditer(read_part(part))}
    assert names & set(re.findall(r"(?<![\w.:])(\w+)\s*\(", script)) == set()
