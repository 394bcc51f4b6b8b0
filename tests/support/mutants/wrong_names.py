"""Wrong changes to a definition whose CustomerKey was changed."""

from tests.support.mutants.mutant import Mutant

NAMES = (
    Mutant("claim", "redis.call('GET', home_key(r.mid, object)) or a.resolved_key", "a.resolved_key"),
    Mutant("claim", "  if not object then return end\n", "  object = object or ''\n"),
    Mutant("claim", "str(int(policy.frequency) + cfg.unfinished_ttl)", "str(cfg.unfinished_ttl)"),
    Mutant("claim", "    redis.call('SET', renamed_key(r.mid, folded(a.resolved_key)), home, 'PX', ttl)\n", ""),
    Mutant("claim", "  redis.call('DEL', renamed_key(r.mid, folded(a.resolved_key)))\n", ""),
    Mutant("claim", "  values.home = home_of_object()\n", "  home_of_object()\n"),
    Mutant("following", "key = f[9] or f[3]}", "key = f[3]}"),
    Mutant("ordering", "folded(redis.call('GET', renamed_key(mid, folded(key))) or key)", "folded(key)"),
    Mutant("ordering", "renamed_key(mid, folded(key))", "renamed_key(mid, key)"),
    Mutant("ordering", "folded(r.home or r.key)", "folded(r.key)"),
    Mutant("pausing", "key .. (r.home or r.key)}", "key .. r.key}"),
    Mutant("pausing", "key .. r.key, key .. (r.home", "key .. (r.home or r.key), key .. (r.home"),
    Mutant("starting", "    if a.key ~= r.key then\n", "    if false then\n"),
    Mutant("starting", "r.home or r.key, r.asked or r.key", "r.key, r.asked or r.key"),
    Mutant("starting", "r.home or r.key, r.asked or r.key", "r.home or r.key, r.key"),
    Mutant(
        "starting",
        "redis.call('SET', renamed_key(r.mid, folded(a.key)), values.home, 'PX', str(a.window + cfg.unfinished_ttl))",
        "",
    ),
)
