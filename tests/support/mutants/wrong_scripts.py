"""The list of wrong changes; file, what stands there once, what stands there instead."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """One wrong change to one script."""

    file: str
    find: str
    replace: str


MUTANTS = (
    # Fences and leases.
    Mutant("prelude", "if d.holder ~= a.id or int(d.fence) ~= a.fence then", "if d.holder ~= a.id then"),
    Mutant("prelude", "if d.holder ~= a.id or int(d.fence) ~= a.fence then", "if int(d.fence) ~= a.fence then"),
    Mutant("prelude", "if d.holder ~= a.id or int(d.fence) ~= a.fence then", "if false then"),
    Mutant("prelude", "set(definition_key(r), d, {lease = str(now + ms)})", "set(definition_key(r), d, {lease = '0'})"),
    Mutant("take", "local fence = math.max(int(d.fence), int(r.fence)) + 1", "local fence = int(d.fence) + 1"),
    Mutant("take", "local fence = math.max(int(d.fence), int(r.fence)) + 1", "local fence = int(d.fence)"),
    Mutant("take", "if int(d.lease) <= now or d.holder ~= id then", "if int(d.lease) < now or d.holder ~= id then"),
    Mutant("take", "if int(d.lease) <= now or d.holder ~= id then", "if false then"),
    Mutant("take", "return r.owner == a.owner and int(d.fence) == int(r.fence)", "return true"),
    Mutant("take", "return r.owner == a.owner and int(d.fence) == int(r.fence)", "return false"),
    Mutant("take", "if r.sent == '1' then return doubt_of_the_dead() end", ""),
    Mutant(
        "take",
        "if int(r.lost) < cfg.max_lost then return go() end",
        "if int(r.lost) <= cfg.max_lost then return go() end",
    ),
    Mutant("take", "if int(r.lost) < cfg.max_lost then return go() end", "if true then return go() end"),
    Mutant("take", "if int(r.lost) >= cfg.max_lost then return give_up_looking() end", ""),
    Mutant(
        "take",
        "if leased or int(r.nb) > now then return answer('wait') end",
        "if leased then return answer('wait') end",
    ),
    Mutant(
        "take",
        "if leased or int(r.nb) > now then return answer('wait') end",
        "if int(r.nb) > now then return answer('wait') end",
    ),
    Mutant("take", "nb = str(now + cfg.results_delay)", "nb = str(now)"),
    Mutant("take", "late = now >= int(r.look_until)", "late = now > int(r.look_until)"),
    Mutant(
        "take", "if not held_by_other() then return ACTING[r.state]() end", "if true then return ACTING[r.state]() end"
    ),
    Mutant("take", "redis.call('EXISTS', request_key(d.holder)) == 0", "false"),
    Mutant("sending", "if not r or r.state ~= 'starting' then return -1 end", "if not r then return -1 end"),
    Mutant("sending", "local values = {sent = '1'}", "local values = {sent = '0'}"),
    Mutant("sending", "lease(a.id, r, d, cfg.lease)", ""),
    Mutant("not_sent", "{sent = '0'}", "{sent = '1'}"),
    # Lost writes.
    Mutant("pulse", "if found >= a.count - 1 then return 0 end", "if found > a.count - 1 then return 0 end"),
    Mutant("pulse", "if found >= a.count - 1 then return 0 end", "if true then return 0 end"),
    Mutant("pulse", "a.count, 'PX', cfg.pulse_ttl)", "a.count)"),
    Mutant("pulse", "keep(TAG .. 'loss', cfg.loss_ttl)", ""),
    Mutant("prelude", "if not number or number <= int(newest(mid)) then return end", "if not number then return end"),
    Mutant("prelude", "  keep(NEWEST, cfg.unfinished_ttl)\n", ""),
    Mutant("started", "note_newest(r.mid, a.task)", ""),
    Mutant("sending", "note_newest(r.mid, a.newest)", ""),
    Mutant("sending", "if a.above or r.above then", "if a.above then"),
    Mutant("take", "{newest = loss[2] or nil,", "{newest = newest(r.mid),"),
    # Windows.
    Mutant(
        "take", "local shut = int(d.window) > now and not r.force", "local shut = int(d.window) >= now and not r.force"
    ),
    Mutant("take", "local shut = int(d.window) > now and not r.force", "local shut = int(d.window) > now"),
    Mutant("take", "local shut = int(d.window) > now and not r.force", "local shut = false"),
    Mutant("prelude", "str(math.max(int(d.window), now + ms))", "str(now + ms)"),
    Mutant(
        "prelude",
        "if d.by ~= id and int(d.window) > now then values.before",
        "if int(d.window) > now then values.before",
    ),
    Mutant("ended", "set(definition_key(r), d, {window = d.before or '0', by = d.before_by or ''})", "local none = 1"),
    Mutant("ended", "{window = d.before or '0', by = d.before_by or ''}", "{window = d.before or '0'}"),
    Mutant("ended", "a.outcome == 'import_failed' and a.on_error == 'free'", "a.on_error == 'free'"),
    Mutant("ended", "a.outcome == 'import_failed' and a.on_error == 'free'", "a.outcome == 'import_failed'"),
    Mutant("unknown", "open_window(a.id, d, a.window, definition_key(r))", ""),
    # Duplicates and follow-ups.
    Mutant("take", "if file and file ~= id and (r.exact or closed) then", "if file and file ~= id then"),
    Mutant("take", "if file and file ~= id and (r.exact or closed) then", "if file and file ~= id and r.exact then"),
    Mutant("take", "if event and event ~= id then", "if false then"),
    Mutant("take", "local file = r.fp and not r.force and", "local file = r.fp and"),
    Mutant("take", "if policy.when_too_soon == 'drop' then", "if false then"),
    Mutant("take", "if at > int(r.at) or (at == int(r.at) and other > id) then", "if at < int(r.at) then"),
    Mutant("take", "if at > int(r.at) or (at == int(r.at) and other > id) then", "if at > int(r.at) then"),
    Mutant("take", "and not fields[3] then", "then"),
    Mutant("take", "(r.force and 1e13 or 0)", "0"),
    Mutant(
        "take", "local at = r.force and now or math.max(int(d.window), now)", "local at = math.max(int(d.window), now)"
    ),
    Mutant("take", "if d.holder or head(r) ~= id then at =", "if false then at ="),
    Mutant("take", "  if head(r) ~= id then\n", "  if false then\n"),
    Mutant("take", "  if not why then return go() end\n", "  if true then return go() end\n"),
    Mutant("take", "  forget(other, o)\n", ""),
    Mutant("prelude", "if not d.holder then wake_next(r, d) end\n  if next(d)", "if next(d)"),
    Mutant("prelude", "str(forced and now or math.max(now, int(d.window)))", "str(math.max(now, int(d.window)))"),
    Mutant(
        "prelude",
        "redis.call('HGET', request_key(first), 'state') == 'deferred' then return first end",
        "true then return first end",
    ),
    Mutant("prelude", "'e:' .. #r.key .. ':' ..", "'e:' .."),
    Mutant("reject", "forget(a.id, r)\n", ""),
    Mutant("retry", "  forget(a.id, r)\n", ""),
    Mutant("reject", "release(a.id, r)\n", ""),
    Mutant("ended", "release(a.id, r)\n", ""),
    Mutant("unknown", "release(a.id, r)\n", ""),
    # Events and states.
    Mutant("prelude", "  emit(id, r, name, extra)\nend\n\nlocal function keep", "end\n\nlocal function keep"),
    Mutant("prelude", "'HINCRBY', request_key(id), 'n', 1)", "'HINCRBY', request_key(id), 'n', 0)"),
    Mutant("progressed", "local news = present(a.status) and a.status ~= r.status", "local news = present(a.status)"),
    Mutant("progressed", "r.task ~= a.task", "false"),
    Mutant(
        "ended",
        "if r.state ~= 'started' or r.task ~= a.task then return 0 end",
        "if r.state ~= 'started' then return 0 end",
    ),
    Mutant("ended", "and now < int(r.follow_until) then return 0 end", "and false then return 0 end"),
    Mutant("started", "if r.task then return r.task == a.task and 1 or 0 end\nif not (LIFE", "if not (LIFE"),
    Mutant(
        "started",
        "if not granted() or (claimed and claimed ~= id) then return 0 end",
        "if not granted() then return 0 end",
    ),
    Mutant(
        "started",
        "if not granted() or (claimed and claimed ~= id) then return 0 end",
        "if claimed and claimed ~= id then return 0 end",
    ),
    Mutant("started", "if not d.holder or d.holder == id then", "if true then"),
    Mutant("started", "  remember(id, r)\n", ""),
    Mutant("started", "  r = create(id, a)", "  return 0"),
    Mutant("retry", "if r.state == 'retrying' then return 'retrying' end", ""),
    Mutant("retry", "if now + a.delay > int(r['until']) and", "if now + a.delay >= int(r['until']) and"),
    Mutant("retry", "and r.state == 'starting' then", "then"),
    Mutant("retry", "nb = str(now + a.delay), lost = 0}", "nb = str(now + a.delay)}"),
    Mutant("look_again", "owner = '', lost = 0}", "owner = ''}"),
    Mutant("look_again", "due_at(a.id, r, now + a.delay)", ""),
    Mutant("doubt", "if r.state == 'reconciling' then return 1 end", ""),
    Mutant("doubt", "{lease = '0'}", "{lease = d.lease}"),
    Mutant("accept", "return known[2] == a.call and 1 or 0", "return 0"),
    Mutant("accept", "return known[2] == a.call and 1 or 0", "return 1"),
    Mutant("refuse", "if redis.call('EXISTS', request_key(a.id)) == 1 then return 0 end", ""),
    Mutant("resume", "if r.state ~= 'follow_timed_out' then return 0 end", ""),
    Mutant("resume", "if not d.holder then", "if true then"),
    # What is due, and for how long things are kept.
    Mutant("prelude", "  redis.call('ZREM', DUE, id)\n", ""),
    Mutant("prelude", "'PEXPIRE', key, str(ms))", "'EXISTS', key)"),
    Mutant("prelude", "keep(request_key(id), math.max(at - now, 0) + cfg.unfinished_ttl)", ""),
    Mutant("prelude", "math.max(int(d.window) - now, 0) + cfg.unfinished_ttl", "cfg.unfinished_ttl"),
    Mutant("prelude", "  keep(request_key(id), cfg.request_ttl)\n", ""),
    Mutant("prelude", "redis.call('SET', seen_key(r), id, 'PX', cfg.seen_ttl)", "redis.call('SET', seen_key(r), id)"),
    Mutant("prelude", "redis.call('SET', event_key(r), id, 'PX', cfg.seen_ttl)", "redis.call('SET', event_key(r), id)"),
    Mutant("prelude", "'MAXLEN', '~', cfg.stream_maxlen, ", ""),
    Mutant("started", "id, 'PX', cfg.request_ttl)", "id)"),
    Mutant("take", "  keep(waiting_key(r), at - now + cfg.unfinished_ttl)\n", ""),
    Mutant("take", "keep(names_key(r), at - now + cfg.unfinished_ttl)", "local none = 1"),
    Mutant("due", "redis.call('ZADD', DUE, str(now + a.pause), id)", ""),
    Mutant("due", "redis.call('ZREM', DUE, id)", ""),
    Mutant("due", "'LIMIT', 0, a.limit", "'LIMIT', 0, -1"),
    Mutant("followed", "if f[1] == 'started' then", "if f[1] then"),
    Mutant("followed", "now >= int(f[8])", "now > int(f[8])"),
)
