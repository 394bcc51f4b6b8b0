"""Wrong changes of how a step reads its records once and writes them once, and of the parts of a file."""

from tests.support.mutants.mutant import Mutant
from tests.support.mutants.wrong_replays import HELD, REPLAYS
from tests.support.mutants.wrong_settling import SETTLING

RECORDS: tuple[Mutant, ...] = (
    *REPLAYS,
    *HELD,
    *SETTLING,
    Mutant(
        "records",
        "  if not fields then return redis.call('HMGET', key, ...) end",
        "  if true then return redis.call('HMGET', key, ...) end",
    ),
    Mutant("records", "fields[name], changed[name] = nil, false", "fields[name] = nil"),
    Mutant("records", "    if #dropped > 0 then redis.call('HDEL', key, unpack(dropped)) end\n", ""),
    Mutant("records", "  if times[key] then times[key][id] = nil end\n", ""),
    Mutant("records", "      if #flat >= MAX_ARGUMENTS then", "      if #flat >= 9000 then"),
    Mutant("records", "  for key, ms in pairs(lives) do redis.call('PEXPIRE', key, str(ms)) end\n", ""),
    Mutant("upkeep", "    write_times()\n", ""),
    Mutant("lib", "  if r.b then text = text .. ',\"size\":' .. r.b end\n", ""),
    Mutant("lib", "  if r.m then text = text .. ',\"modified_ns\":\"' .. r.m .. '\"' end\n", ""),
    Mutant("lib", "  if r.v then text = text .. ',\"version\":' .. json_of(r.v) end\n", ""),
    Mutant("lib", "  if r.h then text = text .. ',\"content_hash\":' .. json_of(r.h) end\n", ""),
    Mutant("lib", "  if r.a then text = text .. ',\"arrived_as\":' .. json_of(r.a) end\n", ""),
    Mutant("lib", 'json_of(r.p) .. \',"name"', "'\"' .. r.p .. '\",\"name\"'"),
    Mutant("lib", "unschedule(follows_key(), id)", ""),
    Mutant("lib", "str(int(r.n) + 1)", "str(int(r.n))"),
    Mutant("lib", "  unschedule(DUE, id)\n", ""),
    Mutant("upkeep", "  if r.definition then return {0, false} end\n", ""),
    Mutant("upkeep", "  if is_new then create(a.id, a) end\n  if present", "  create(a.id, a)\n  if present"),
    Mutant("upkeep", "return {is_new and 1 or 0, must_wait(r)}", "return {1, must_wait(r)}"),
    Mutant("upkeep", "return {is_new and 1 or 0, must_wait(r)}", "return {is_new and 1 or 0, false}"),
    Mutant("upkeep", "then return {0, decided(r, 'other_content')} end", "then return {0, false} end"),
    Mutant(
        "claim",
        "  return other and wait_as_suspect(other) or attempt_unless_paused()\nend\n\n-- It",
        "  return attempt_unless_paused()\nend\n\n-- It",
    ),
)
