"""How settings and constants come into a script."""

from importlib import import_module
from typing import Any

import pytest

from sfmc_import.ledger.lua_functions import with_constants, with_settings

SCRIPT = """
local MOST, DAY_MS = 3, 4
local LIMIT = 1000
local LIMIT_OF_ALL = 7
local NAMES = {one = true, two = 'second'}
local OTHER = {one = 1}
local function has(list, i) return NAMES[list[1]] or NAMES[list.two] or OTHER[list[i]] end
return {LIMIT, LIMIT_OF_ALL, has({'two'}, 1), has({two = 'one'}), has({'none'}, 1), has({two = 'none', 'one'}, 1)}
"""


def test_a_script_with_its_constants_in_place_answers_the_same():
    lua: Any = import_module("lupa.lua51").LuaRuntime()
    changed = with_constants(SCRIPT)

    assert list(lua.execute(changed).values()) == list(lua.execute(SCRIPT).values())
    assert "local MOST, DAY_MS = 3, 4" in changed
    assert "local OTHER = {one = 1}" in changed
    assert "LIMIT" not in changed
    assert "NAMES = {" not in changed


def test_a_key_that_depends_on_nothing_stands_where_it_is_used():
    script = """
local TAG = '{x}'
local function all_key() return TAG .. 'all' end
local function not_all_key() return TAG .. 'none' end
local function one_key(id) return TAG .. id end
return all_key() .. one_key('1') .. #all_key() .. not_all_key()
"""
    lua: Any = import_module("lupa.lua51").LuaRuntime()

    assert lua.execute(with_constants(script)) == lua.execute(script) == "{x}all{x}16{x}none"
    assert "all_key" not in with_constants(script)


def test_settings_stand_in_the_script_as_numbers():
    assert with_settings("local x = cfg.lease + now - a.cfg", {"lease": 180_000}) == "local x = 180000 + now - a.cfg"


def test_a_setting_that_is_not_there_is_an_error():
    with pytest.raises(KeyError, match="leese"):
        with_settings("return cfg.leese", {"lease": 1})
