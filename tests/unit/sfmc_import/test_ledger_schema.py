"""One description of the ledger: the Lua files use its names only, and keys and readers are made from it."""

import re
from collections.abc import Iterator

import pytest

from sfmc_import.ledger.arguments import request_arguments
from sfmc_import.ledger.calling import read_request
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.ledger_settings import LedgerSettings
from sfmc_import.ledger.loss_keys import LOSS
from sfmc_import.ledger.lua_functions import FUNCTION
from sfmc_import.ledger.lua_names import to_lua
from sfmc_import.ledger.schema import ANY, DEFINITION, EVENT, KEYS, REQUEST, Key
from sfmc_import.ledger.scripts import EVERY, STEPS, read_part, sources
from sfmc_import.request import FileInfo, StartRequest

PARTS = sorted({*EVERY, *(part for parts in STEPS.values() for part in parts)})
RECORDS = {"r": REQUEST, "o": REQUEST, "found": REQUEST, "d": DEFINITION, "loss": LOSS}
KEYS_OF_LUA = {"request_key": REQUEST, "definition_key": DEFINITION, "loss_key": LOSS}
SETTINGS = LedgerSettings().for_scripts()


@pytest.fixture(scope="module")
def scripts() -> dict[str, str]:
    return sources(SETTINGS)


@pytest.fixture(scope="module")
def known_functions() -> set[str]:
    return {match[1] for part in PARTS for match in FUNCTION.finditer(read_part(part))}


def field_names(key: Key) -> set[str]:
    return {field.name for field in key.fields}


def names_used(text: str) -> Iterator[tuple[Key, str]]:
    """Every field that a Lua text names, with the record it belongs to."""
    for variable, name in re.findall(r"\b(r|o|d|found|loss)\.(\w+)", text):
        yield RECORDS[variable], name
    for function, fields in re.findall(r"\bset\((request_key|definition_key)\([^)]*\), \w+, \{([^{}]*)\}\)", text):
        yield from ((KEYS_OF_LUA[function], name) for name in re.findall(r"(\w+) = ", fields))
    for function, fields in re.findall(r"\bdrop\((definition_key)\([^)]*\), \w, \{([^{}]*)\}\)", text):
        yield from ((KEYS_OF_LUA[function], name) for name in re.findall(r"'(\w+)'", fields))
    for function, fields in re.findall(
        r"'H(?:MGET|GET|INCRBY)', (request_key|loss_key)\([^)]*\), ((?:'\w+'(?:, )?)+)", text
    ):
        yield from ((KEYS_OF_LUA[function], name) for name in re.findall(r"'(\w+)'", fields))


def values_used(text: str) -> Iterator[str]:
    """Every field of the tables `values`, which are written to a record."""
    yield from re.findall(r"\bvalues\.(\w+)", text)
    for fields in re.findall(r"\blocal values = \{([^{}]*)\}", text):
        yield from re.findall(r"(\w+) = ", fields)


@pytest.mark.parametrize("part", PARTS)
def test_every_field_that_a_script_names_is_described(part: str):
    text = read_part(part)
    unknown = {(key.name, name) for key, name in names_used(text) if name not in field_names(key)}

    assert unknown == set()
    assert set(values_used(text)) <= field_names(REQUEST) | field_names(DEFINITION)


def test_every_field_that_is_described_is_used_by_a_script():
    text = "\n".join(map(read_part, PARTS))
    used = {(key.name, name) for key, name in names_used(text)}
    used |= {("request", name) for name in values_used(text)} | {
        ("request", name) for name in re.findall(r"\b(\w+) = present\(q\.", text)
    }

    for key in (REQUEST, DEFINITION):
        assert field_names(key) - {name for owner, name in used if owner == key.name} == set()


@pytest.mark.parametrize("step", STEPS)
def test_a_script_has_every_function_that_it_names_and_no_other(
    scripts: dict[str, str], known_functions: set[str], step: str
):
    script = re.sub(r"--[^\n]*|\\bF\\.", "", scripts[step])
    own = set(re.findall(r"^(?:function (?=[\w.]+\()|(?=\w+ = function\())([\w.]+)", script, re.MULTILINE))
    called = set(re.findall(r"(?<![\w.])((?:steps\.)?\w+)\(", script))

    assert called & known_functions <= own
    assert [name for name in own if len(re.findall(rf"\b{re.escape(name)}\b", script)) < 2] == []


def test_every_step_is_a_function_and_every_function_of_a_step_is_in_the_table():
    found = {name for part in PARTS for name in re.findall(r"^function steps\.(\w+)", read_part(part), re.MULTILINE)}

    assert found == set(STEPS)


def test_no_placeholder_is_left_in_a_script(scripts: dict[str, str]):
    assert [step for step, text in scripts.items() if re.search(r"@[A-Z]+@", text)] == []


def test_the_key_functions_of_the_scripts_are_those_of_the_description():
    lines = to_lua().splitlines()

    assert "local function request_key(request_id) return TAG .. 'r:' .. request_id end" in lines
    key = "(r.home or r.key)"
    assert f"local function seen_key(r) return TAG .. 's:' .. r.mid .. ':' .. {key} .. ':' .. r.fp end" in lines
    assert (
        f"local function event_key(r) return TAG .. '{EVENT.letter}:' .. #{key} .. ':' .. r.mid .. ':' .. {key}"
        " .. ':' .. r.event_id end"
    ) in lines
    assert "local function newest_key() return TAG .. 'newest' end" in lines


def test_every_key_has_its_own_letter_and_a_life_that_the_settings_know():
    assert len({key.letter for key in KEYS}) == len({key.name for key in KEYS}) == len(KEYS)
    assert {name for key in KEYS for name in key.ttl} <= set(SETTINGS)
    assert [key.name for key in KEYS if not key.ttl and "Bounded" not in key.meaning] == []


def test_every_key_and_field_has_a_meaning_and_attributes_are_unique():
    for key in KEYS:
        attributes = [field.attribute or field.name for field in key.fields if field.name != ANY]
        assert key.meaning
        assert all(field.meaning for field in key.fields)
        assert len(set(attributes)) == len(attributes)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("sfmc-import:events", "stream"),
        ("{sfmc-import:events}:due", "due"),
        ("{sfmc-import:events}:d:1:a:b", "definition"),
        ("{sfmc-import:events}:newest", "newest"),
        ("{sfmc-import:events}:newest:1", None),
        ("{sfmc-import:events}:x:1", None),
        ("{sfmc-import:events}/definitions:1:a:b", "shared"),
        ("{sfmc-import:events}:/definitions:1:a", None),
        ("{sfmc-import:events}definitions:1:a", None),
        ("{sfmc-import:events}/refreshed", "refreshed"),
        ("imports", None),
    ],
)
def test_a_key_is_found_by_its_name(name: str, key: str | None):
    found = Keys().describe(name)

    assert (found and found.name) == key


def test_names_in_python_and_in_lua_begin_alike():
    keys = Keys()
    names = {
        REQUEST.letter: keys.request("a"),
        DEFINITION.letter: keys.definition("1", "k"),
        "w": keys.follow_ups("1", "k"),
        "t": keys.task("1", "9"),
    }

    for letter, name in names.items():
        assert name.startswith(f"{keys.tag}{letter}:")
        assert keys.describe(name)


def test_a_record_is_read_by_kind_and_named_by_attribute():
    record = {b"key": b"k", b"at": b"1500", b"n": b"3", b"force": b"1", b"error": b'{"a": 1}', b"later": b"x"}

    assert REQUEST.read(record) == {
        "customer_key": "k",
        "accepted_at": 1.5,
        "events": 3,
        "force": True,
        "last_error": {"a": 1},
    }


@pytest.mark.parametrize(
    ("fields", "since"),
    [
        ({b"at": b"1500", b"l": b"0.2 3 61000.1"}, 62.5),
        ({b"at": b"1500", b"l": b"0"}, 1.5),
        ({b"at": b"1500", b"l": b"0 3", b"since": b"9000"}, 9.0),
        ({b"at": b"1500", b"l": b""}, None),
        ({b"at": b"1500"}, None),
        ({b"l": b"0 3"}, None),
    ],
)
def test_a_request_has_been_in_its_state_since_its_newest_event_unless_it_says_so(
    fields: dict[bytes, bytes], since: float | None
):
    assert REQUEST.read(fields).get("since") == since


def test_a_recorded_request_is_read_back_as_it_was():
    file = FileInfo(location="/in", name="a", size=1, modified_ns=1_800_000_000_123_456_789)
    request = StartRequest(request_id="a", customer_key="k", mid="1", file=file, force=True, reason="why")
    arguments = request_arguments(request)
    record = {b"state": b"accepted", b"key": b"k", b"mid": b"1", b"force": b"1", b"reason": b"why"}
    of_file = {
        name.encode(): value.encode() for name, value in (arguments["file"] | {"name": arguments["name"]}).items()
    }

    assert read_request("a", record | of_file) == request
    assert read_request("a", {}) is None
