"""Python and Lua give the same small letters, of all alphabets that have capitals."""

import sys
from importlib import import_module
from typing import Any

from sfmc_import.ledger.scripts import read_part
from sfmc_import.request import fold_key
from sfmc_import.small_letters import small_letters

LAST_OF_TWO_BYTES_AND_THREE = 0xFFFF


def folded(text: str) -> str:
    lua: Any = import_module("lupa.lua51").LuaRuntime(encoding="utf-8")
    lib = read_part("lib")
    begin, end = lib.index("local function in_small_letters"), lib.index("-- Days to civil date")
    return str(lua.execute(f"{lib[begin:end]}\nreturn folded")(text))


def test_a_script_and_python_fold_each_capital_alike():
    keys = [f"{letter}x{letter}  " for letter in small_letters()]

    assert {key: folded(key) for key in keys} == {key: fold_key(key) for key in keys}
    assert folded("ÄRZTE Σίσυφος ß 名") == fold_key("ÄRZTE Σίσυφος ß 名") == "ärzte σίσυφοσ ss 名"
    assert fold_key("STRASSE") == fold_key("straße") == folded("Straße ")


def test_no_capital_of_two_or_three_bytes_is_missing():
    letters = map(chr, range(0x80, min(LAST_OF_TWO_BYTES_AND_THREE, sys.maxunicode) + 1))

    assert {letter for letter in letters if letter.lower() != letter} <= small_letters().keys()
