-- What was handled before: files, source events, and follow-ups that a newer one replaces; and the duplicates of a
-- request that comes to nothing, of which one is taken up.

-- The file and the source event of a request that starts or waits are not announced again.
local function remember(id, r)
  if r.fp then redis.call('SET', seen_key(r), id, 'PX', cfg.seen_ttl) end
  if r.event_id then redis.call('SET', event_key(r), id, 'PX', cfg.seen_ttl) end
end

-- The file and the source event of a request that led to nothing may be announced again.
local function forget(id, r)
  if r.fp and redis.call('GET', seen_key(r)) == id then redis.call('DEL', seen_key(r)) end
  if r.event_id and redis.call('GET', event_key(r)) == id then redis.call('DEL', event_key(r)) end
end

-- A file that was replaced by one of the same size and time has the same fingerprint; only its content tells.
local function has_other_content(r, other)
  local mine = r.h
  local theirs = mine and fields_of(request_key(other), 'h')[1]
  return theirs and theirs ~= mine
end

local MAX_DUPLICATES = 10

-- The older duplicates are forgotten: each of the newer ones is tried before them.
local function keep_newest(key)
  local older = redis.call('ZCARD', key) - MAX_DUPLICATES
  if older > 0 then redis.call('ZPOPMIN', key, older) end
  keep(key, cfg.request_ttl)
end

-- What one request would take up belongs to another from now on.
local function pass_duplicates(from, to)
  local found = redis.call('ZRANGE', duplicates_key(from), 0, -1, 'WITHSCORES')
  if #found == 0 then return end
  for i = 1, #found, 2 do redis.call('ZADD', duplicates_key(to), found[i + 1], found[i]) end
  redis.call('DEL', duplicates_key(from))
  keep_newest(duplicates_key(to))
end

-- Notes a duplicate, and its own, with the request that is in its way; false when that has started: then it is final.
local function note_duplicate(id, r, other)
  local state = fields_of(request_key(other), 'state')[1]
  if not (OPEN[state] or state == 'start_unknown') then return false end
  redis.call('ZADD', duplicates_key(other), turn_of({at = r.at, l = r.l}), id)
  keep_newest(duplicates_key(other))
  pass_duplicates(id, other)
  return true
end

-- The only end as a duplicate. A file or an event that it has announced is free: the other request has it, or none.
local function end_duplicate(id, r, more)
  leave_follow_ups(id, r)
  forget(id, r)
  local stays = more.held_by and note_duplicate(id, r, more.held_by)
  if more.held_by then set(request_key(id), r, {held_by = more.held_by}) end
  if stays then more.final = false end
  move(id, r, 'duplicate', more)
  finish(id, r, stays)
end

-- A request came to nothing: its newest duplicate takes its place, is decided anew, and has the other ones.
local function take_up_duplicate(id)
  for _, next_one in ipairs(redis.call('ZRANGE', duplicates_key(id), 0, -1, 'REV')) do
    redis.call('ZREM', duplicates_key(id), next_one)
    local o = record(request_key(next_one))
    if o.state == 'duplicate' then
      pass_duplicates(id, next_one)
      drop(request_key(next_one), o, {'held_by', 'retry_until'})
      move(next_one, o, 'accepted', {instead_of = id})
      return waits_until(next_one, o, now)
    end
  end
end

-- The CustomerKey that a request asks for is that of another definition by now: the request lets this one go, with all
-- that was noted under it, and is decided anew when the other one was read.
local function resolve_anew(id, r)
  leave_follow_ups(id, r)
  forget(id, r)
  release(id, r)
  set(request_key(id), r, {key = r.object or r.asked or r.key, postponed = '1'})
  drop(request_key(id), r, {'definition', 'early', 'home', 'asked'})
end

-- Ends a request of which nothing was started. An earlier attempt that was repeated without proof may have been: then
-- the end says so, and the window counts as used.
local function end_unstarted(id, r, state, extra)
  if r.doubted then
    state = 'start_unknown'
    extra.window_opens = begin_window(id, r, record(definition_key(r)), 0)
  else
    forget(id, r)
  end
  move(id, r, state, extra)
  finish(id, r)
  release(id, r)
  if state ~= 'start_unknown' then take_up_duplicate(id) end
end

-- Ends such a request, unless its last attempt was answered without proof: then its run is looked for first. `retry`
-- ends it when no run has appeared.
local function end_after_look(id, r, state, extra)
  if not r.unlooked then return end_unstarted(id, r, state, extra) end
  local cause = not extra.code and r.error and cjson.decode(r.error) or extra
  local at, code = str(now + cfg.results_delay), cause.code or state
  set(request_key(id), r, {ending = cjson.encode({state = state, extra = extra}), denied = code, sent = '0', owner = '',
    not_before = at, reconcile_until = str(now + 2 * cfg.results_delay), first_look = '1'})
  local d = record(definition_key(r))
  set(definition_key(r), d, {holder = id, lease = '0'})
  keep_definition(r, d)
  move(id, r, 'reconciling', {code = code, text = cause.text or 'its time is over, and it may have been started'})
  due_at(id, r, int(at))
  release_suspect(id)
end

-- Ends of which nothing is imported: who repeats one is repeated by it in nothing.
local IMPORTS_NOTHING = {cancelled = true, import_failed = true, rejected = true, gave_up = true, expired = true,
  not_started = true, duplicate = true}

-- Whether a request asks again for what another one was about, or for one that came to nothing in between.
local function repeats(r, other)
  return r.replays and (other == r.replays or IMPORTS_NOTHING[fields_of(request_key(other), 'state')[1]])
end

-- Whether another request imports what a replay asks for, or has done so: it came after what is replayed.
local function imports_for(other, before)
  local f = fields_of(request_key(other), 'state', 'at', 'l')
  return f[1] and not IMPORTS_NOTHING[f[1]] and came_at(f[2], f[3]) > came_at(before[1], before[2])
end

-- The request that makes a replay needless: of those that run, hold the window or wait for their turn.
local function imported_instead(r, d)
  local before = fields_of(request_key(r.replays), 'at', 'l')
  local last = redis.call('ZRANGE', follow_ups_key(r), -1, -1)[1]
  for _, other in ipairs({d.holder or '', int(d.window) > now and d.window_by or '', first_follow_up(r) or '', last or ''}) do
    if before[1] and imports_for(other, before) then return other end
  end
end

-- Why a request is a duplicate, and of which request; nil when it is none. A file that is known by its name alone may
-- have other content each time: with a source event of its own it is another arrival.
local function seen_before(id, r, d)
  local event = r.event_id and redis.call('GET', event_key(r))
  if event and event ~= id then return 'event', event end
  local file = r.fp and not r.force and redis.call('GET', seen_key(r))
  local same = r.exact or not r.event_id and (d.holder or int(d.window) > now)
  if file and file ~= id and not repeats(r, file) and same and not has_other_content(r, file) then return 'file', file end
end

-- Newest wins among follow-ups that announce the same name (or all, with coalesce = latest).
-- A forced request is what a person asked for: it supersedes none and none supersedes it. A replay without a file asks
-- for what is older than the files that wait.
local function same_name_follow_ups(r, coalesce)
  if r.force or coalesce == 'each' or (r.replays and not r.name) then return {} end
  if coalesce == 'latest' then return redis.call('ZRANGE', follow_ups_key(r), 0, -1) end
  return {r.name and redis.call('HGET', names_key(r), r.name) or nil}
end

local function supersede(other, id)
  local o = record(request_key(other))
  end_duplicate(other, o, {why = 'superseded', superseded_by = id, held_by = id})
end

-- Ends the older follow-ups; gives the newer one when there is one.
local function supersede_older(id, r, coalesce)
  for _, other in ipairs(same_name_follow_ups(r, coalesce)) do
    local fields = fields_of(request_key(other), 'state', 'at', 'force', 'l')
    if other ~= id and fields[1] == 'deferred' and not fields[3] then
      local at, mine = came_at(fields[2], fields[4]), came_at(r.at, r.l)
      if at > mine then return other end
      supersede(other, id)
    end
  end
end
