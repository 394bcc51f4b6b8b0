"""Wrong changes of tokens.lua: whose turn it is to ask, and which token is replaced."""

from tests.support.mutants.mutant import Mutant

TOKENS = (
    Mutant("tokens", "text and text ~= a.seen then return", "text then return"),
    Mutant("tokens", "text and text ~= a.seen then return", "text and false then return"),
    Mutant("tokens", "if text and a.refused then", "if text then"),
    Mutant("tokens", "  if text and a.refused then redis.call('DEL', a.token) end\n", ""),
    Mutant("tokens", "a.owner, 'NX', 'PX'", "a.owner, 'PX'"),
    Mutant("tokens", "cfg.token_lease_ttl", "cfg.token_ttl"),
    Mutant("tokens", "if redis.call('GET', a.lease) == a.owner then return {", "if false then return {"),
    Mutant("tokens", "if is_own then redis.call('DEL', a.lease) end", "redis.call('DEL', a.lease)"),
    Mutant("tokens", "if is_own then redis.call('DEL', a.lease) end", ""),
    Mutant("tokens", "steps.leave_token() == 1 or not text or", "not text or"),
    Mutant("tokens", "== 1 or not text or text == a.seen", "== 1 or true"),
    Mutant("tokens", "== 1 or not text or text == a.seen", "== 1 or not text"),
    Mutant("tokens", "== 1 or not text or text == a.seen", "== 1 or text == a.seen"),
    Mutant("tokens", "math.min(a.life_ms, cfg.token_ttl)", "a.life_ms"),
    Mutant("tokens", "math.min(a.life_ms, cfg.token_ttl)", "cfg.token_ttl"),
    Mutant("tokens", "#text > MAX_TEXT or ", ""),
    Mutant("tokens", " or string.find(text, '[^%w%._=-]')", ""),
    Mutant("tokens", "  if strange then redis.call('DEL', a.token) end\n", ""),
)
