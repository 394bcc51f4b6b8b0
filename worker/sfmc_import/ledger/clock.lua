-- A clock of Redis that went back: what waits for a time of before is looked at, and waits for no longer than it may.

-- A step in milliseconds that is noticed; a smaller one holds nothing up for longer than that.
local STEP_BACK = 5000

-- A suspect that acts has one lease at most.
local function shorten_suspect()
  local s = record(suspect_key())
  if int(s.lease) > now + cfg.lease then set(suspect_key(), s, {lease = now + cfg.lease}) end
end

-- All that wait are to be looked at, some with each sweep: their times are of the clock of before.
local function notice_step()
  local before = int(redis.call('GET', swept_key()))
  redis.call('SET', swept_key(), str(now), 'PX', cfg.probe_ttl)
  if before <= now + STEP_BACK then return end
  redis.call('ZUNIONSTORE', looks_key(), 1, DUE)
  keep(looks_key(), cfg.unfinished_ttl)
  shorten_suspect()
end

-- How long from now until a time that lay so long after another one, which is ahead now.
local function lasts_for(at, since) return math.max(int(at) - int(since), 0) end

local function bring_forward(r, values, name, at)
  if int(r[name]) > at then values[name] = str(at) end
end

-- A pause is over when a row may show, and a deadline lasts as long as it did when it was noted.
local WAITS_BY_ITSELF = {retrying = true, reconciling = true}
local function shorten_times(r)
  local values = {}
  bring_forward(r, values, 'resolving', now + cfg.lease)
  if WAITS_BY_ITSELF[r.state] then bring_forward(r, values, 'not_before', now + cfg.results_delay) end
  local time_to_look = math.max(cfg.results_delay, lasts_for(r.reconcile_until, r.sent_until))
  bring_forward(r, values, 'reconcile_until', now + time_to_look)
  if int(r.started) > now then
    bring_forward(r, values, 'follow_until', now + lasts_for(r.follow_until, r.started))
    values.started = now
  end
  return values
end

local function shorten_lease(r)
  local d = record(definition_key(r))
  if int(d.lease) > now + cfg.lease then set(definition_key(r), d, {lease = now + cfg.lease}) end
end

local function look_again(id)
  local r = record(request_key(id))
  if not (OPEN[r.state] or r.state == 'started') then return end
  local values = shorten_times(r)
  if next(values) then set(request_key(id), r, values) end
  shorten_lease(r)
  redis.call('ZADD', DUE, 'XX', str(now), id)
end

-- Lets some of those that wait since before a step of the clock be looked at.
local function look_after_step()
  notice_step()
  if redis.call('EXISTS', looks_key()) == 0 then return end
  local found = redis.call('ZPOPMIN', looks_key(), a.limit)
  for i = 1, #found, 2 do look_again(found[i]) end
end
