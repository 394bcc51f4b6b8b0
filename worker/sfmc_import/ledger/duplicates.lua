-- What was handled before: files, source events, and follow-ups that a newer one replaces.

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
  local mine = r.file and present(cjson.decode(r.file).content_hash)
  local file = mine and redis.call('HGET', request_key(other), 'file')
  local theirs = file and present(cjson.decode(file).content_hash)
  return theirs and theirs ~= mine
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
end

-- Why a request is a duplicate, and of which request; nil when it is none.
local function seen_before(id, r, d)
  local event = r.event_id and redis.call('GET', event_key(r))
  if event and event ~= id then return 'event', event end
  local file = r.fp and not r.force and redis.call('GET', seen_key(r))
  local blocked = d.holder or int(d.window) > now
  if file and file ~= id and (r.exact or blocked) and not has_other_content(r, file) then return 'file', file end
end

-- Newest wins among follow-ups that announce the same name (or all, with coalesce = latest).
-- A forced request is what a person asked for: it supersedes none and none supersedes it.
local function same_name_follow_ups(r, coalesce)
  if r.force or coalesce == 'each' then return {} end
  if coalesce == 'latest' then return redis.call('ZRANGE', follow_ups_key(r), 0, -1) end
  return {r.name and redis.call('HGET', names_key(r), r.name) or nil}
end

local function supersede(other, id)
  local o = record(request_key(other))
  leave_follow_ups(other, o)
  forget(other, o)
  set(request_key(other), o, {held_by = id})
  move(other, o, 'duplicate', {why = 'superseded', superseded_by = id, held_by = id})
  finish(other, o)
end

-- Ends the older follow-ups; gives the newer one when there is one.
local function supersede_older(id, r, coalesce)
  for _, other in ipairs(same_name_follow_ups(r, coalesce)) do
    local fields = redis.call('HMGET', request_key(other), 'state', 'at', 'force')
    if other ~= id and fields[1] == 'deferred' and not fields[3] then
      local at = int(fields[2])
      if at > int(r.at) or (at == int(r.at) and other > id) then return other end
      supersede(other, id)
    end
  end
end
