-- Limits of imports that run at once, of the account and of groups of definitions.

-- What stands in a full group and has no import any more, for its record is gone or was changed: makes room.
local function remove_stale(group)
  for _, other in ipairs(redis.call('ZRANGE', places_key(group), 0, -1)) do
    local f = fields_of(request_key(other), 'state', 'places')
    if not (HAS_PLACE[f[1]] and f[2]) then redis.call('ZREM', places_key(group), other) end
  end
end

local function is_full(id, group, most)
  local key = places_key(group)
  if redis.call('ZSCORE', key, id) or redis.call('ZCARD', key) < most then return false end
  remove_stale(group)
  return redis.call('ZCARD', key) >= most
end

-- The first of the groups of a request that has no room for it.
local function full_group(id, limits)
  for _, limit in ipairs(limits or {}) do
    if is_full(id, limit[1], limit[2]) then return limit[1], limit[2] end
  end
end

local function take_places(id, r, limits)
  local groups = {}
  for _, limit in ipairs(limits or {}) do
    redis.call('ZADD', places_key(limit[1]), str(now), id)
    keep(places_key(limit[1]), cfg.unfinished_ttl)
    groups[#groups + 1] = limit[1]
  end
  if #groups > 0 then set(request_key(id), r, {places = table.concat(groups, ' ')}) end
end

-- The end of a run wakes the request; the time is for one that was not noticed. If it was woken for another group that
-- has room, the next one that waits for that is.
local function wait_for_place(id, r, limits, group, most)
  redis.call('ZADD', place_waiters_key(group), str(int(r.at) - (r.force and 1e13 or 0)), id)
  keep(place_waiters_key(group), cfg.recheck + cfg.unfinished_ttl)
  local of = group == '*' and 'the account' or 'the group ' .. group
  set(request_key(id), r, {error = error_of('running_limit', 'as many imports of ' .. of .. ' run as may: ' .. most)})
  wait_for(id, r, 'rate_limited')
  waits_until(id, r, now + cfg.recheck)
  for _, limit in ipairs(limits) do
    if limit[1] ~= group and redis.call('ZCARD', places_key(limit[1])) < limit[2] then wake_for_place(limit[1]) end
  end
end
