-- Order between definitions: a start that waits until others have a completed run since a time.

local DAY = 86400000

-- Under which key a definition is found now. Others that it had lead to it as well, but not where one is enough for a
-- start: another definition may have them by now.
local function note_name(r, d, key)
  local name = folded(key)
  if name == folded(r.home or r.key) then
    if d.named then drop(definition_key(r), d, {'named'}) end
  elseif d.named ~= name then
    set(definition_key(r), d, {named = name})
    keep_definition(r, d)
  end
end

-- What has this key now, or had it first.
local function place_of(mid, key)
  local name = folded(key)
  local home = redis.call('GET', renamed_key(mid, name))
  local is_named_so = home and fields_of(definition_key({mid = mid, key = home}), 'named')[1] == name
  return {mid = mid, key = is_named_so and folded(home) or name}
end

-- When the clocks of the zone show this: as before their change, but for what they show only after it.
local function moment_of(wall, policy)
  local earlier, later = wall - policy.offset_before, wall - policy.offset_after
  return earlier >= policy.offset_changed and later >= policy.offset_changed and later or earlier
end

-- Since when a completed run counts: since the last time of day, in the zone of the account, or since the arrival.
local function counts_since(r, policy)
  if not present(policy.after_time) then return int(r.arrived or r.at) end
  local here = now + (now < policy.offset_changed and policy.offset_before or policy.offset_after)
  local wall = here - here % DAY + policy.after_time
  local since = moment_of(wall, policy)
  return since > now and moment_of(wall - DAY, policy) or since
end

-- The first definition that has no such run yet; nothing when the start need not wait. A key may have become that of
-- the own definition: none waits for itself.
local function missing_run(r, policy)
  local since, own = counts_since(r, policy), folded(r.home or r.key)
  for _, key in ipairs(policy.after or {}) do
    local place = place_of(r.mid, key)
    local completed = redis.call('GET', completed_key(place))
    if place.key ~= own and int(completed) < since then return key end
  end
end

-- A run of that definition wakes the request; the time is for one that was not noticed.
local function wait_after(id, r, key)
  local place = place_of(r.mid, key)
  redis.call('ZADD', waiters_key(place), r.at, id)
  keep(waiters_key(place), cfg.recheck + cfg.unfinished_ttl)
  wait_for(id, r, 'after', key)
  waits_until(id, r, now + cfg.recheck)
end

-- Wakes what waits for a run under this key, oldest first. More than this many come by their time; one that has ended
-- meanwhile does not count.
local function wake_waiters(mid, key)
  local woken = 0
  repeat
    local found = redis.call('ZPOPMIN', waiters_key({mid = mid, key = key}), 500)
    for i = 1, #found, 2 do woken = woken + redis.call('ZADD', DUE, 'XX', 'CH', str(now), found[i]) end
  until #found == 0 or woken >= 500
end

-- A run of a definition has completed: notes it, and wakes what waits for it. What waits under a newer key does so since
-- before the ledger knew whose key it is; `shown` is the one under which Marketing Cloud shows the run.
local function note_completed(r, d, shown)
  local home = folded(r.home or r.key)
  redis.call('SET', completed_key({mid = r.mid, key = home}), str(now), 'PX', cfg.unfinished_ttl)
  wake_waiters(r.mid, home)
  local asked, now_named = folded(r.key), shown and folded(shown) or home
  if asked ~= home then wake_waiters(r.mid, asked) end
  if now_named == home or now_named == asked then return end
  redis.call('SET', renamed_key(r.mid, now_named), r.home or r.key, 'PX', cfg.unfinished_ttl)
  note_name(r, d, now_named)
  wake_waiters(r.mid, now_named)
end
