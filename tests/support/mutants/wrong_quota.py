"""Wrong changes of quota.lua: permits, shares, budgets and the circuit breaker."""

from tests.support.mutants.mutant import Mutant

QUOTA = (
    Mutant("quota", "local FLOW, BURST = 0.9, 0.1", "local FLOW, BURST = 1.0, 0.5"),
    Mutant("quota", "if before and before > now then", "if false then"),
    Mutant("quota", "before and math.max(0, now - before) or 0", "before and math.abs(now - before) or 0"),
    Mutant("quota", "math.min(have, most), over + math.max(0, have - most)", "have, over"),
    Mutant("quota", "math.min(have, most), over + math.max(0, have - most)", "math.min(have, most), over"),
    Mutant("quota", "share == 'start' and a.together or 1", "1"),
    Mutant("quota", "  at = math.min(at, now + MAX_WAIT)\n", ""),
    Mutant("quota", "  q['next_' .. a.share] = at + 1 / flow\n", ""),
    Mutant("quota", "if have >= a.need then", "if have >= 1 then"),
    Mutant("quota", "or redis.call('HGET', usage_key(a.account, period), name) then return end", "then return end"),
    Mutant("quota", "used >= budget * 0.8", "used >= budget * 0.9"),
    Mutant("quota", "if a.policy ~= 'hold' then return nil end", ""),
    Mutant("quota", "elseif not held or a.share == 'follow' then", "elseif not held then"),
    Mutant("quota", "if all or not is_definition then", "if true then"),
    Mutant("quota", "if a.epoch < c.epoch then return end", ""),
    Mutant("quota", "if passed < 0 or passed > FAILURE_GAP then c.failures = 0 end", ""),
    Mutant("quota", "if is_probe then return open(c) end", "if true then return open(c) end"),
    Mutant("quota", "if left <= 0 and taken <= 0 then", "if left <= 0 then"),
    Mutant("quota", "and c.probe ~= a.probe and math.min", "and math.min"),
    Mutant("quota", "a.outcome == 'answered' and is_open and is_probe", "a.outcome == 'answered' and is_open"),
    Mutant("quota", "  elseif is_probe then\n    c.probe = nil\n", ""),
    Mutant("quota", "c.pause = math.max(pause, a.asked)", "c.pause = pause"),
    Mutant("quota", "if a.asked > left_of(c) then", "if true then"),
    Mutant("quota", "    c.back = (c.back or 0) + a.want\n", ""),
    Mutant("quota", "math.min(math.max(0, c['until'] - now), c.pause)", "math.max(0, c['until'] - now)"),
)
