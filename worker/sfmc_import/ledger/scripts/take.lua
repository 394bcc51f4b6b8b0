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
  local opens, first = int(d.window) > now and (int(d.window) - now) / 1000 or nil, head(r)
  return {held_by = d.holder or (opens and d.by) or (first ~= id and first or nil), opens_in = opens,
    window_opens = opens and iso(int(d.window)) or nil}
end

local function ended()
  return answer('ended', {held_by = r.held_by, opens_in = r.state == 'duplicate' and blocker().opens_in or nil})
end

local function end_as_duplicate(why, held_by)
  local more = blocker()
  more.held_by = held_by or more.held_by
  more.why = why
  if why == 'superseded' then more.superseded_by = held_by end
  leave_queue(id, r)
  if more.held_by then set(request_key(id), r, {held_by = more.held_by}) end
  move(id, r, 'duplicate', more)
  finish(id, r)
  if redis.call('EXISTS', definition_key(r)) == 1 then keep_definition(r, d) end
  return ended()
end

local function supersede(other)
  local o = record(request_key(other))
  leave_queue(other, o)
  forget(other, o)
  set(request_key(other), o, {held_by = id})
  move(other, o, 'duplicate', {why = 'superseded', superseded_by = id, held_by = id})
  finish(other, o)
end

-- Newest wins among follow-ups that announce the same name (or all, with coalesce = latest).
-- A forced request is the wish of a person: it supersedes nobody and nobody supersedes it.
local function rivals()
  if r.force or policy.coalesce == 'each' then return {} end
  if policy.coalesce == 'latest' then return redis.call('ZRANGE', waiting_key(r), 0, -1) end
  return {r.name and redis.call('HGET', names_key(r), r.name) or nil}
end

local function coalesce()
  for _, other in ipairs(rivals()) do
    local fields = redis.call('HMGET', request_key(other), 'state', 'at', 'force')
    if other ~= id and fields[1] == 'deferred' and not fields[3] then
      local at = int(fields[2])
      if at > int(r.at) or (at == int(r.at) and other > id) then return other end
      supersede(other)
    end
  end
end

local function wait_for_turn()
  local at = r.force and now or math.max(int(d.window), now)
  if d.holder or head(r) ~= id then at = math.max(at, now + cfg.recheck) end
  due_at(id, r, at)
  keep(waiting_key(r), at - now + cfg.unfinished_ttl)
  if redis.call('EXISTS', names_key(r)) == 1 then keep(names_key(r), at - now + cfg.unfinished_ttl) end
  return answer('wait', blocker())
end

-- Forced follow-ups go first, then in order of arrival.
local function join_queue()
  redis.call('ZADD', waiting_key(r), str(int(r.at) - (r.force and 1e13 or 0)), id)
end

local function defer()
  local newer = coalesce()
  if newer then return end_as_duplicate('superseded', newer) end
  remember(id, r)
  move(id, r, 'deferred', blocker())
  join_queue()
  if r.name and not r.force then redis.call('HSET', names_key(r), r.name, id) end
  if not d.holder then wake_next(r, d) end
  return wait_for_turn()
end

-- The fence of the request counts too: the record of the definition may have been lost with the newest one.
local function take_lease()
  local fence = math.max(int(d.fence), int(r.fence)) + 1
  set(definition_key(r), d, {holder = id, fence = fence})
  set(request_key(id), r, {fence = fence, owner = a.owner})
  lease(id, r, d, cfg.lease)
  keep_definition(r, d)
end

local function granted_answer(verdict, more)
  more = more or {}
  more.fence, more.attempt, more.lease = int(r.fence), int(r.attempt), cfg.lease / 1000
  return answer(verdict, more)
end

-- `newest` is the newest TaskResultID known; after lost writes (see pulse.lua) the newest that survived them.
local function go_answer()
  local loss = redis.call('HMGET', TAG .. 'loss', 'at', r.mid)
  if not loss[1] then return granted_answer('go', {newest = newest(r.mid)}) end
  return granted_answer('go', {newest = loss[2] or nil, loss_age = (now - int(loss[1])) / 1000})
end

local function go()
  leave_queue(id, r)
  remember(id, r)
  take_lease()
  local values = {attempt = int(r.attempt) + 1, sent = '0'}
  if not r['until'] then values['until'] = str(now + policy.retry_deadline) end
  set(request_key(id), r, values)
  move(id, r, 'starting', {fence = r.fence})
  return go_answer()
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
  local first = head(r)
  if not (d.holder or shut or (first and not r.force)) then return go() end
  if r.force then return defer() end
  if not r.file then return end_as_duplicate('window') end
  if policy.when_too_soon == 'drop' then return end_as_duplicate('too_soon') end
  return defer()
end

local function turn_of_deferred()
  join_queue()
  if d.holder or (int(d.window) > now and not r.force) then return wait_for_turn() end
  if head(r) ~= id then
    wake_next(r, d)
    return wait_for_turn()
  end
  local why, by = seen_before()
  if not why then return go() end
  local reply = end_as_duplicate(why, by)
  wake_next(r, d)
  return reply
end

local function doubt_of_the_dead()
  set(request_key(id), r, {look_until = str(now + policy.reconcile_deadline), nb = str(now + cfg.results_delay), owner = ''})
  set(definition_key(r), d, {holder = id, lease = '0'})
  keep_definition(r, d)
  move(id, r, 'reconciling', {code = 'lease_over', text = 'the worker that was sending is gone'})
  due_at(id, r, int(r.nb))
  return answer('wait')
end

local function lease_over()
  set(request_key(id), r, {lost = int(r.lost) + 1})
  if r.sent == '1' then return doubt_of_the_dead() end
  if int(r.lost) < cfg.max_lost then return go() end
  move(id, r, 'gave_up', {code = 'worker_lost', text = 'too many workers died with this request'})
  forget(id, r)
  finish(id, r)
  release(id, r)
  return ended()
end

local function mine_again() return r.owner == a.owner and int(d.fence) == int(r.fence) end

local function give_up_looking()
  open_window(id, d, policy.window, definition_key(r))
  move(id, r, 'start_unknown', {code = 'worker_lost', text = 'too many workers died while they looked for the run'})
  finish(id, r)
  release(id, r)
  return ended()
end

local function look()
  local leased = int(d.lease) > now
  if not (leased and mine_again()) then
    if leased or int(r.nb) > now then return answer('wait') end
    -- A lease that ran out instead of being given back: the worker that looked is gone.
    if int(d.lease) > 0 then
      set(request_key(id), r, {lost = int(r.lost) + 1})
      if int(r.lost) >= cfg.max_lost then return give_up_looking() end
    end
    take_lease()
  end
  return granted_answer('reconcile', {known = r.known or '[]', above = r.above, late = now >= int(r.look_until)})
end

local function while_starting()
  if int(d.lease) <= now or d.holder ~= id then return lease_over() end
  if mine_again() then return go_answer() end
  return answer('wait', {held_by = id})
end

local function try_again()
  if int(r.nb) > now then return answer('wait', {opens_in = (int(r.nb) - now) / 1000}) end
  return go()
end

local ACTING = {starting = while_starting, retrying = try_again, reconciling = look}

-- A holder whose record vanished would block the definition for ever.
local function held_by_other() return d.holder and d.holder ~= id end
if held_by_other() and int(d.lease) <= now and redis.call('EXISTS', request_key(d.holder)) == 0 then
  drop(definition_key(r), d, {'holder', 'lease'})
end

if r.state == 'accepted' then return first_decision() end
if r.state == 'deferred' then return turn_of_deferred() end
if r.state == 'started' then return answer('wait') end
if not ACTING[r.state] then return ended() end
if not held_by_other() then return ACTING[r.state]() end
-- Another request holds the definition: possible only after its record was lost. Single flight comes first.
due_at(id, r, now + cfg.recheck)
return answer('wait', {held_by = d.holder})
