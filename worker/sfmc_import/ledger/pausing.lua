-- Pauses: of everything, of a business unit, of a definition. Starts wait, runs that are under way are followed on.

local function lasts(found)
  local pause = found and cjson.decode(found)
  return pause and not pause.over and (not present(pause['until']) or pause['until'] > now) and pause
end

local OVER = '{"over":true,'

-- The text of a pause as it was before it was seen to be over.
local function as_set(text)
  return string.sub(text, 1, #OVER) == OVER and '{' .. string.sub(text, #OVER + 1) or text
end

-- Whoever sees that a pause is over writes it down: it does not hold again when the clock of Redis goes back. One that
-- has been over for long is forgotten: each claim and each sweep reads all of them.
local function with_its_end(scope, text)
  local pause = cjson.decode(text)
  if pause.over and pause['until'] + cfg.seen_ttl <= now then
    redis.call('HDEL', pauses_key(), scope)
    return
  end
  if pause.over or lasts(text) then return text end
  local over = OVER .. string.sub(text, 2)
  redis.call('HSET', pauses_key(), scope, over)
  return over
end

-- All pauses, as they are written. There are few; HGETALL, as the Redis user of a worker has no HKEYS.
local function written_pauses()
  local written, all = {}, redis.call('HGETALL', pauses_key())
  for i = 1, #all, 2 do written[all[i]] = with_its_end(all[i], all[i + 1]) end
  return written
end

-- The first key of the definition that a name means: a key that it has, or had, or its ObjectID.
local function home_of_name(mid, name)
  local key = folded(name)
  return redis.call('GET', renamed_key(mid, key)) or redis.call('GET', home_key(mid, name))
    or redis.call('GET', home_key(mid, key))
end

local function has(list, name)
  for _, each in ipairs(list) do
    if folded(each) == folded(name) then return true end
  end
end

-- The name by which a scope pauses a definition of this business unit.
local function name_in(scope, mid)
  local begin = 'key:' .. mid .. ':'
  return string.sub(scope, 1, #begin) == begin and string.sub(scope, #begin + 1)
end

-- Whether a pause by a name is one of the definition that had the key `home` first and has these `names`. Which
-- definitions it was meant for is noted in it (`homes`), for keys change hands; `free` are those that were resumed.
local function is_paused(mid, name, pause, home, names)
  if has(pause.free or {}, home) then return false end
  if has(names, name) then return true end
  return has(pause.homes or {home_of_name(mid, name) or name}, home)
end

-- A pause that was set by a name which was not known: from now on it is one of this definition.
local function note_home(scope, pause, r)
  if pause.homes or r.early then return end
  pause.homes = {r.home or r.key}
  redis.call('HSET', pauses_key(), scope, cjson.encode(pause))
end

-- The pause that holds a request now, as written by the operator; one that is over is none.
local function pause_of(r)
  local written = written_pauses()
  local pause = lasts(written.all) or lasts(written['mid:' .. r.mid])
  if pause then return pause end
  for scope, text in pairs(written) do
    local name = name_in(scope, r.mid)
    pause = name and lasts(text)
    if pause and is_paused(r.mid, name, pause, r.home or r.key, {r.key, present(a.key)}) then
      note_home(scope, pause, r)
      return pause
    end
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

-- All that wait for a pause are to be looked at: whoever has lifted one wakes them, and else the sweep.
local function let_paused_look()
  if redis.call('EXISTS', paused_key()) == 0 then return end
  if redis.call('EXISTS', unpaused_key()) == 0 then return redis.call('RENAME', paused_key(), unpaused_key()) end
  redis.call('ZUNIONSTORE', unpaused_key(), 2, unpaused_key(), paused_key(), 'AGGREGATE', 'MIN')
  redis.call('DEL', paused_key())
  keep(unpaused_key(), cfg.unfinished_ttl)
end

-- Wakes up to a.limit of them, oldest first; one that another pause holds waits on.
local function wake_paused()
  local found = redis.call('ZPOPMIN', unpaused_key(), a.limit)
  for i = 1, #found, 2 do
    if fields_of(request_key(found[i]), 'wait')[1] == 'paused' then redis.call('ZADD', DUE, 'XX', str(now), found[i]) end
  end
  return #found / 2
end

-- The definition that a scope names: its business unit, the name, its first key, and whether the ledger has met it so.
local function definition_named(scope)
  local mid, name = string.match(scope, '^key:(%d+):(.*)$')
  if not mid then return end
  local home = home_of_name(mid, name) or redis.call('HGET', definitions_key(), mid .. ':' .. a.folded_key)
  return {mid = mid, name = name, home = home or name, is_met = home and true}
end

-- The pauses of what a scope names, of a definition those by any of its names; `is_same` where the name is the same.
local function pauses_named(scope, meant)
  local found, names = {}, meant and {meant.name}
  local now_named = meant and fields_of(definition_key({mid = meant.mid, key = meant.home}), 'named')[1]
  if now_named then names[2] = now_named end
  for other, text in pairs(written_pauses()) do
    local pause, name = cjson.decode(text), meant and name_in(other, meant.mid)
    local is_same = other == scope or (name and folded(name) == folded(meant.name))
    if is_same or (name and is_paused(meant.mid, name, pause, meant.home, names)) then
      found[#found + 1] = {scope = other, text = text, pause = pause, is_same = is_same}
    end
  end
  return found
end

-- Whether the pause is not the one that the operator looked at.
local function has_changed(found)
  if not present(a.expects) or redis.call('EXISTS', report_key(a.call, 'operator')) == 1 then return false end
  for _, each in ipairs(found) do
    if as_set(each.text) == as_set(a.expects) then return false end
  end
  return a.expects ~= 'none' or #found > 0
end

-- The definitions that a pause is for, but for one.
local function other_homes(pause, home)
  local others = {}
  for _, each in ipairs(pause.homes or {}) do
    if folded(each) ~= folded(home) then others[#others + 1] = each end
  end
  return others
end

-- Ends a pause; one that was set by another name, and is for other definitions too, holds these on.
local function leave_pause(entry, meant)
  local others = meant and not entry.is_same and other_homes(entry.pause, meant.home) or {}
  if #others == 0 then return redis.call('HDEL', pauses_key(), entry.scope) end
  local pause = entry.pause
  pause.homes, pause.free = others, pause.free or {}
  pause.free[#pause.free + 1] = meant.home
  redis.call('HSET', pauses_key(), entry.scope, cjson.encode(pause))
end

-- Pauses what a scope names; answers 3 when its pause has changed, and 2 when the words and the end of an earlier one
-- were replaced, by whatever name that was set: what waits is decided anew.
function steps.pause()
  local meant = definition_named(a.scope)
  local found = pauses_named(a.scope, meant)
  if has_changed(found) then return 3 end
  if is_repeated() then return 1 end
  local pause = {operator = a.operator, reason = a.reason, since = now, ['until'] = present(a['until'])}
  if meant and meant.is_met then pause.homes = {meant.home} end
  for _, each in ipairs(found) do
    local others = meant and each.is_same and other_homes(each.pause, meant.home) or {}
    for _, home in ipairs(others) do
      pause.homes = pause.homes or {}
      pause.homes[#pause.homes + 1] = home
    end
    leave_pause(each, meant)
  end
  redis.call('HSET', pauses_key(), a.scope, cjson.encode(pause))
  pause.homes = nil
  publish_pause('paused', pause)
  if #found == 0 then return 1 end
  let_paused_look()
  return 2
end

-- When the last of these pauses ended by itself; nothing while one lasts.
local function ended_at(found)
  local last
  for _, each in ipairs(found) do
    if lasts(each.text) then return end
    last = math.max(last or 0, each.pause['until'])
  end
  return last
end

-- Lifts the pause of what a scope names, by whatever name it was set: answers 1, 0 when there was none, 3 when it has
-- changed, or as text when it had ended before: then nothing is done.
function steps.lift_pause()
  local meant = definition_named(a.scope)
  local found = pauses_named(a.scope, meant)
  if has_changed(found) then return 3 end
  local ended = ended_at(found)
  if ended then return str(ended) end
  if is_repeated() then return 1 end
  local lifted = found[1]
  for _, each in ipairs(found) do
    if each.is_same then lifted = each end
    leave_pause(each, meant)
  end
  let_paused_look()
  if not lifted then return 0 end
  a.scope = lifted.scope
  publish_pause('resumed', {operator = a.operator, reason = present(a.reason), paused_by = lifted.pause.operator, since = lifted.pause.since})
  return 1
end

-- A sweep wakes what still sleeps: who lifted a pause may have died, or Redis may have lost the pauses. It sees too
-- which of them are over.
local function wake_unpaused()
  if not next(written_pauses()) then let_paused_look() end
  if redis.call('EXISTS', unpaused_key()) == 1 then wake_paused() end
end

-- After a pause was lifted: wakes some of the requests that wait; answers how many were taken from the list.
function steps.wake_paused() return wake_paused() end
