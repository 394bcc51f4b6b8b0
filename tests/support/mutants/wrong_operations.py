"""Wrong changes to what operators do, and to why a request says that it waits."""

from tests.support.mutants.mutant import Mutant
from tests.support.mutants.wrong_quota import QUOTA
from tests.support.mutants.wrong_tokens import TOKENS

OPERATIONS = (
    Mutant("starting", "  if has_lost_writes(r) then return", "  if false then return"),
    Mutant("starting", "  return at and at ~= r.loss\n", "  return at\n"),
    Mutant("claim", "r, {loss = loss[1], no_proof", "r, {no_proof"),
    Mutant("starting", "local pause = not a.unsent and pause_of(r)", "local pause = pause_of(r)"),
    Mutant("starting", "if not a.unsent and is_in_window(r, d)", "if is_in_window(r, d)"),
    Mutant("starting", "if done == 1 then redis.call('SET', report", "if true then redis.call('SET', report"),
    Mutant("starting", "by and by ~= a.operator and 2 or 1", "1"),
    Mutant("starting", "by and by ~= a.operator and 2 or 1", "by and 2 or 1"),
    Mutant("starting", "by and by ~= a.operator and 2 or 1", "by ~= a.operator and 2 or 1"),
    Mutant("lib", "  if a.looked and r.error then return r.error end\n", ""),
    Mutant("following", "  if status then set(request_key(a.id), r, {status = status}) end", ""),
    Mutant("following", "  if a.outcome == 'completed' and status == 'Completed' then return", "  if true then return"),
    Mutant(
        "following", "  if a.outcome == 'completed' and status == 'Completed' then return", "  if false then return"
    ),
    Mutant("pausing", "pause['until'] > now", "true"),
    Mutant("pausing", "return pause and (not present", "return false and (not present"),
    Mutant("pausing", "written['mid:' .. r.mid]", "written['mid:']"),
    Mutant("pausing", "local begin = 'key:' .. mid .. ':'", "local begin = 'key:' .. ':'"),
    Mutant("pausing", "  wait_for(id, r, 'paused')\n", ""),
    Mutant("pausing", "  redis.call('ZADD', paused_key(), r.at, id)\n", ""),
    Mutant("pausing", "'ZADD', DUE, 'XX', str(now), found[i])", "'ZADD', DUE, 'XX', str(now + 60000), found[i])"),
    Mutant("pausing", "  if #found == 0 then return 1 end\n  let", "  if true then return 1 end\n  let"),
    Mutant("pausing", "if each.text == a.expects then return false end", ""),
    Mutant("pausing", "return a.expects ~= 'none' or #found > 0", "return a.expects ~= 'none'"),
    Mutant(
        "pausing",
        "  if has_changed(found) then return 3 end\n  local ended",
        "  local ended",
    ),
    Mutant("pausing", "    if lasts(each.text) then return end\n", ""),
    Mutant("pausing", "  if ended then return str(ended) end\n", ""),
    Mutant("pausing", "  if not lifted then return 0 end\n", "  if not lifted then return 1 end\n"),
    Mutant(
        "claim", "  local pause = pause_of(r)\n  if not pause then\n", "  local pause = pause_of(r)\n  if true then\n"
    ),
    Mutant("claim", "    if pause or (not r.force and", "    if (not r.force and"),
    Mutant("claim", "  if r.state == 'starting' then let_go_of_attempt('paused', pause.reason, left) end\n", ""),
    Mutant("pausing", "  let_paused_look()\n  if not lifted", "  if not lifted"),
    Mutant("pausing", "  let_paused_look()\n  return 2\n", "  return 2\n"),
    Mutant("pausing", "  if redis.call('EXISTS', pauses_key()) == 0 then let_paused_look() end\n", ""),
    Mutant("pausing", "  if redis.call('EXISTS', unpaused_key()) == 1 then wake_paused() end\n", ""),
    Mutant("pausing", "if redis.call('EXISTS', unpaused_key()) == 0 then return", "if true then return"),
    Mutant("pausing", "2, unpaused_key(), paused_key(), 'AGG", "1, unpaused_key(), 'AGG"),
    Mutant("pausing", "  redis.call('DEL', paused_key())\n", ""),
    Mutant("pausing", "redis.call('ZPOPMIN', unpaused_key(), a.limit)", "redis.call('ZPOPMIN', paused_key(), a.limit)"),
    Mutant(
        "claim", "  if r.retry_until then drop(request_key(id), r, {'retry_until'}) end\n  wait_paused", "  wait_paused"
    ),
    Mutant("claim", "policy.when_too_soon == 'drop' and not pause", "policy.when_too_soon == 'drop'"),
    Mutant("starting", "  if pause then return cjson.encode({'paused', pause.reason}) end\n", ""),
    Mutant(
        "operators", "  if not CANCELLABLE[r.state] then return r.state end\n", "  if not r.state then return nil end\n"
    ),
    Mutant("operators", "  if r.unproved or r.doubted then\n", "  if false then\n"),
    Mutant("operators", "  remember_if_new(a.id, r)\n", ""),
    Mutant("operators", "  finish(a.id, r)\n  release(a.id, r)\n", "  finish(a.id, r)\n"),
    Mutant(
        "operators",
        "  if not FORCEABLE[r.state] or r.force then return r.state end\n",
        "  if not FORCEABLE[r.state] then return r.state end\n",
    ),
    Mutant("operators", "  waits_until(a.id, r, now)\n  return r.state", "  return r.state"),
    Mutant("duplicates", "and not repeats(r, file)", ""),
    Mutant("duplicates", "'state')[1] == 'cancelled')", "'state')[1] == 'none')"),
    Mutant("lib", "str(ms - int(r.at))", "str(ms)"),
    Mutant("lib", "'^(%S+ )%S+ ', '%1'", "'^%S+ ', ''"),
    Mutant("operators", "waited_for = present(r.wait)", "waited_for = nil"),
    Mutant("claim", "a.folded_key, r.key)", "a.folded_key, a.folded_key)"),
    Mutant("lib", "  if (r.wait or '') ~= reason then", "  if true then"),
    Mutant("lib", "reason or WAITS[target])", "WAITS[target])"),
    Mutant("lib", "  if FAILED[after] then", "  if false then"),
    Mutant("lib", "  elseif FAILED[before] then", "  elseif false then"),
    Mutant("follow_ups", "'single_flight', d.holder) end", "'single_flight') end"),
    Mutant("follow_ups", "return wait_for(id, r, 'window', d.window_by) end", "return wait_for(id, r, 'queued') end"),
    Mutant("follow_ups", "if f.state == 'deferred' then wait_as", "if false then wait_as"),
    Mutant("lease", "    renew_reasons(r, d)\n  end\n  if next(d)", "  end\n  if next(d)"),
    Mutant("lease", "  renew_reasons(r, d)\nend\n", "end\n"),
    Mutant("follow_ups", "  if first ~= id then return wait_for(id, r, 'single_flight', first) end\n", ""),
    # Order between definitions.
    Mutant("ordering", "return since > now and moment_of(wall - DAY, policy) or since", "return since"),
    Mutant("ordering", "and later >= policy.offset_changed and later or", "and later or"),
    Mutant("ordering", "  return earlier >= policy.offset_changed and", "  return"),
    Mutant("ordering", "(now < policy.offset_changed and", "(now > policy.offset_changed and"),
    Mutant(
        "ordering", "  if not present(policy.after_time) then return int(r.at) end\n", "  if true then return 0 end\n"
    ),
    Mutant("ordering", "if int(completed) < since then return key end", "if not completed then return key end"),
    Mutant("ordering", "  wait_for(id, r, 'after', key)\n", ""),
    Mutant("ordering", "  waits_until(id, r, now + cfg.recheck)\n", "  waits_until(id, r, now)\n"),
    Mutant("ordering", "'CH', str(now), found[i])", "'CH', str(now + 60000), found[i])"),
    Mutant("claim", "(not r.force and missing_run(r, policy))", "false"),
    Mutant("claim", "(not r.force and missing_run(r, policy))", "missing_run(r, policy)"),
    Mutant("claim", "r.state == 'deferred' and not r.force and missing_run(r, policy)", "false"),
    Mutant("following", "if a.as_expected then note_completed", "if true then note_completed"),
    Mutant("following", "  if a.as_expected then note_completed(r, d, present(a.shown)) end\n", ""),
    Mutant("lib", "string.gsub(string.lower(key)", "string.gsub(key"),
    *QUOTA,
    *TOKENS,
)
