"""The Lua lines that the scripts get from the schema: the names of the keys, and what the end of a request removes."""

from sfmc_import.ledger.key_kinds import Key
from sfmc_import.ledger.schema import DUE, KEYS, REQUEST, STREAM


def to_lua() -> str:
    """Give the Lua lines that name the keys, and the function that lists what `finish` removes from a request."""
    named = [key for key in KEYS if key not in {DUE, STREAM} and not key.letter.startswith("/")]
    tag = f"local TAG = string.sub(DUE, 1, -{len(DUE.letter) + 1})"
    return "\n".join(("local DUE, STREAM = KEYS[1], KEYS[2]", tag, *map(_lua_key_function, named), _lua_removed()))


def _lua_key_function(key: Key) -> str:
    of_record = "customer_key" in key.parts
    names = {one.attribute or one.name: one.name for one in REQUEST.fields}
    values = [f"r.{names[part]}" if of_record else part for part in key.parts]
    if of_record:
        # A definition whose CustomerKey was changed stays where it was seen first.
        values[key.parts.index("customer_key")] = home = f"(r.{names['home']} or r.{names['customer_key']})"
        values[:0] = [f"#{home}"] if "event_id" in key.parts else []
    text = " .. ':' .. ".join(values)
    name = f"'{key.letter}:' .. {text}" if values else f"'{key.letter}'"
    return f"local function {key.name}_key({'r' if of_record else ', '.join(key.parts)}) return TAG .. {name} end"


def _lua_removed() -> str:
    always = ", ".join(f"'{one.name}'" for one in REQUEST.fields if one.kept_at_end is False)
    lines = ["local function not_kept_at_end(state)", f"  local names = {{{always}}}"]
    lines += [
        f"  if {_is_none_of(one.kept_at_end)} then names[#names + 1] = '{one.name}' end"
        for one in REQUEST.fields
        if isinstance(one.kept_at_end, tuple)
    ]
    return "\n".join((*lines, "  return names", "end"))


def _is_none_of(states: tuple[str, ...]) -> str:
    return " and ".join(f"state ~= '{state}'" for state in states)
