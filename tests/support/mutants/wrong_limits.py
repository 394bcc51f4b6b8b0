"""Wrong changes to the limits of imports that run at once."""

from tests.support.mutants.mutant import Mutant

LIMITS = (
    Mutant("places", "if redis.call('ZSCORE', key, id) or", "if"),
    Mutant(
        "places",
        "redis.call('ZCARD', key) < most then return false",
        "redis.call('ZCARD', key) <= most then return false",
    ),
    Mutant("places", "  remove_stale(group)\n", ""),
    Mutant("places", "if not (HAS_PLACE[f[1]] and f[2]) then", "if true then"),
    Mutant("places", "    keep(places_key(limit[1]), cfg.unfinished_ttl)\n", ""),
    Mutant("places", "(r.force and 1e13 or 0)), id)", "0), id)"),
    Mutant("places", "  keep(place_waiters_key(group), cfg.recheck + cfg.unfinished_ttl)\n", ""),
    Mutant("places", "  wait_for(id, r, 'rate_limited')\n", ""),
    Mutant("places", "  waits_until(id, r, now + cfg.recheck)\n", "  waits_until(id, r, now)\n"),
    Mutant("places", "if limit[1] ~= group and redis", "if false and redis"),
    Mutant(
        "places",
        "set(request_key(id), r, {error = error_of('running_limit'",
        "local _ = ({error = error_of('running_limit'",
    ),
    Mutant("claim", "  take_places(id, r, policy.places)\n", ""),
    Mutant("claim", "    if not (key or full) then", "    if not key then"),
    Mutant("claim", "    if full_group(id, policy.places) then return unless_outdated(defer) end\n", ""),
    Mutant(
        "lib",
        "if r.places and not keeps_places(r, target) then",
        "if r.places and target ~= 'completed' and not keeps_places(r, target) then",
    ),
    Mutant("lib", "(target ~= 'retrying' or r.unproved)", "true"),
    Mutant("lib", "(target ~= 'retrying' or r.unproved)", "target ~= 'retrying'"),
    Mutant("lib", "reconciling = true, started = true, retrying = true}", "started = true, retrying = true}"),
    Mutant("lib", "id) == 1 then wake_for_place(group) end", "id) == 1 then end"),
    Mutant(
        "lib",
        "  for _ = 1, 100 do\n    local first = redis.call('ZPOPMIN', place",
        "  for _ = 1, 1 do\n    local first = redis.call('ZPOPMIN', place",
    ),
    Mutant("lib", "(f[1] == 'deferred' or f[1] == 'retrying') and f[2] == 'rate_limited'", "true"),
    Mutant("lib", "(f[1] == 'deferred' or f[1] == 'retrying') and", "f[1] == 'deferred' and"),
)
