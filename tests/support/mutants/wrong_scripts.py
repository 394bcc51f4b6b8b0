"""The list of wrong changes; file, what stands there once, what stands there instead."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """One wrong change to one script."""

    file: str
    find: str
    replace: str


MUTANTS = (
    # Fences and leases.
    Mutant("lease", "if d.holder ~= a.id or int(d.fence) ~= a.fence then", "if d.holder ~= a.id then"),
    Mutant("lease", "if d.holder ~= a.id or int(d.fence) ~= a.fence then", "if int(d.fence) ~= a.fence then"),
    Mutant("lease", "if d.holder ~= a.id or int(d.fence) ~= a.fence then", "if false then"),
    Mutant(
        "lease", "set(definition_key(r), d, {lease = str(now + cfg.lease)})", "set(definition_key(r), d, {lease = '0'})"
    ),
    Mutant("lease", "local fence = math.max(int(d.fence), int(r.fence)) + 1", "local fence = int(d.fence) + 1"),
    Mutant("lease", "local fence = math.max(int(d.fence), int(r.fence)) + 1", "local fence = int(d.fence)"),
    Mutant("claim", "if int(d.lease) <= now or d.holder ~= id then", "if int(d.lease) < now or d.holder ~= id then"),
    Mutant("claim", "if int(d.lease) <= now or d.holder ~= id then", "if false then"),
    Mutant("claim", "return r.owner == a.owner and int(d.fence) == int(r.fence)", "return true"),
    Mutant("claim", "return r.owner == a.owner and int(d.fence) == int(r.fence)", "return false"),
    Mutant("claim", "if r.sent == '1' then return expire_ambiguous() end", ""),
    Mutant("claim", "return int(r.worker_losses) > cfg.max_lost", "return int(r.worker_losses) >= cfg.max_lost"),
    Mutant("claim", "return int(r.worker_losses) > cfg.max_lost", "return int(r.worker_losses) > cfg.max_lost + 1"),
    Mutant("claim", "if lost_too_many() then return give_up_reconciling() end", "lost_too_many()"),
    Mutant("claim", "if not to_blame then", "if true then"),
    # Files that were replaced.
    Mutant("duplicates", "and not has_other_content(r, file)", ""),
    Mutant("duplicates", "return theirs and theirs ~= mine", "return theirs"),
    Mutant("duplicates", "return theirs and theirs ~= mine", "return theirs ~= mine"),
    Mutant(
        "claim", "if leased or int(r.not_before) > now then return not_yet() end", "if leased then return not_yet() end"
    ),
    Mutant(
        "claim",
        "if leased or int(r.not_before) > now then return not_yet() end",
        "if int(r.not_before) > now then return not_yet() end",
    ),
    Mutant("claim", "not_before = str(now + cfg.results_delay)", "not_before = str(now)"),
    Mutant("claim", "late = now >= int(r.reconcile_until)", "late = now > int(r.reconcile_until)"),
    Mutant(
        "claim",
        "if not held_by_other() then return HOLDING[r.state]() end",
        "if true then return HOLDING[r.state]() end",
    ),
    Mutant("claim", "redis.call('EXISTS', request_key(d.holder)) == 0", "false"),
    Mutant("starting", "if not r or r.state ~= 'starting' then return -1 end", "if not r then return -1 end"),
    Mutant("starting", "local values = {sent = '1'}", "local values = {sent = '0'}"),
    Mutant("starting", "extend_lease(a.id, r, d)", ""),
    Mutant("starting", "{sent = '0'}", "{sent = '1'}"),
    # Suspects: one at a time.
    Mutant("claim", "if int(d.lease) == 0 then return false end", ""),
    Mutant("claim", "return other and wait_as_suspect(other) or begin_attempt() end", "return begin_attempt() end"),
    Mutant("claim", "    if other then return wait_as_suspect(other) end\n", ""),
    Mutant("claim", "  new_fence(id, r, d)\n", ""),
    Mutant("claim", "  new_fence(id, r, d)\n", "  d.holder = id\n"),
    Mutant("claim", "  set(definition_key(r), d, {lease = '0'})\n  keep_definition", "  keep_definition"),
    Mutant("claim", "  redis.call('ZADD', suspects_key(), r.since, id)\n", ""),
    Mutant("claim", "suspects_key(), r.since, id)", "suspects_key(), str(now), id)"),
    Mutant("claim", "  keep(suspects_key(), cfg.unfinished_ttl)\n", ""),
    Mutant("claim", "  due_at(id, r, int(other.lease))\n", ""),
    Mutant("claim", "{held_by = other.holder, opens_in = (int(other.lease) - now) / 1000}", ""),
    Mutant("lease", "return int(r.worker_losses) > 0 end", "return true end"),
    Mutant("lease", "return int(r.worker_losses) > 0 end", "return false end"),
    Mutant("lease", "if s.holder and s.holder ~= id and int(s.lease) > now", "if s.holder and int(s.lease) > now"),
    Mutant("lease", "s.holder ~= id and int(s.lease) > now", "s.holder ~= id and int(s.lease) >= now"),
    Mutant("lease", "s.holder ~= id and int(s.lease) > now", "s.holder ~= id"),
    Mutant("lease", "  keep(suspect_key(), cfg.lease)\n", ""),
    Mutant("lease", "  redis.call('ZREM', suspects_key(), id)\n", ""),
    Mutant("lease", "if redis.call('HGET', suspect_key(), 'holder') ~= id then return end", ""),
    Mutant("lease", "  redis.call('DEL', suspect_key())\n", ""),
    Mutant("lease", "'ZPOPMIN'", "'ZPOPMAX'"),
    Mutant("lease", "until not first or state == 'starting' or", "until not first or"),
    Mutant("lease", "or state == 'starting' or state == 'reconciling'", "or state == 'starting'"),
    Mutant("lease", "until not first or state == 'starting' or state == 'reconciling'", "until true"),
    Mutant("lease", "  if first then redis.call('ZADD', DUE, str(now), first) end\n", ""),
    Mutant("lease", "  if is_suspect(r) then admit_suspect(id) end\n", ""),
    Mutant("lease", "  release_suspect(id)\nend", "end"),
    Mutant("starting", "  if is_suspect(r) and other_suspect(a.id) then return -1 end\n", ""),
    Mutant("starting", "  release_suspect(id)\n", ""),
    Mutant("starting", "  release_suspect(a.id)\n  return 'retrying'", "  return 'retrying'"),
    Mutant(
        "starting",
        "  release_suspect(a.id)\n  return 1\nend\n\n-- No run",
        "  return 1\nend\n\n-- No run",
    ),
    Mutant(
        "starting",
        "  release_suspect(a.id)\n  return 1\nend\n\n-- Ends as start_unknown",
        "  return 1\nend\n\n-- Ends as start_unknown",
    ),
    # Lost writes.
    Mutant("upkeep", "if found >= a.count - 1 then return 0 end", "if found > a.count - 1 then return 0 end"),
    Mutant("upkeep", "if found >= a.count - 1 then return 0 end", "if true then return 0 end"),
    Mutant("upkeep", "a.count, 'PX', cfg.probe_ttl)", "a.count)"),
    Mutant("upkeep", "keep(loss_key(), cfg.loss_ttl)", ""),
    Mutant("lib", "if not number or number <= int(newest(mid)) then return end", "if not number then return end"),
    Mutant("lib", "  keep(newest_key(), cfg.unfinished_ttl)\n", ""),
    Mutant("starting", "note_newest(r.mid, a.task)", ""),
    Mutant("starting", "note_newest(r.mid, a.newest)", ""),
    Mutant("starting", "if a.above or r.above then", "if a.above then"),
    Mutant("claim", "{newest = loss[2] or nil,", "{newest = newest(r.mid),"),
    # Windows.
    Mutant(
        "claim",
        "local in_window = int(d.window) > now and not r.force",
        "local in_window = int(d.window) >= now and not r.force",
    ),
    Mutant("claim", "local in_window = int(d.window) > now and not r.force", "local in_window = int(d.window) > now"),
    Mutant("claim", "local in_window = int(d.window) > now and not r.force", "local in_window = false"),
    Mutant("lease", "str(math.max(int(d.window), now + ms))", "str(now + ms)"),
    Mutant("lease", "if d.window_by ~= id and int(d.window) > now then", "if int(d.window) > now then"),
    Mutant(
        "lease",
        "set(definition_key(r), d, {window = d.previous_window or '0', window_by = d.previous_window_by or ''})",
        "local none = 1",
    ),
    Mutant(
        "lease",
        "{window = d.previous_window or '0', window_by = d.previous_window_by or ''}",
        "{window = d.previous_window or '0'}",
    ),
    Mutant("following", "if a.outcome == 'import_failed' then return note_error", "if true then return note_error"),
    Mutant("following", "  if a.on_error ~= 'free' then return end\n", ""),
    Mutant("following", "{errors = int(d.errors) + 1}", "{errors = 1}"),
    Mutant("following", "a.pauses[int(d.errors)] or int(d.window)", "a.pauses[1]"),
    Mutant("following", "a.pauses[int(d.errors)] or int(d.window)", "a.pauses[int(d.errors)]"),
    Mutant("following", "  forget(a.id, r)\n", ""),
    Mutant("following", "if a.completed and d.errors then", "if d.errors then"),
    Mutant("following", "if a.completed and d.errors then", "if false then"),
    Mutant("lease", "pause and math.min(int(d.window), now + pause) or 0", "pause and now + pause or 0"),
    Mutant("lease", "pause and math.min(int(d.window), now + pause) or 0", "math.min(int(d.window), now + 60000)"),
    Mutant("lease", "if closed > int(d.previous_window) then", "if pause then"),
    Mutant("lease", "if closed > int(d.previous_window) then", "if false then"),
    Mutant("starting", "begin_window(a.id, r, d, a.window)", ""),
    # Duplicates and follow-ups.
    Mutant("duplicates", "if file and file ~= id and (r.exact or blocked) then", "if file and file ~= id then"),
    Mutant(
        "duplicates", "if file and file ~= id and (r.exact or blocked) then", "if file and file ~= id and r.exact then"
    ),
    Mutant("duplicates", "if event and event ~= id then", "if false then"),
    Mutant("duplicates", "local file = r.fp and not r.force and", "local file = r.fp and"),
    Mutant("claim", "if policy.when_too_soon == 'drop' then", "if false then"),
    Mutant("duplicates", "if at > int(r.at) or (at == int(r.at) and other > id) then", "if at < int(r.at) then"),
    Mutant("duplicates", "if at > int(r.at) or (at == int(r.at) and other > id) then", "if at > int(r.at) then"),
    Mutant("duplicates", "and not fields[3] then", "then"),
    Mutant("follow_ups", "(r.force and 1e13 or 0)", "0"),
    Mutant(
        "follow_ups",
        "local at = r.force and now or math.max(int(d.window), now)",
        "local at = math.max(int(d.window), now)",
    ),
    Mutant("follow_ups", "if d.holder or first_follow_up(r) ~= id then at =", "if false then at ="),
    Mutant("claim", "  if first_follow_up(r) ~= id then\n", "  if false then\n"),
    Mutant("claim", "  if not why then return begin_attempt() end\n", "  if true then return begin_attempt() end\n"),
    Mutant("duplicates", "  forget(other, o)\n", ""),
    Mutant("lease", "if not d.holder then wake_first_follow_up(r, d) end\n  if next(d)", "if next(d)"),
    Mutant("follow_ups", "str(forced and now or math.max(now, int(d.window)))", "str(math.max(now, int(d.window)))"),
    Mutant(
        "follow_ups",
        "redis.call('HGET', request_key(first), 'state') == 'deferred' then return first end",
        "true then return first end",
    ),
    Mutant("lib", "'e:' .. #r.key .. ':' ..", "'e:' .."),
    Mutant(
        "starting",
        "'rejected', {code = a.code, text = a.text})\n  forget(a.id, r)\n",
        "'rejected', {code = a.code, text = a.text})\n",
    ),
    Mutant("starting", "    forget(a.id, r)\n", ""),
    Mutant(
        "starting",
        "  release(a.id, r)\n  return 1\nend\n\nlocal function resolve_as_not_started",
        "  return 1\nend\n\nlocal function resolve_as_not_started",
    ),
    Mutant("following", "release(a.id, r)\n", ""),
    Mutant(
        "starting",
        "  release(a.id, r)\n  return 1\nend\n\n-- Ends as rejected",
        "  return 1\nend\n\n-- Ends as rejected",
    ),
    # Events and states.
    Mutant("lib", "  emit(id, r, name, extra)\nend\n", "end\n"),
    Mutant("lib", "'HINCRBY', request_key(id), 'n', 1)", "'HINCRBY', request_key(id), 'n', 0)"),
    Mutant("following", "local news = present(a.status) and a.status ~= r.status", "local news = present(a.status)"),
    Mutant(
        "following",
        "if r.state ~= 'started' or r.task ~= a.task then return 0 end\n  local news",
        "if r.state ~= 'started' then return 0 end\n  local news",
    ),
    Mutant(
        "following",
        "if r.state ~= 'started' or r.task ~= a.task then return nil end\n  -- Somebody",
        "if r.state ~= 'started' then return nil end\n  -- Somebody",
    ),
    Mutant("following", "and now < int(r.follow_until) then return nil end", "and false then return nil end"),
    Mutant(
        "starting",
        "  if r.task then return r.task == a.task and 1 or 0 end\n  if not (TRANSITIONS",
        "  if not (TRANSITIONS",
    ),
    Mutant(
        "starting",
        "if not current_lease() or (assigned and assigned ~= id) then return 0 end",
        "if not current_lease() then return 0 end",
    ),
    Mutant(
        "starting",
        "if not current_lease() or (assigned and assigned ~= id) then return 0 end",
        "if assigned and assigned ~= id then return 0 end",
    ),
    Mutant("starting", "if not d.holder or d.holder == id then", "if true then"),
    Mutant("starting", "  remember(id, r)\n", ""),
    Mutant("starting", "  r = create(id, a)", "  return 0"),
    Mutant("starting", "if r.state == 'retrying' then return 'retrying' end", ""),
    Mutant("starting", "if now + a.delay > int(r.retry_until) and", "if now + a.delay >= int(r.retry_until) and"),
    Mutant("starting", "and r.state == 'starting' then", "then"),
    Mutant("starting", "not_before = str(now + a.delay), worker_losses = 0}", "not_before = str(now + a.delay)}"),
    Mutant("starting", "owner = '', worker_losses = 0}", "owner = ''}"),
    Mutant(
        "starting",
        "{lease = '0'})\n  due_at(a.id, r, now + a.delay)\n  release_suspect(a.id)\n  return 1",
        "{lease = '0'})\n  return 1",
    ),
    Mutant("starting", "if r.state == 'reconciling' then return 1 end", ""),
    Mutant(
        "starting", "{lease = '0'})\n  move(a.id, r, 'reconciling'", "{lease = d.lease})\n  move(a.id, r, 'reconciling'"
    ),
    Mutant("upkeep", "return known[2] == a.call and 1 or 0", "return 0"),
    Mutant("upkeep", "return known[2] == a.call and 1 or 0", "return 1"),
    Mutant("upkeep", "if redis.call('EXISTS', request_key(a.id)) == 1 then return 0 end", ""),
    Mutant("following", "if r.state ~= 'follow_timed_out' then return 0 end", ""),
    Mutant("following", "if not d.holder then", "if true then"),
    # What is due, and for how long things are kept.
    Mutant("lib", "  redis.call('ZREM', DUE, id)\n", ""),
    Mutant("lib", "'PEXPIRE', key, str(ms))", "'EXISTS', key)"),
    Mutant("lib", "keep(request_key(id), math.max(at - now, 0) + cfg.unfinished_ttl)", ""),
    Mutant("lease", "math.max(int(d.window) - now, 0) + cfg.unfinished_ttl", "cfg.unfinished_ttl"),
    Mutant("lib", "  keep(request_key(id), cfg.request_ttl)\n", ""),
    Mutant(
        "duplicates", "redis.call('SET', seen_key(r), id, 'PX', cfg.seen_ttl)", "redis.call('SET', seen_key(r), id)"
    ),
    Mutant(
        "duplicates", "redis.call('SET', event_key(r), id, 'PX', cfg.seen_ttl)", "redis.call('SET', event_key(r), id)"
    ),
    Mutant("lib", "'MAXLEN', '~', cfg.stream_maxlen, ", ""),
    Mutant("starting", "redis.call('SET', key, id, 'PX', cfg.request_ttl)", "redis.call('SET', key, id)"),
    Mutant("follow_ups", "  keep(follow_ups_key(r), at - now + cfg.unfinished_ttl)\n", ""),
    Mutant("follow_ups", "keep(names_key(r), at - now + cfg.unfinished_ttl)", "local none = 1"),
    Mutant("upkeep", "redis.call('ZADD', DUE, str(now + a.pause), id)", ""),
    Mutant("upkeep", "redis.call('ZREM', DUE, id)", ""),
    Mutant("upkeep", "'LIMIT', 0, a.limit", "'LIMIT', 0, -1"),
    Mutant("following", "if f[1] == 'started' then", "if f[1] then"),
    Mutant("following", "now >= int(f[8])", "now > int(f[8])"),
)
