-- Limits of imports that run at once, of the account and of groups of definitions.

-- What stands in a full group and has no import any more, for its record is gone or was changed, or has not come to
-- take its place: makes room.
local function remove_stale(group)
  local found = redis.call('ZRANGE', places_key(group), 0, -1, 'WITHSCORES')
  for i = 1, #found, 2 do
    local f = fields_of(request_key(found[i]), 'state', 'places', 'turn')
    local at = int(found[i + 1])
    -- It was noted before the clock of Redis went back.
    if at > now then redis.call('ZADD', places_key(group), 'XX', str(now), found[i]) end
    local is_awaited = f[3] == group and at > now - KEPT
    if not (HAS_PLACE[f[1]] and f[2] or is_awaited) then redis.call('ZREM', places_key(group), found[i]) end
  end
end

-- Answers whether there is a place for the request. One that is kept for it counts no more: it takes one now, or passes
-- it on.
local function look_for_place(id, r, group, most)
  local key = places_key(group)
  if r.turn == group then
    drop(request_key(id), r, {'turn'})
    redis.call('ZREM', key, id)
  end
  if redis.call('ZSCORE', key, id) then return true end
  local room = most - redis.call('ZCARD', key)
  if room <= 0 then
    remove_stale(group)
    room = most - redis.call('ZCARD', key)
  end
  if room <= 0 then return false end
  -- One place is for the request that has looked: what is handed on must not be handed to itself. Nothing else wakes
  -- those that wait for the others, of lost records or of a limit that was raised.
  if r.waits_place == group then leave_line(id, r) end
  for _ = 2, room do
    if not hand_on_place(group) then break end
  end
  return true
end

local function is_limited(group, limits)
  for _, limit in ipairs(limits or {}) do
    if limit[1] == group then return true end
  end
end

-- Whoever waits for a place of a group without a limit waits in vain: wakes some, who wake the next ones.
local function open_line(group, limits)
  if is_limited(group, limits) then return end
  local found = redis.call('ZPOPMIN', place_waiters_key(group), 100)
  for i = 1, #found, 2 do redis.call('ZADD', DUE, 'XX', str(now), found[i]) end
end

-- The first of the groups of a request that has no room for it.
local function full_group(id, r, limits)
  if r.waits_place then open_line(r.waits_place, limits) end
  for _, limit in ipairs(limits or {}) do
    if not look_for_place(id, r, limit[1], limit[2]) then return limit[1], limit[2] end
  end
end

-- What it may have started before keeps its place in the groups of then.
local function take_places(id, r, limits)
  local groups = r.places or ''
  for _, limit in ipairs(limits or {}) do
    redis.call('ZADD', places_key(limit[1]), str(now), id)
    keep(places_key(limit[1]), cfg.unfinished_ttl)
    if not string.find(' ' .. groups .. ' ', ' ' .. limit[1] .. ' ', 1, true) then
      groups = groups == '' and limit[1] or groups .. ' ' .. limit[1]
    end
  end
  if groups ~= (r.places or '') then set(request_key(id), r, {places = groups}) end
end

-- The definition is of other groups now: gives back the places of those that it left. The others are taken anew.
local function leave_other_places(id, r, limits)
  for group in string.gmatch(r.places or '', '[^ ]+') do
    if not is_limited(group, limits) then leave_place(id, group) end
  end
  drop(request_key(id), r, {'places'})
end

local function no_room(group, most)
  local of = group == '*' and 'the account' or 'the group ' .. group
  return 'as many imports of ' .. of .. ' run as may: ' .. most
end

-- The end of a run wakes the request; the time is for one that was not noticed. If it was woken for another group that
-- has room, the next one that waits for that is.
local function wait_for_place(id, r, limits, group, most)
  redis.call('ZADD', place_waiters_key(group), turn_of(r), id)
  keep(place_waiters_key(group), cfg.recheck + cfg.unfinished_ttl)
  local values = {waits_place = group, error = error_of(r, 'running_limit', no_room(group, most))}
  if r.waits_place ~= group then leave_line(id, r) end
  set(request_key(id), r, values)
  wait_for(id, r, 'rate_limited')
  waits_until(id, r, now + (let_first_look(group) == id and KEPT or cfg.recheck))
  leave_turn(id, r)
  for _, limit in ipairs(limits) do
    if limit[1] ~= group and redis.call('ZCARD', places_key(limit[1])) < limit[2] then hand_on_place(limit[1]) end
  end
end
