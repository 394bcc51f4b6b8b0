-- Pauses: of everything, of a business unit, of a definition. Starts wait, runs that are under way are followed on.

local function scopes_of(r)
  local key = 'key:' .. r.mid .. ':'
  return {'all', 'mid:' .. r.mid, key .. r.key, key .. (r.home or r.key)}
end

-- The pause that holds a request now, as written by the operator; one that is over is none.
local function pause_of(r)
  local found = redis.call('HMGET', pauses_key(), unpack(scopes_of(r)))
  for i = 1, 4 do
    local pause = found[i] and cjson.decode(found[i])
    if pause and (not present(pause['until']) or pause['until'] > now) then return pause end
  end
end

-- A paused request is woken when the pause is lifted; the time is for one that ends by itself.
local function wait_paused(id, r, pause)
  local at = present(pause['until']) or now + cfg.unfinished_ttl
  redis.call('ZADD', paused_key(), r.at, id)
  keep(paused_key(), at - now + cfg.unfinished_ttl)
  wait_for(id, r, 'paused')
  waits_until(id, r, at)
end

local function publish_pause(name, pause)
  local mid, key = string.match(a.scope, '^key:(%d+):(.*)$')
  mid = mid or string.match(a.scope, '^mid:(%d+)$') or ''
  pause.scope = a.scope
  publish('operator/' .. a.call, 'operator.' .. name, mid, key or a.scope, cjson.encode(pause))
end

-- Whether this call came before: its reply was lost.
local function is_repeated() return not redis.call('SET', report_key(a.call, 'operator'), '1', 'NX', 'PX', cfg.seen_ttl) end

-- Whether the pause of the scope is not the one that the operator looked at.
local function has_changed()
  if not present(a.expects) or redis.call('EXISTS', report_key(a.call, 'operator')) == 1 then return false end
  return (redis.call('HGET', pauses_key(), a.scope) or 'none') ~= a.expects
end

-- Pauses a scope; answers 3 when it has changed, and 2 when the words and the end of an earlier pause were replaced: what waits is decided anew.
function steps.pause()
  if has_changed() then return 3 end
  if is_repeated() then return 1 end
  local pause = {operator = a.operator, reason = a.reason, since = now, ['until'] = present(a['until'])}
  local is_new = redis.call('HSET', pauses_key(), a.scope, cjson.encode(pause))
  publish_pause('paused', pause)
  return is_new == 1 and 1 or 2
end

-- Wakes up to a.limit requests that wait for a pause, oldest first; one that another pause holds waits on.
local function wake_paused()
  local found = redis.call('ZPOPMIN', paused_key(), a.limit)
  for i = 1, #found, 2 do
    if redis.call('HGET', request_key(found[i]), 'wait') == 'paused' then redis.call('ZADD', DUE, 'XX', str(now), found[i]) end
  end
  return #found / 2
end

-- Lifts a pause: answers 1, 0 when there was none, or 3 when it has changed.
function steps.lift_pause()
  if has_changed() then return 3 end
  if is_repeated() then return 1 end
  local found = redis.call('HGET', pauses_key(), a.scope)
  if not found then return 0 end
  redis.call('HDEL', pauses_key(), a.scope)
  local pause = cjson.decode(found)
  publish_pause('resumed', {operator = a.operator, reason = present(a.reason), paused_by = pause.operator, since = pause.since})
  return 1
end

-- After a pause was lifted: wakes some of the requests that wait; answers how many were taken from the list.
function steps.wake_paused() return wake_paused() end
