-- Shared by every script: time, keys, records, events and the one door through which a state changes.
-- KEYS[1] = <tag>due, KEYS[2] = the stream; all other keys share the hash tag of KEYS[1].
-- ARGV[1] = JSON arguments of the step; @…@ is filled in when the script is loaded.
local a = cjson.decode(ARGV[1])
local cfg = @SETTINGS@
local DUE, STREAM = KEYS[1], KEYS[2]
local TAG = string.sub(DUE, 1, -4)
local LIFE = @LIFE@
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function int(text) return tonumber(text) or 0 end
local function str(ms) return string.format('%.0f', ms) end
local function present(value) if value == nil or value == cjson.null or value == '' then return nil end return value end

local function record(key)
  local flat, fields = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

local function set(key, fields, values)
  local flat = {}
  for name, value in pairs(values) do
    fields[name] = value
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  redis.call('HSET', key, unpack(flat))
end

local function drop(key, fields, names)
  for _, name in ipairs(names) do fields[name] = nil end
  redis.call('HDEL', key, unpack(names))
end

-- Days to civil date after the proleptic Gregorian calendar, in whole numbers.
local function iso(ms)
  local seconds = math.floor(ms / 1000)
  local days, rest = math.floor(seconds / 86400) + 719468, seconds % 86400
  local era = math.floor(days / 146097)
  local doe = days - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local day = doy - math.floor((153 * mp + 2) / 5) + 1
  local month = mp < 10 and mp + 3 or mp - 9
  local year = yoe + era * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, day,
    math.floor(rest / 3600), math.floor(rest / 60) % 60, rest % 60, ms % 1000)
end

local function request_key(id) return TAG .. 'r:' .. id end
local function scope(r) return r.mid .. ':' .. r.key end
local function definition_key(r) return TAG .. 'd:' .. scope(r) end
local function waiting_key(r) return TAG .. 'w:' .. scope(r) end
local function names_key(r) return TAG .. 'n:' .. scope(r) end
local function seen_key(r) return TAG .. 's:' .. scope(r) .. ':' .. r.fp end
-- A CustomerKey and an event id may both have colons: the length tells where the key ends.
local function event_key(r) return TAG .. 'e:' .. #r.key .. ':' .. scope(r) .. ':' .. r.event_id end
local function task_key(mid, task) return TAG .. 't:' .. mid .. ':' .. task end

-- JSON that came as text goes on as it is: decoding would round large numbers and lose empty lists.
local function with(object, field, text)
  return string.sub(cjson.encode(object), 1, -2) .. ',"' .. field .. '":' .. text .. '}'
end

local function publish(event, data)
  redis.call('XADD', STREAM, 'MAXLEN', '~', cfg.stream_maxlen, '*', 'event', with(event, 'data', data))
end

local function emit(id, r, name, extra)
  local data = {request_id = id, customer_key = r.key, mid = r.mid, attempt = int(r.attempt)}
  for field, value in pairs({task_id = r.task, soap_request_id = r.soap, source = r.source,
    event_id = r.event_id, reason = r.reason}) do data[field] = value end
  if r.force then data.force = true end
  for field, value in pairs(extra or {}) do data[field] = value end
  r.n = redis.call('HINCRBY', request_key(id), 'n', 1)
  local event = {specversion = '1.0', id = id .. '/' .. r.n .. '/' .. name, source = '/sfmc-import/' .. r.mid,
    type = 'sfmc.import.' .. name, subject = r.key, time = iso(now), datacontenttype = 'application/json'}
  publish(event, with(data, 'file', r.file or 'null'))
end

-- The only way a state changes: the step must stand in the table of sfmc_import.states.
local function move(id, r, target, extra)
  local source = r.state or 'new'
  local name = LIFE[source] and LIFE[source][target]
  if not name then error('no step from ' .. source .. ' to ' .. target) end
  set(request_key(id), r, {state = target, since = str(now)})
  emit(id, r, name, extra)
end

local function keep(key, ms) redis.call('PEXPIRE', key, str(ms)) end

-- The newest TaskResultID of each business unit: they are whole numbers that grow (seen in samples, not promised).
local NEWEST = TAG .. 'newest'
local function newest(mid) return redis.call('HGET', NEWEST, mid) or nil end
local function note_newest(mid, task)
  local number = tonumber(task or '')
  if not number or number <= int(newest(mid)) then return end
  redis.call('HSET', NEWEST, mid, task)
  keep(NEWEST, cfg.unfinished_ttl)
end

local function due_at(id, r, at)
  redis.call('ZADD', DUE, str(at), id)
  keep(request_key(id), math.max(at - now, 0) + cfg.unfinished_ttl)
end

local function keep_definition(r, d)
  keep(definition_key(r), math.max(int(d.window) - now, 0) + cfg.unfinished_ttl)
end

local function finish(id, r)
  redis.call('ZREM', DUE, id)
  if r.state ~= 'follow_timed_out' then drop(request_key(id), r, {'started', 'fence'}) end
  drop(request_key(id), r, {'owner', 'known', 'above', 'sent', 'nb', 'look_until', 'until', 'follow_until', 'looks', 'lost', 'call'})
  keep(request_key(id), cfg.request_ttl)
end

-- The file and the source event of a request that starts or waits are not announced again.
local function remember(id, r)
  if r.fp then redis.call('SET', seen_key(r), id, 'PX', cfg.seen_ttl) end
  if r.event_id then redis.call('SET', event_key(r), id, 'PX', cfg.seen_ttl) end
end

-- The file and the source event of a request that led to nothing may be announced again.
local function forget(id, r)
  if r.fp and redis.call('GET', seen_key(r)) == id then redis.call('DEL', seen_key(r)) end
  if r.event_id and redis.call('GET', event_key(r)) == id then redis.call('DEL', event_key(r)) end
end

-- The first follow-up; one whose record vanished leaves the queue, so that it blocks nobody.
local function head(r)
  while true do
    local first = redis.call('ZRANGE', waiting_key(r), 0, 0)[1]
    if not first or redis.call('HGET', request_key(first), 'state') == 'deferred' then return first end
    redis.call('ZREM', waiting_key(r), first)
  end
end

-- A forced follow-up does not wait for the window.
local function wake_next(r, d)
  local first = head(r)
  if not first then return end
  local forced = redis.call('HGET', request_key(first), 'force')
  redis.call('ZADD', DUE, str(forced and now or math.max(now, int(d.window))), first)
end

-- Lets a start use the window; an open one before it is kept for a start that ends in Error.
local function open_window(id, d, ms, key)
  local values = {by = id, window = str(math.max(int(d.window), now + ms))}
  if d.by ~= id and int(d.window) > now then values.before, values.before_by = d.window, d.by or ''
  elseif d.by ~= id and d.before then drop(key, d, {'before', 'before_by'}) end
  set(key, d, values)
end

local function release(id, r)
  local d = record(definition_key(r))
  if d.holder == id then drop(definition_key(r), d, {'holder', 'lease'}) end
  if not d.holder then wake_next(r, d) end
  if next(d) then keep_definition(r, d) end
end

local function leave_queue(id, r)
  redis.call('ZREM', waiting_key(r), id)
  if r.name and redis.call('HGET', names_key(r), r.name) == id then redis.call('HDEL', names_key(r), r.name) end
end

-- A request and its definition, when the grant `a.id, a.fence` is the newest; otherwise nil.
local function granted()
  local r = record(request_key(a.id))
  if not r.state then return nil end
  local d = record(definition_key(r))
  if d.holder ~= a.id or int(d.fence) ~= a.fence then return nil, r end
  return r, r, d
end

local function lease(id, r, d, ms)
  set(definition_key(r), d, {lease = str(now + ms)})
  due_at(id, r, now + ms)
end
