"""Wrong changes of what an import settles, of the ends to look at, and of the cause that an end names."""

from tests.support.mutants.mutant import Mutant

SETTLING: tuple[Mutant, ...] = (
    Mutant("lib", "since = before and (before.since or before.at) or now})", "since = now})"),
    Mutant("lib", "cause and cause.code or code", "code"),
    Mutant("lib", "or (extra and extra.code) then return extra end", "then return extra end"),
    Mutant("lib", "start_unknown = true, expired = true, follow_timed_out = true}", "start_unknown = true}"),
    Mutant("lib", "start_unknown = true, expired = true, follow_timed_out = true}", "expired = true}"),
    Mutant("lib", "  if cause.code == target then return extra end\n", ""),
    Mutant(
        "duplicates",
        "local cause = not extra.code and r.error and cjson.decode(r.error) or extra",
        "local cause = extra",
    ),
    Mutant("lib", "  if WARNED[after] then list_newest(warnings_key(), id, 1000) end\n", ""),
    Mutant("lib", "    redis.call('ZREM', warnings_key(), r.replays)\n", ""),
    Mutant(
        "lib",
        "list_newest(failed_file_key(failed_place(r)), id, 10)",
        "list_newest(failed_file_key(failed_place(r)), id, 1000)",
    ),
    Mutant("lib", "(r.definition or not r.name) and folded", "folded"),
    Mutant("lib", ".. ':' .. (r.name or '')", ""),
    Mutant("starting", "{'worker_losses', 'error'}", "{'worker_losses'}"),
    Mutant("following", "then return drop(request_key(a.id), r, {'error'}) end", "then return end"),
    Mutant("following", "before and before.code == new.code and now", "before and now"),
    Mutant("following", " and now - before.at < SAME_FAILURE then return end", " then return end"),
    Mutant("following", " and now - before.at < SAME_FAILURE then return end", " and false then return end"),
    Mutant("following", "{completed = true, completed_with_errors = true}", "{completed = true}"),
    Mutant("following", "  if IMPORTED[a.outcome] then settle_older(r) end\n", "  settle_older(r)\n"),
    Mutant("following", "SETTLED[f.state] and int(f.at) <= int(r.at)", "int(f.at) <= int(r.at)"),
    Mutant("following", "SETTLED[f.state] and int(f.at) <= int(r.at)", "SETTLED[f.state]"),
    Mutant("following", "      set(request_key(id), f, {settled = a.id})\n", ""),
    Mutant("following", "      redis.call('ZREM', warnings_key(), id)\n", ""),
    Mutant("following", "  settle_in(r, file_place(r, folded(r.home or r.key)))\n", ""),
    Mutant("following", "  if r.name then settle_in(r, file_place(r, '')) end\n", ""),
)
