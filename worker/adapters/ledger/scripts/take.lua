-- Decides what happens to a request now; gives the lease where somebody may act.
local id = a.id
local r = record(request_key(id))
if not r.state then r = create(id, a) end
local d = record(definition_key(r))
local policy = a.policy

local function answer(verdict, more)
  local reply = {verdict = verdict, state = r.state, mid = r.mid, customer_key = r.key}
  for field, value in pairs(more or {}) do reply[field] = value end
  return cjson.encode(reply)
end

local function blocker()
  local opens = int(d.window) > now and (int(d.window) - now) / 1000 or nil
  return {held_by = r.held_by or d.holder or d.by, opens_in = opens,
    window_opens = opens and iso(int(d.window)) or nil}
end

local function end_as_duplicate(why, held_by)
  local more = blocker()
  more.held_by = held_by or more.held_by
  more.why = why
  leave_queue(id, r)
  set(request_key(id), r, {held_by = more.held_by or ''})
  move(id, r, 'duplicate', more)
  finish(id, r)
  if redis.call('EXISTS', definition_key(r)) == 1 then keep_definition(r, d) end
  return answer('ended', more)
end

local function supersede(other)
  local o = record(request_key(other))
  leave_queue(other, o)
  forget(other, o)
  move(other, o, 'duplicate', {why = 'superseded', superseded_by = id, held_by = id})
  finish(other, o)
end

-- Newest wins among follow-ups that announce the same name (or all, with coalesce = latest).
local function coalesce()
  local others = {}
  if policy.coalesce == 'latest' then others = redis.call('ZRANGE', waiting_key(r), 0, -1)
  elseif policy.coalesce == 'same_name' and r.name then others = {redis.call('HGET', names_key(r), r.name) or nil} end
  for _, other in ipairs(others) do
    if other ~= id then
      local at = int(redis.call('HGET', request_key(other), 'at'))
      if at > int(r.at) or (at == int(r.at) and other > id) then return other end
      supersede(other)
    end
  end
end

local function remember()
  if r.fp then redis.call('SET', seen_key(r), id, 'PX', cfg.seen_ttl) end
  if r.event_id then redis.call('SET', event_key(r), id, 'PX', cfg.seen_ttl) end
end

local function wait_for_turn()
  local at = math.max(int(d.window), now)
  if d.holder or redis.call('ZRANGE', waiting_key(r), 0, 0)[1] ~= id then at = math.max(at, now + cfg.recheck) end
  due_at(id, r, at)
  keep(waiting_key(r), at - now + cfg.unfinished_ttl)
  if redis.call('EXISTS', names_key(r)) == 1 then keep(names_key(r), at - now + cfg.unfinished_ttl) end
  return answer('wait', blocker())
end

local function defer()
  local newer = coalesce()
  if newer then return end_as_duplicate('superseded', newer) end
  remember()
  redis.call('ZADD', waiting_key(r), r.at, id)
  if r.name then redis.call('HSET', names_key(r), r.name, id) end
  local more = blocker()
  move(id, r, 'deferred', more)
  return wait_for_turn()
end

local function go()
  leave_queue(id, r)
  remember()
  local fence = redis.call('HINCRBY', definition_key(r), 'fence', 1)
  set(definition_key(r), d, {holder = id, fence = fence})
  local values = {fence = fence, owner = a.owner, attempt = int(r.attempt) + 1, sent = '0'}
  if not r['until'] then values['until'] = str(now + policy.retry_deadline) end
  set(request_key(id), r, values)
  lease(id, r, d, cfg.lease)
  keep_definition(r, d)
  move(id, r, 'starting', {fence = fence})
  return answer('go', {fence = fence, attempt = int(r.attempt), lease = cfg.lease / 1000})
end

local function seen_before()
  local event = r.event_id and redis.call('GET', event_key(r))
  if event and event ~= id then return 'event', event end
  local file = r.fp and not r.force and redis.call('GET', seen_key(r))
  local closed = d.holder or int(d.window) > now
  if file and file ~= id and (r.exact or closed) then return 'file', file end
end

local function first_decision()
  local why, by = seen_before()
  if why then return end_as_duplicate(why, by) end
  local shut = int(d.window) > now and not r.force
  local first = redis.call('ZRANGE', waiting_key(r), 0, 0)[1]
  if not (d.holder or shut or (first and not r.force)) then return go() end
  if r.force then return defer() end
  if not r.file then return end_as_duplicate('window', d.holder or first or d.by) end
  if policy.when_too_soon == 'drop' then return end_as_duplicate('too_soon') end
  return defer()
end

local function turn_of_deferred()
  local first = redis.call('ZRANGE', waiting_key(r), 0, 0)[1]
  if not first then redis.call('ZADD', waiting_key(r), r.at, id) first = id end
  if d.holder or (int(d.window) > now and not r.force) then return wait_for_turn() end
  if first ~= id and not r.force then
    wake_next(r, d)
    return wait_for_turn()
  end
  return go()
end

local function lease_over()
  if r.sent == '1' then
    set(request_key(id), r, {look_until = str(now + policy.reconcile_deadline), nb = str(now + cfg.settle), owner = ''})
    move(id, r, 'reconciling', {code = 'lease_over', text = 'the worker that was sending is gone'})
    due_at(id, r, int(r.nb))
    return answer('wait')
  end
  if int(r.lost) >= cfg.max_lost then
    move(id, r, 'gave_up', {code = 'worker_lost', text = 'too many workers died with this request'})
    forget(id, r)
    finish(id, r)
    release(id, r)
    return answer('ended')
  end
  set(request_key(id), r, {lost = int(r.lost) + 1})
  return go()
end

local function mine_again() return r.owner == a.owner and int(d.fence) == int(r.fence) end

local function look()
  if int(d.lease) > now and mine_again() then
  elseif int(d.lease) > now or int(r.nb) > now then return answer('wait')
  else
    local fence = redis.call('HINCRBY', definition_key(r), 'fence', 1)
    set(definition_key(r), d, {fence = fence, holder = id})
    set(request_key(id), r, {fence = fence, owner = a.owner})
    lease(id, r, d, cfg.lease)
  end
  return answer('reconcile', {fence = int(r.fence), attempt = int(r.attempt), lease = cfg.lease / 1000,
    known = r.known or '[]', late = now >= int(r.look_until)})
end

if r.state == 'accepted' then return first_decision() end
if r.state == 'deferred' then return turn_of_deferred() end
if r.state == 'starting' then
  if int(d.lease) <= now or d.holder ~= id then return lease_over() end
  if mine_again() then return answer('go', {fence = int(r.fence), attempt = int(r.attempt), lease = cfg.lease / 1000}) end
  return answer('wait', {held_by = id})
end
if r.state == 'retrying' then
  if int(r.nb) > now then return answer('wait', {opens_in = (int(r.nb) - now) / 1000}) end
  return go()
end
if r.state == 'reconciling' then return look() end
if r.state == 'started' then return answer('wait') end
return answer('ended', blocker())
