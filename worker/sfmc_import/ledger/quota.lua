-- The quota of an account, shared by all its processes: permits, budgets, the circuit breaker.

-- Of a limit, nine tenths flow in evenly and one tenth may be taken at once: no minute has more calls than the limit.
local FLOW, BURST = 0.9, 0.1
local MAX_WAIT, MAX_FIELDS, FAILURE_GAP, RAMP = 600000, 10000, 60000, 10000
local DAY_MS = 86400000
local HELD_AT_ONCE = 100
local FORGOTTEN = 600000

local function keep_circuit(scope, c)
  c.seen = now
  redis.call('HSET', circuit_key(a.account), scope, cjson.encode(c))
  keep(circuit_key(a.account), cfg.probe_ttl)
end

-- A pause that a clock which went back would make longer begins anew, once.
local function circuit_from(scope, text)
  local c = cjson.decode(text)
  if present(c['until']) and c['until'] - now > c.pause then
    c['until'] = now + c.pause
    keep_circuit(scope, c)
  end
  return c
end

-- The state of one circuit: that of the account (''), or of one login (`@` and its id), there or in one business unit.
local function circuit_of(scope)
  local text = redis.call('HGET', circuit_key(a.account), scope)
  return text and circuit_from(scope, text) or {epoch = 0, failures = 0}
end

-- How long no call is made.
local function left_of(c) return present(c['until']) and math.max(0, c['until'] - now) or nil end

-- No call was made for so long after its pause: the login is not used any more, or was corrected.
local function is_forgotten(c) return now - math.max(present(c['until']) or 0, c.seen or 0) > FORGOTTEN end

local function shown(c, state)
  return {state = state, epoch = c.epoch, failures = c.failures, left = left_of(c) and left_of(c) / 1000, code = c.code,
    text = c.text, by = c.by, opened = c.opened}
end

-- What a process needs to know of the circuits.
local function circuits()
  local found = {}
  for scope, text in pairs(record(circuit_key(a.account))) do
    local c = circuit_from(scope, text)
    if is_forgotten(c) then redis.call('HDEL', circuit_key(a.account), scope)
    else
      found[#found + 1] = shown(c)
      found[#found].scope = scope
    end
  end
  return found
end

-- Adds counts to a period. Definitions beyond a number are counted together, so that the key is bounded.
local function add(period, ttl, all)
  local key = usage_key(a.account, period)
  local is_full = redis.call('HLEN', key) >= MAX_FIELDS
  for field, count in pairs(a.used) do
    local is_definition = string.sub(field, 1, 2) == 'd:'
    if is_definition and is_full and not redis.call('HGET', key, field) then field = 'd:' end
    if all or not is_definition then redis.call('HINCRBY', key, field, count) end
  end
  keep(key, ttl)
  return int(redis.call('HGET', key, 'all'))
end

-- Says once for each period, and again for a budget that was raised in it, that a share is used.
local function warn(period, used, budget)
  local name = used >= budget and 'budget_spent' or used >= budget * 0.8 and 'budget_warned'
  if not name or int(redis.call('HGET', usage_key(a.account, period), name)) >= budget then return end
  redis.call('HSET', usage_key(a.account, period), name, str(budget))
  publish('quota/' .. a.account .. '/' .. period .. '/' .. budget, name, a.mid, period,
    cjson.encode({account = a.account, period = period, used = used, budget = budget, policy = a.policy}))
end

-- Counts what was used since the last call of this process; answers how long a spent budget holds, and whether it is
-- that of the year or of the day: nil when none does.
local function count_usage()
  local today = now + a.offset
  local day = string.sub(iso(today), 1, 10)
  local year = string.sub(day, 1, 4)
  local of_day = add(day, cfg.usage_day_ttl, true)
  add(string.sub(day, 1, 7), cfg.usage_ttl, true)
  local of_year = add(year, cfg.usage_ttl, false)
  if a.budget_day > 0 then warn(day, of_day, a.budget_day) end
  if a.budget_year > 0 then warn(year, of_year, a.budget_year) end
  if a.policy ~= 'hold' then return nil end
  local is_of_year = a.budget_year > 0 and of_year >= a.budget_year
  if not is_of_year and (a.budget_day == 0 or of_day < a.budget_day) then return nil end
  return DAY_MS - today % DAY_MS, is_of_year and 'year' or 'day'
end

-- One that was held by a budget looks again.
local function wake_if_held(id)
  local r = record(request_key(id))
  if OPEN[r.state] and string.find(r.error or '', '"code":"budget"', 1, true) then
    set(request_key(id), r, {not_before = str(now)})
    return redis.call('ZADD', DUE, 'XX', 'CH', str(now), id)
  end
  return 0
end

-- Wakes some of the requests that were held by a budget, for it is not spent now; what they ask for wakes the next ones.
-- Those that have ended meanwhile do not count: else no call would ask for those behind them.
local function wake_held()
  local woken = 0
  for _ = 1, 50 do
    local found = redis.call('ZPOPMIN', held_key(), HELD_AT_ONCE)
    for i = 1, #found, 2 do woken = woken + wake_if_held(found[i]) end
    if #found < 2 * HELD_AT_ONCE or woken >= HELD_AT_ONCE then return end
  end
end

-- What each kind of call has, and what kinds that are full have left over for all. A clock that went back adds nothing.
local function filled()
  local q = record(quota_key(a.account))
  local before = tonumber(q.at)
  local passed = before and math.max(0, now - before) or 0
  local over, room = 0, a.limit * BURST
  if before and before > now then
    for share in pairs(a.shares) do q['next_' .. share] = nil end
  end
  for share, part in pairs(a.shares) do
    local most = math.max(share == 'start' and a.together or 1, part * a.limit * BURST / 2)
    local have = math.max(0, tonumber(q[share]) or most) + passed * part * a.limit * FLOW / 60000
    q[share], over, room = math.min(have, most), over + math.max(0, have - most), room - most
  end
  q.shared = math.min(math.max(0, tonumber(q.shared) or 0) + over, math.max(0, room))
  q.at = now
  return q
end

local function keep_quota(q)
  local flat = {}
  for name, value in pairs(q) do
    flat[#flat + 1] = name
    flat[#flat + 1] = string.format('%.3f', value)
  end
  redis.call('HSET', quota_key(a.account), unpack(flat))
  keep(quota_key(a.account), cfg.probe_ttl)
end

-- Takes permits, what is its own first. Whoever gets none is given a time of its own, so that not all come back at once.
-- One comes for each permit that flows in: not all need as many as they asked for, and what is not taken is lost.
local function take(q)
  local have = q[a.share] + q.shared
  if have >= a.need then
    local count = math.min(a.want, math.floor(have))
    local own = math.min(count, q[a.share])
    q[a.share], q.shared = q[a.share] - own, q.shared - (count - own)
    return count, 0
  end
  local flow = a.limit * FLOW / 60000
  local at = math.max(now + (a.need - have) / flow, tonumber(q['next_' .. a.share]) or 0)
  at = math.min(at, now + MAX_WAIT)
  q['next_' .. a.share] = at + 1 / flow
  return 0, math.ceil(at - now)
end

-- For a while after a circuit was closed only so many permits are given: a few at first, then quickly more.
local function ramp(c)
  local passed = c.closed and now - c.closed or RAMP
  if passed < 0 or passed >= RAMP then return nil end
  return math.floor(10 * 2 ^ (passed / 1000)) - (c.back or 0)
end

local function permits()
  local c = circuit_of('')
  local most = ramp(c)
  if most and most < a.need then return 0, 1000 end
  if most then
    a.want = math.min(a.want, most)
    c.back = (c.back or 0) + a.want
    keep_circuit('', c)
  end
  if a.limit == 0 then return a.want, 0 end
  local q = filled()
  local count, wait = take(q)
  keep_quota(q)
  return count, wait
end

-- Counts the calls that were made, and gives permits for the next ones: `want`, or at least `need`, or none and a time.
-- Runs that are under way are followed also when a budget holds everything else.
function steps.take_permits()
  local held, budget = count_usage()
  if not held then wake_held() end
  local count, wait, why = 0, held, 'budget'
  if a.want == 0 then wait = 0
  elseif not held or a.share == 'follow' then
    count, wait = permits()
    why = 'quota'
  end
  return cjson.encode({permits = count, wait = wait / 1000, why = why, budget = budget, circuits = circuits()})
end

-- Asks for the one place from which a call is made while a circuit is open. One that was lost is given away after a time.
function steps.probe_circuit()
  local c = circuit_of(a.scope)
  local left = left_of(c)
  if not left then return cjson.encode({state = 'closed', epoch = c.epoch, failures = c.failures}) end
  if present(c.probe) and c.probe_until - now > a.probe_ms then
    c.probe_until = now + a.probe_ms
    keep_circuit(a.scope, c)
  end
  local taken = present(c.probe) and c.probe ~= a.probe and c.probe_until - now or 0
  if left <= 0 and taken <= 0 then
    c.probe, c.probe_until = a.probe, now + a.probe_ms
    keep_circuit(a.scope, c)
    return cjson.encode({state = 'probe', epoch = c.epoch, failures = c.failures})
  end
  if left <= 0 then left = math.min(taken, 5000) end
  local held = shown(c, 'open')
  held.left = left / 1000
  return cjson.encode(held)
end

-- Whose calls have failed, the newest first: all of them must be corrected.
local NAMED = 5
local function note_who(c)
  local by = present(a.by)
  if not by then return end
  local names = {by}
  for _, name in ipairs(c.names or {}) do
    if name ~= by then names[#names + 1] = name end
  end
  c.is_more = c.is_more or #names > NAMED
  names[NAMED + 1] = nil
  c.names, c.by = names, table.concat(names, ', ') .. (c.is_more and ' and others' or '')
end

-- Since when calls fail with this code without an answer between: from the first one that failed.
local function note_begin(c)
  if c.failing ~= a.code then c.failing, c.begun = a.code, now end
end

-- Opens a circuit, or opens it for longer.
local function open(c)
  local pause = math.min(a.pause * 2 ^ math.min(c.opened or 0, 16), a.longest_pause)
  c.pause = math.max(pause, a.asked)
  c['until'], c.code, c.text, c.opened, c.probe = now + c.pause, a.code, a.text, (c.opened or 0) + 1, nil
  c.since = c.begun
end

local function note_failure_of(c, is_probe)
  if present(c['until']) then
    note_who(c)
    if is_probe then
      note_begin(c)
      return open(c)
    end
    -- A call that was under way when it opened can ask for more time, and is no further failure.
    if a.asked > left_of(c) then c['until'], c.pause = now + a.asked, a.asked end
    return
  end
  if a.epoch < c.epoch then return end
  local passed = now - (c.at or now)
  if passed < 0 or passed > FAILURE_GAP then c.failures = 0 end
  if c.failures == 0 then c.names, c.is_more = nil, nil end
  c.failures, c.at = c.failures + 1, now
  note_begin(c)
  note_who(c)
  if c.failures < a.threshold then return end
  c.epoch = c.epoch + 1
  open(c)
end

-- Notes how a call ended: that it failed for the whole account, that it was answered, or that its end is not known.
function steps.report_circuit()
  local c = circuit_of(a.scope)
  local is_open, is_probe = present(c['until']) and true, present(c.probe) and c.probe == a.probe
  if a.outcome == 'failed' then
    note_failure_of(c, is_probe)
  elseif a.outcome == 'answered' and is_open and is_probe then
    c = {epoch = c.epoch + 1, failures = 0, closed = now, back = 0}
  elseif a.outcome == 'answered' and not is_open and a.epoch >= c.epoch then
    c.failures, c.failing = 0, nil
  elseif is_probe then
    c.probe = nil
  end
  keep_circuit(a.scope, c)
  return cjson.encode(shown(c, left_of(c) and 'open' or 'closed'))
end
