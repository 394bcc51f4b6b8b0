-- What an operator does to a request that has not been started, or has ended badly.

local CANCELLABLE = {accepted = true, deferred = true, retrying = true}

-- Another request that handled the file, or the event, goes on counting.
local function remember_if_new(id, r)
  if r.fp then redis.call('SET', seen_key(r), id, 'NX', 'PX', cfg.seen_ttl) end
  if r.event_id then redis.call('SET', event_key(r), id, 'NX', 'PX', cfg.seen_ttl) end
end

local FORCEABLE = {accepted = true, deferred = true}

-- One that is tried again may wait for its order, too.
local function may_be_forced(r) return FORCEABLE[r.state] or (r.state == 'retrying' and r.wait == 'after') end

-- A request that waits need not wait any more for the window, for its order (`after`) or for what came before it; a run
-- of its definition and a pause still hold it. Answers its state, nothing for an unknown request.
function steps.force()
  local r = record(request_key(a.id))
  if not may_be_forced(r) or r.force then return r.state end
  local said = {operator = a.operator, waited_for = present(r.wait)}
  set(request_key(a.id), r, {force = '1', reason = a.reason})
  -- Its place in line is given anew by the claim; a newer file of its name does not supersede it any more.
  if r.name and redis.call('HGET', names_key(r), r.name) == a.id then redis.call('HDEL', names_key(r), r.name) end
  emit(a.id, r, 'operator.forced', said)
  waits_until(a.id, r, now)
  return r.state
end

-- Ends a request before its start. Its file counts as handled: an event or a scan that announces it again starts nothing.
-- Answers the state: `cancelled`, or the one in which it cannot be cancelled; nothing for an unknown request.
function steps.cancel()
  local r = record(request_key(a.id))
  if not CANCELLABLE[r.state] then return r.state end
  local said = {operator = a.operator, reason = present(a.reason)}
  leave_follow_ups(a.id, r)
  -- Its run may come to light.
  if r.unproved or r.doubted then
    r.doubted = '1'
    end_unstarted(a.id, r, 'gave_up', said)
    return r.state
  end
  remember_if_new(a.id, r)
  redis.call('ZREM', paused_key(), a.id)
  move(a.id, r, 'cancelled', said)
  finish(a.id, r)
  release(a.id, r)
  return r.state
end

-- An operator says that a request which ended badly is dealt with. Answers its state, nothing for an unknown request.
function steps.settle()
  local r = record(request_key(a.id))
  local ends = SETTLED[r.state] or r.state == 'follow_timed_out'
  if not ends or r.settled or r.settler then return r.state end
  set(request_key(a.id), r, {settler = a.operator, settler_why = a.reason})
  settle(a.id, r, failed_place(r), {why = 'operator', operator = a.operator, reason = a.reason})
  return r.state
end
