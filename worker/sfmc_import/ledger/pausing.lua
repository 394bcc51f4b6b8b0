-- Pauses: of everything, of a business unit, of a definition. Starts wait, runs that are under way are followed on.

local function scopes_of(r)
  local key = 'key:' .. r.mid .. ':'
  return {'all', 'mid:' .. r.mid, key .. r.key, present(a.key) and key .. a.key or nil}
end

local function lasts(found)
  local pause = found and cjson.decode(found)
  return pause and (not present(pause['until']) or pause['until'] > now) and pause
end

-- Which key the definition had first that an operator paused by a key that it has, or had: the pause keeps it once it is
-- known, for that is forgotten of a key that is not used any more.
local function home_of_pause(scope, mid, pause)
  if pause.home then return pause.home end
  local key = string.sub(scope, #mid + 6)
  local home = redis.call('GET', renamed_key(mid, folded(key)))
  if not home then return key end
  pause.home = home
  redis.call('HSET', pauses_key(), scope, cjson.encode(pause))
  return home
end

-- What is paused. There are few pauses; HGETALL, as the Redis user of a worker has no HKEYS.
local function paused_scopes()
  local scopes, all = {}, redis.call('HGETALL', pauses_key())
  for i = 1, #all, 2 do scopes[#scopes + 1] = all[i] end
  return scopes
end

-- A pause of the definition of a request by another key than the one that it has now, or had first.
local function pause_by_other_key(r)
  local begin, home = 'key:' .. r.mid .. ':', folded(r.home or r.key)
  for _, scope in ipairs(paused_scopes()) do
    local pause = string.sub(scope, 1, #begin) == begin and lasts(redis.call('HGET', pauses_key(), scope))
    if pause and folded(home_of_pause(scope, r.mid, pause)) == home then return pause end
  end
end

-- The pause that holds a request now, as written by the operator; one that is over is none.
local function pause_of(r)
  local found = redis.call('HMGET', pauses_key(), unpack(scopes_of(r)))
  for i = 1, #found do
    local pause = lasts(found[i])
    if pause then return pause end
  end
  return pause_by_other_key(r)
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
    if fields_of(request_key(found[i]), 'wait')[1] == 'paused' then redis.call('ZADD', DUE, 'XX', str(now), found[i]) end
  end
  return #found / 2
end

-- The pause of this scope, however its CustomerKey was spelled.
local function spelled_as_paused(scope)
  if redis.call('HEXISTS', pauses_key(), scope) == 1 then return scope end
  for _, other in ipairs(paused_scopes()) do
    if folded(other) == folded(scope) then return other end
  end
  return scope
end

-- Lifts a pause: answers 1, 0 when there was none, or 3 when it has changed.
function steps.lift_pause()
  a.scope = spelled_as_paused(a.scope)
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
