-- The follow-ups of a definition: requests that wait until its run and its window are over.

-- The first follow-up; one whose record vanished is removed, so that it does not block the others.
local function first_follow_up(r)
  while true do
    local first = redis.call('ZRANGE', follow_ups_key(r), 0, 0)[1]
    if not first or fields_of(request_key(first), 'state')[1] == 'deferred' then return first end
    redis.call('ZREM', follow_ups_key(r), first)
  end
end

-- A forced follow-up does not wait for the window.
local function wake_first_follow_up(r, d)
  local first = first_follow_up(r)
  if not first then return end
  local f = fields_of(request_key(first), 'force', 'expires', 'turn')
  -- One for which a place is kept comes at once, to take it or to pass it on.
  local at = (f[1] or present(f[3])) and now or math.max(now, int(d.window))
  schedule(DUE, first, f[2] and math.min(at, int(f[2])) or at)
end

-- Forced follow-ups go first, then in order of arrival.
local function join_follow_ups(id, r)
  redis.call('ZADD', follow_ups_key(r), turn_of(r), id)
end

local function leave_follow_ups(id, r)
  redis.call('ZREM', follow_ups_key(r), id)
  if r.name and redis.call('HGET', names_key(r), r.name) == id then redis.call('HDEL', names_key(r), r.name) end
end

-- Says what a follow-up waits for: the run of another request, the window, or its turn.
local function wait_as_follow_up(id, r, d, first)
  if d.holder then return wait_for(id, r, 'single_flight', d.holder) end
  if int(d.window) > now and not r.force then return wait_for(id, r, 'window', d.window_by) end
  if first ~= id then return wait_for(id, r, 'single_flight', first) end
  wait_for(id, r, 'queued')
end

-- So many follow-ups of a definition are looked at at once; the others look by themselves.
local SHOWN = 100

-- The run before them has ended, or the window is another one: what they wait for is not what it was.
local function renew_reasons(r, d)
  local first = first_follow_up(r)
  for _, id in ipairs(redis.call('ZRANGE', follow_ups_key(r), 0, SHOWN - 1)) do
    local f = record(request_key(id))
    if f.state == 'deferred' then wait_as_follow_up(id, f, d, first) end
  end
end

-- Sets the next time of a follow-up: when the window is over, or later when others come first.
local function wait_for_turn(id, r, d)
  local at, first = r.force and now or math.max(int(d.window), now), first_follow_up(r)
  if d.holder or first ~= id then at = math.max(at, now + cfg.recheck) end
  wait_as_follow_up(id, r, d, first)
  waits_until(id, r, at)
  keep(follow_ups_key(r), at - now + cfg.unfinished_ttl)
  if redis.call('EXISTS', names_key(r)) == 1 then keep(names_key(r), at - now + cfg.unfinished_ttl) end
end
