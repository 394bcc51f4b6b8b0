-- The lease on a definition, its fencing token and its window; suspects, of which one at a time has a lease.

local function keep_definition(r, d)
  keep(definition_key(r), math.max(int(d.window) - now, 0) + cfg.unfinished_ttl)
end

-- A request and its definition, when the lease `a.id, a.fence` is the newest; otherwise nil and the request.
local function current_lease()
  local r = record(request_key(a.id))
  if not r.state then return nil end
  local d = record(definition_key(r))
  if d.holder ~= a.id or int(d.fence) ~= a.fence then return nil, r end
  return r, r, d
end

-- A request whose worker was lost is a suspect until it is answered. Only one at a time acts, so that it dies alone.
local function is_suspect(r) return int(r.worker_losses) > 0 end

-- Counts a lease that ran out at `over` instead of being given back: its worker is gone, unless it has said since that
-- it lives and could not reach Redis. True when the request is to
-- blame: the first loss only makes it a suspect, for another request of the same worker may have been the cause; later
-- it was alone.
local function lost_too_many(id, r, over)
  if int(over) == 0 or (r.outlived and r.outlived == r.owner) then return false end
  set(request_key(id), r, {worker_losses = int(r.worker_losses) + 1, lost_owner = r.owner or ''})
  return int(r.worker_losses) > cfg.max_lost
end

-- Another suspect that acts now.
local function other_suspect(id)
  local s = record(suspect_key())
  if s.holder and s.holder ~= id and int(s.lease) > now then return s end
end

local function admit_suspect(id)
  set(suspect_key(), {}, {holder = id, lease = str(now + cfg.lease)})
  keep(suspect_key(), cfg.lease)
  redis.call('ZREM', suspects_key(), id)
end

local function join_suspects(id, r)
  redis.call('ZADD', suspects_key(), r.since, id)
  keep(suspects_key(), cfg.unfinished_ttl)
end

-- The suspect no longer acts: wakes the first of those that wait.
local function release_suspect(id)
  if fields_of(suspect_key(), 'holder')[1] ~= id then return end
  erase(suspect_key())
  local first, state, resolving
  repeat
    first = redis.call('ZPOPMIN', suspects_key())[1]
    if first then state, resolving = unpack(fields_of(request_key(first), 'state', 'resolving')) end
  until not first or state == 'starting' or state == 'reconciling' or resolving
  if first then schedule(DUE, first, now) end
  if first and state == 'started' then schedule(follows_key(), first, now) end
end

-- What became of reading the definition, or how a run goes, is known: the worker that read it lives.
local function end_resolving(id, r)
  drop(request_key(id), r, {'resolving', 'worker_losses'})
  release_suspect(id)
end

local function extend_lease(id, r, d)
  set(definition_key(r), d, {lease = str(now + cfg.lease)})
  due_at(id, r, now + cfg.lease)
  if is_suspect(r) then admit_suspect(id) end
end

-- A token comes from the time, for Redis may have lost the newest one: no later claim must be given it again. It grows
-- all the same when the clock goes back, also where the record of the definition alone was lost.
local function new_fence(id, r, d)
  local fence = math.max(int(d.fence) + 1, int(r.fence) + 1, now)
  set(definition_key(r), d, {holder = id, fence = fence})
  set(request_key(id), r, {fence = fence})
end

local function take_lease(id, r, d)
  new_fence(id, r, d)
  set(request_key(id), r, {owner = a.owner})
  extend_lease(id, r, d)
  keep_definition(r, d)
end

-- Frees the definition and lets the next follow-up in.
local function release(id, r)
  local d = record(definition_key(r))
  if d.holder == id then drop(definition_key(r), d, {'holder', 'lease'}) end
  if not d.holder then
    wake_first_follow_up(r, d)
    renew_reasons(r, d)
  end
  if next(d) then keep_definition(r, d) end
  release_suspect(id)
end

local function forget_previous_window(r, d)
  drop(definition_key(r), d, {'previous_window', 'previous_window_by', 'previous_from', 'own_window'})
end

-- The window lasts from the last start for as long as MaxImportFrequency asks now. A reading that is older than the one
-- that the window was made of says nothing. A pause after an Error is no such window.
local function renew_window(r, d, ms, read_at)
  if int(d.window_from) == 0 or read_at < int(d.window_read) then return end
  local window = str(int(d.window_from) + ms)
  if window == d.window then return end
  set(definition_key(r), d, {window = window, window_read = str(read_at)})
  keep_definition(r, d)
  wake_first_follow_up(r, d)
  renew_reasons(r, d)
end

-- A start that was recorded on a clock ahead, which was set right since, counts as recorded now: the next one comes after
-- a whole window from this look, and not when that time comes again. So does a pause after an Error.
local function set_window_right(r, d)
  local values = {}
  if int(d.window_read) > now then values.window_read = now end
  local ahead, before = int(d.window_from) - now, int(d.previous_from) - now
  if int(d.window_from) == 0 then ahead = int(d.window_read) - now end
  if before > 0 then
    values.previous_from, values.previous_window = now, int(d.previous_window) - before
  end
  if ahead > 0 then
    values.window = math.max(int(d.window) - ahead, int(values.previous_window or d.previous_window))
    if int(d.window_from) > 0 then values.window_from = now end
    if d.own_window then values.own_window = int(d.own_window) - ahead end
  end
  if next(values) then set(definition_key(r), d, values) end
  if ahead > 0 then wake_first_follow_up(r, d) end
end

-- Lets a start use the window, at least the one that its intent names: the caller may not know it. An open one before
-- it is kept for a start that ends in Error. Answers when the window opens, nil when the start has none.
local function begin_window(id, r, d, ms)
  ms = math.max(ms, int(r.window))
  local values = {window_by = id, window = str(math.max(int(d.window), now + ms)), window_from = str(now),
    window_read = str(now)}
  if d.window_by ~= id and int(d.window) > now then
    values.previous_window, values.previous_window_by = d.window, d.window_by or ''
    values.previous_from = d.window_from or '0'
    -- Without the earlier one: this start's, and what was open before both.
    values.own_window = str(math.max(now + ms, int(d.previous_window)))
  elseif d.window_by ~= id and d.previous_window then
    forget_previous_window(r, d)
  end
  set(definition_key(r), d, values)
  return ms > 0 and iso(int(d.window)) or nil
end

-- Gives back the window that a request has used; with a pause, what follows now is closed for so long, at most for the
-- rest of the window. A later start that keeps it as its earlier window has its own window alone.
local function restore_window(id, r, d, pause)
  if d.window_by ~= id then
    if d.previous_window_by == id then
      set(definition_key(r), d, {window = d.own_window})
      forget_previous_window(r, d)
    end
    return
  end
  local closed = pause and math.min(int(d.window), now + pause) or 0
  if closed > int(d.previous_window) then
    set(definition_key(r), d, {window = str(closed), window_from = '0', window_read = str(now)})
  else
    set(definition_key(r), d, {window = d.previous_window or '0', window_by = d.previous_window_by or '',
      window_from = d.previous_from or '0'})
  end
  forget_previous_window(r, d)
end
