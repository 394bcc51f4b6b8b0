-- A part of every script: time, keys, events and the one function that changes a state.
-- KEYS[1] = <tag>due, KEYS[2] = the stream; all other keys share the hash tag of KEYS[1].
-- ARGV[1] = JSON arguments of the step. @…@ is filled in from schema.py and states.py, cfg.… from the settings.
local a = cjson.decode(ARGV[1])
local TRANSITIONS = '@TRANSITIONS@'
local FAILED = @FAILED@
local WARNED = @WARNED@
local SETTLED = @SETTLED@
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local steps = {}
@KEYS@

local function int(text) return tonumber(text) or 0 end
local function str(ms) return string.format('%.0f', ms) end
local function present(value) if value == nil or value == cjson.null or value == '' then return nil end return value end

-- Lua knows the letters of ASCII only.
local function in_small_letters(text)
  local letters = @LETTERS@
  return (string.gsub(text, '[\194-\239][\128-\191]+', function(letter)
    local _, last = string.find(letters, ' ' .. letter .. '=', 1, true)
    return last and string.match(letters, '^[^ ]+', last + 1)
  end))
end

-- What all spellings of a CustomerKey have in common that a person may write: case and last blanks do not count.
local function folded(key)
  local text = string.gsub(string.lower(key), ' +$', '')
  return string.find(text, '[\128-\255]') and in_small_letters(text) or text
end

-- Days to civil date after the proleptic Gregorian calendar, in whole numbers.
local function iso_of(ms)
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

local now_as_iso
local function iso(ms)
  if ms ~= now then return iso_of(ms) end
  now_as_iso = now_as_iso or iso_of(now)
  return now_as_iso
end

-- JSON that came as text goes on as it is: decoding would round large numbers and lose empty lists.
local function with(object, field, text)
  return string.sub(cjson.encode(object), 1, -2) .. ',"' .. field .. '":' .. text .. '}'
end

-- A text as JSON. A slash needs no escape there, and each event has several.
local function json_of(text)
  local json = cjson.encode(text)
  return string.find(json, '/', 1, true) and string.gsub(json, '\\/', '/') or json
end

local function publish(id, name, mid, subject, data)
  local text = '{"specversion":"1.0","id":' .. json_of(id .. '/' .. name) .. ',"source":' .. json_of('/sfmc-import/' .. mid)
    .. ',"type":"sfmc.import.' .. name .. '","subject":' .. json_of(subject) .. ',"time":"' .. iso(now)
    .. '","datacontenttype":"application/json","data":' .. data .. '}'
  local entry = redis.call('XADD', STREAM, 'MAXLEN', '~', cfg.stream_maxlen, '*', 'event', text)
  return text, entry
end

-- Notes where an event of a request stands in the stream: milliseconds since its arrival and, unless 0, the number in
-- them. So its life is read without reading the stream. When there are many, the oldest but the first are left out.
local MAX_PLACES = 1000
local function note_place(id, r, entry, n)
  local ms, number = string.match(entry, '^(%d+)%-(%d+)$')
  local place = str(ms - int(r.at)) .. (number == '0' and '' or '.' .. number)
  local places = r.l and r.l .. ' ' .. place or place
  while #places > MAX_PLACES do places = string.gsub(places, '^(%S+ )%S+ ', '%1') end
  set(request_key(id), r, {l = places, n = n})
end

-- The file of a request as JSON; its parts are fields of the record, each short enough for a packed one.
local function file_json(r, name, fp)
  if not present(fp) then return 'null' end
  local text = '{"location":' .. json_of(r.p) .. ',"name":' .. json_of(name)
  if r.b then text = text .. ',"size":' .. r.b end
  if r.m then text = text .. ',"modified_ns":"' .. r.m .. '"' end
  if r.v then text = text .. ',"version":' .. json_of(r.v) end
  if r.h then text = text .. ',"content_hash":' .. json_of(r.h) end
  if r.a then text = text .. ',"arrived_as":' .. json_of(r.a) end
  return text .. ',"fingerprint":"' .. fp .. '"}'
end

local function emit(id, r, name, extra)
  local data, n = {request_id = id, customer_key = r.key, mid = r.mid, attempt = int(r.attempt), task_id = r.task,
    soap_request_id = r.soap, source = r.source, event_id = r.event_id, reason = r.reason, replays = r.replays,
    asked_key = r.asked, object_id = r.object, force = r.force and true or nil}, str(int(r.n) + 1)
  if extra then
    for field, value in pairs(extra) do data[field] = value end
  end
  local text, entry = publish(id .. '/' .. n, name, r.mid, r.key, with(data, 'file', file_json(r, r.name, r.fp)))
  note_place(id, r, entry, n)
  return text
end

-- When a request came, for the order of arrivals alone: by the id of its first event, for ids grow also when the clock
-- goes back. `l` are its places (see note_place).
local function came_at(at, l)
  local ms, number = string.match(l or '', '^(-?%d+)%.?(%d*)')
  return int(at) + int(ms) + int(number) / 1024
end

-- The score of a request in a line: forced ones go first.
local function turn_of(r) return string.format('%.17g', came_at(r.at, r.l) - (r.force and 1e13 or 0)) end

-- The ObjectID of a definition as it was noted.
local function object_of(definition) return present(definition) and present(cjson.decode(definition).object_id) end

-- Whether an answer of Marketing Cloud was asked for before a request came; a millisecond is lost by rounding. One that
-- was recorded on a clock ahead was there when its state changed since.
local function is_early(r) return now - int(a.ago) + 1 < math.min(int(r.at), int(r.since)) end

-- States in which the outcome of a start is not known yet.
local OPEN = {accepted = true, deferred = true, starting = true, retrying = true, reconciling = true}

-- Notes whose sender waits for the result.
local function note_caller(id, r)
  if present(a.caller) and not r.caller and OPEN[r.state] then set(request_key(id), r, {caller = a.caller}) end
end

-- Notes that the sender of a message, who waits for the result, can have it.
local function note_result(id, r)
  if not r.caller or OPEN[r.state] then return end
  redis.call('HSET', results_key(), id, r.caller)
  keep(results_key(), cfg.unfinished_ttl)
  drop(request_key(id), r, {'caller'})
end

-- Keeps the event of an end for the task that its sender has named; the next sweep sends it.
local function note_reply(id, r, event)
  if not r.reply_to or OPEN[r.state] or r.state == 'started' then return end
  local reply = cjson.encode({request_id = id, task = r.reply_to, queue = r.reply_queue, at = now, event = event})
  redis.call('ZADD', replies_key(), str(now), reply)
  keep(replies_key(), cfg.unfinished_ttl)
end

-- Why a request waits in a state, unless the step that brings it there knows better. In other states it does not wait.
local WAITS = {accepted = 'queued', retrying = 'backoff', reconciling = 'reconciling', started = 'following'}

-- Reasons that are one wait when they follow each other: calls fail, and the words for it change from try to try.
local FAILING = {backoff = true, circuit_open = true, rate_limited = true, redis_unsure = true, reconciling = true}

-- Why a request waits or waited last, and since when. An attempt, and the wait for a worker before it, end no wait.
local function wait_before(r)
  local is_between = r.wait == '' or r.wait == 'queued'
  if is_between then return r.waited or '', r.waited_since end
  return r.wait or '', r.wait_since
end

-- Since when a request waits for a reason.
local function since_of(r, reason)
  local before, since = wait_before(r)
  if before == reason or (FAILING[before] and FAILING[reason]) then return since end
end

-- The fields that say why a request waits, since when, and behind which request; empty when it does not wait.
local function waits(r, values, reason, behind)
  reason, behind = reason or '', behind or ''
  if (r.wait or '') ~= reason then
    local is_real = present(r.wait) and r.wait ~= '' and r.wait ~= 'queued'
    if is_real and (reason == '' or reason == 'queued') then values.waited, values.waited_since = r.wait, r.wait_since end
    values.wait = reason
    if reason ~= '' then values.wait_since = reason ~= 'queued' and since_of(r, reason) or str(now) end
  end
  if (r.wait_by or '') ~= behind then values.wait_by = behind end
  return values
end

local function wait_for(id, r, reason, behind)
  local values = waits(r, {}, reason, behind)
  if next(values) then set(request_key(id), r, values) end
end

-- Waits that are no failure of a call, and codes of such: what fails after one fails anew.
local NO_FAILURE = {not_before = true, window = true, single_flight = true, after = true, paused = true, worker_lost = true}
local OF_A_LIMIT = {quota = true, budget = true, running_limit = true, near_midnight = true}

-- What failed last, if no other wait came since.
local function noted_before(r)
  if not r.error or NO_FAILURE[wait_before(r)] then return nil end
  return cjson.decode(r.error)
end

-- What failed before, if neither a success nor another wait came since.
local function failing_before(r)
  local before = noted_before(r)
  return before and not OF_A_LIMIT[before.code] and before or nil
end

-- What failed last, since when it fails with this code, and which other code failed first.
local function error_of(r, code, text)
  local said, before = {code = code, text = text, at = now, since = now}, failing_before(r)
  if before and before.code == code then
    said.since, said.first_code, said.first_at = before.since or before.at, before.first_code, before.first_at
  elseif before then
    said.first_code, said.first_at = before.first_code or before.code, before.first_at or before.since or before.at
  elseif OF_A_LIMIT[code] then
    -- One limit after another: what failed before them ends it after them.
    local held = noted_before(r) or {}
    said.first_code, said.first_at = held.first_code, held.first_at
  end
  return cjson.encode(said)
end

-- That a look has found no run is no error of its own: the cause of the doubt stays what failed last. So it does where
-- calls are spread over the minute: nothing was asked. Where no call was made because others failed, their failure is
-- the cause.
local function failed_last(r, code, text)
  if a.looked and r.error or (code == 'quota' and failing_before(r)) then return r.error end
  local cause = present(a.cause)
  return error_of(r, cause and cause.code or code, cause and cause.text or text)
end

-- Ends that say what failed last, where their step says nothing else.
local ENDS_FOR_A_CAUSE = {start_unknown = true, expired = true, follow_timed_out = true}

local function with_cause(r, target, extra)
  if not (ENDS_FOR_A_CAUSE[target] and r.error) or (extra and extra.code) then return extra end
  local cause, named = cjson.decode(r.error), extra or {}
  -- A look before the end, for which nothing had failed.
  if cause.code == target then return extra end
  named.code, named.text = cause.code, cause.text
  return named
end

local function list_newest(key, id, most, at)
  redis.call('ZADD', key, str(at or now), id)
  if redis.call('ZCARD', key) > most then redis.call('ZPOPMIN', key) end
  keep(key, cfg.request_ttl)
end

-- The same file: its name, for a start imports what lies there under it.
local function file_place(r, home)
  return r.mid .. ':' .. #home .. ':' .. home .. ':' .. (r.name or '')
end

-- A request that never met its definition is noted for the business unit.
local function failed_place(r)
  return file_place(r, (r.definition or not r.name) and folded(r.home or r.key) or '')
end

-- The list of failures has the newest requests that ended badly; one that goes on after its end leaves it. Those that
-- an import of the same file settles are found by that.
local function note_failure(id, r, before, after)
  if FAILED[after] then
    list_newest(failures_key(), id, 1000)
  elseif FAILED[before] then
    redis.call('ZREM', failures_key(), id)
    drop(request_key(id), r, {'settler', 'settler_why', 'settled_place'})
  end
  if WARNED[after] then list_newest(warnings_key(), id, 1000) end
  if SETTLED[after] then list_newest(failed_file_key(failed_place(r)), id, 10) end
end

-- Ends of a replay that leave what it repeats as it was, and that are in no list themselves.
local HANDS_BACK = {duplicate = true, cancelled = true, not_started = true}

-- The listed end that a replay stands for, and the replay that was made of it: between them, all came to nothing.
local function stands_for(id, r)
  local replay, other = id, r.replays
  for _ = 1, 100 do
    local f = other and record(request_key(other)) or {}
    if FAILED[f.state] or WARNED[f.state] then return other, f, replay end
    if not HANDS_BACK[f.state] then return end
    replay, other = other, f.replays
  end
end

-- What is replayed has gone on: its replay stands in its place.
local function take_its_place(id, r)
  local other = stands_for(id, r)
  -- Without a need nothing is removed: after that a full Redis would take what it must refuse.
  for _, key in ipairs(other and {failures_key(), warnings_key()} or {}) do redis.call('ZREM', key, other) end
end

-- A replay came to nothing: what it stood for is listed again, unless it is settled or another replay stands for it.
local function hand_back(id, r)
  local other, f, replay = stands_for(id, r)
  if not other or f.replayed ~= replay or f.settled or f.settler then return end
  local by = r.state == 'duplicate' and r.held_by and record(request_key(r.held_by)) or {}
  if by.replays == other and not HANDS_BACK[by.state] then return set(request_key(other), f, {replayed = r.held_by}) end
  local over = int(f.at) + int(string.match(f.l, '(-?%d+)[%.%d]*$'))
  list_newest(FAILED[f.state] and failures_key() or warnings_key(), other, 1000, over)
end

-- A bad end needs no person any more. Its newest event stays the one of its end: by that its time and its cause
-- are found.
local function settle(id, f, place, said)
  local places = f.l
  redis.call('ZREM', failures_key(), id)
  redis.call('ZREM', warnings_key(), id)
  redis.call('ZREM', failed_file_key(place), id)
  emit(id, f, 'settled', said)
  set(request_key(id), f, {settled_place = string.match(f.l, '%S+$'), l = places or f.l})
end

-- The name of the event of a transition; nil for one that is not allowed.
local function transition(source, target)
  local _, last = string.find(TRANSITIONS, ' ' .. source .. '>' .. target .. '=', 1, true)
  return last and string.match(TRANSITIONS, '^%S+', last + 1)
end

-- States in which the import of a request runs, or may run.
local HAS_PLACE = {starting = true, reconciling = true, started = true, retrying = true}

-- How long a place is kept for the request that was woken for it, and how often the first in line looks by itself.
local KEPT = 60000

-- A limit may have been raised or taken away, which no process says to the ledger.
local function let_first_look(group)
  local first = redis.call('ZRANGE', place_waiters_key(group), 0, 0)[1]
  if first then redis.call('ZADD', DUE, 'XX', 'LT', str(now + KEPT), first) end
  return first
end

-- Hands a place of a group to the first request that waits for one, and wakes it: who comes new does not overtake it.
-- A stale entry is passed over. Answers whether somebody was woken.
local function hand_on_place(group)
  for _ = 1, 100 do
    local first = redis.call('ZPOPMIN', place_waiters_key(group))[1]
    if not first then return false end
    local f = record(request_key(first))
    if f.waits_place == group then
      redis.call('ZADD', places_key(group), str(now), first)
      keep(places_key(group), cfg.unfinished_ttl)
      set(request_key(first), f, {turn = group})
      redis.call('ZADD', DUE, 'XX', str(now), first)
      let_first_look(group)
      return true
    end
  end
end

local function leave_place(id, group)
  if redis.call('ZREM', places_key(group), id) == 1 then hand_on_place(group) end
end

-- Its import does not run, or no longer: others of its groups may start.
local function leave_places(id, r)
  local groups = r.places
  drop(request_key(id), r, {'places'})
  for group in string.gmatch(groups, '[^ ]+') do leave_place(id, group) end
end

-- It was woken for a place and does not take it.
local function leave_turn(id, r)
  local group = r.turn
  if not group then return end
  drop(request_key(id), r, {'turn'})
  leave_place(id, group)
end

-- It does not wait for a place any more.
local function leave_line(id, r)
  if not r.waits_place then return end
  redis.call('ZREM', place_waiters_key(r.waits_place), id)
  let_first_look(r.waits_place)
  drop(request_key(id), r, {'waits_place'})
end

-- A start that is tried again has no run, unless an earlier attempt was answered without proof.
local function keeps_places(r, target)
  return HAS_PLACE[target] and (target ~= 'retrying' or r.unproved)
end

-- A write loss is in force, and nothing proves that the request was recorded before it. A source may reach a server that
-- took over before any worker has noticed it, so what a worker has not decided before is proved by its time alone. What
-- is recorded now came after it: that it is `born` after this loss, no later one.
local function note_after_loss(id, r, source)
  local at, kept = unpack(redis.call('HMGET', loss_key(), 'at', 'kept'))
  if not at then return end
  if source == 'new' then set(request_key(id), r, {after = at, born = at})
  elseif int(r.at) >= int(kept) then set(request_key(id), r, {after = at}) end
end

-- A start whose run is not known may have been sent until this time, which its definition keeps: a run that appears for
-- a later start may be its own. Who sent nothing, and only looked for what Redis forgot, has none. Beyond so many the two
-- oldest are one that no end of a doubt removes.
local MAX_UNKNOWN = 10
local function note_unknown(id, r)
  if present(r.forgot) then return end
  local d = record(definition_key(r))
  local starts = cjson.decode(d.unknown or '[]')
  starts[#starts + 1] = {id, r.sent_until or str(now)}
  if #starts > MAX_UNKNOWN then
    local oldest = table.remove(starts, 1)
    starts[1] = {'', str(math.max(int(oldest[2]), int(starts[1][2])))}
  end
  set(definition_key(r), d, {unknown = cjson.encode(starts)})
end

local function forget_unknown(id, r)
  local d, others = record(definition_key(r)), {}
  for _, start in ipairs(cjson.decode(d.unknown or '[]')) do
    if start[1] ~= id then others[#others + 1] = start end
  end
  if #others > 0 then return set(definition_key(r), d, {unknown = cjson.encode(others)}) end
  drop(definition_key(r), d, {'unknown'})
end

-- Ends without a run. The row of an attempt that was answered without proof may appear after them.
local UNSTARTED = {gave_up = true, rejected = true, expired = true}

-- The only way a state changes: the transition must stand in the table of sfmc_import.states.
local function move(id, r, target, extra, reason)
  local source = r.state or 'new'
  local name = transition(source, target)
  if not name then error('no transition from ' .. source .. ' to ' .. target) end
  if source == 'new' or source == 'accepted' then note_after_loss(id, r, source) end
  extra = with_cause(r, target, extra)
  local values = waits(r, {state = target, since = str(now)}, reason or WAITS[target])
  if OPEN[target] and extra and extra.code then values.error = failed_last(r, extra.code, extra.text) end
  set(request_key(id), r, values)
  if r.places and not keeps_places(r, target) then leave_places(id, r) end
  leave_line(id, r)
  leave_turn(id, r)
  note_reply(id, r, emit(id, r, name, extra))
  note_result(id, r)
  note_failure(id, r, source, target)
  if HANDS_BACK[target] then hand_back(id, r) elseif HANDS_BACK[source] then take_its_place(id, r) end
  if target == 'start_unknown' or (r.unproved and UNSTARTED[target]) then note_unknown(id, r) end
  if source == 'start_unknown' or source == 'gave_up' then forget_unknown(id, r) end
end

-- The newest TaskResultID of each business unit: they are whole numbers that grow (seen in samples, not promised).
local function newest(mid) return redis.call('HGET', newest_key(), mid) or nil end
local function note_newest(mid, task)
  local number = tonumber(task or '')
  if not number or number <= int(newest(mid)) then return end
  redis.call('HSET', newest_key(), mid, task)
  keep(newest_key(), cfg.unfinished_ttl)
end

local function due_at(id, r, at)
  schedule(DUE, id, at)
  if r.task then
    schedule(follows_key(), id, at)
    keep(follows_key(), math.max(at - now, 0) + cfg.unfinished_ttl)
  end
  keep(request_key(id), math.max(at - now, 0) + cfg.unfinished_ttl)
end

-- When a run is polled next: runs meet at the same moments, so that one query asks for many of them.
local function poll_at(delay)
  local at = now + delay
  return at + (-at) % cfg.poll_step
end

-- A request that waits for its start is due when the deadline of its sender is over, so that it ends then.
local function waits_until(id, r, at)
  due_at(id, r, r.expires and math.min(at, int(r.expires)) or at)
end

-- Whoever is held by a budget is woken when that is not spent any more.
local function note_held(id, r, code)
  if code ~= 'budget' then return end
  redis.call('ZADD', held_key(), r.at, id)
  keep(held_key(), cfg.unfinished_ttl)
end

-- With `stays` the record keeps all its fields: the request may be taken up again.
local function finish(id, r, stays)
  unschedule(DUE, id)
  unschedule(follows_key(), id)
  if not stays then drop(request_key(id), r, not_kept_at_end(r.state)) end
  keep(request_key(id), cfg.request_ttl)
end

-- Records a request that is not known yet; `q` holds the arguments that describe it.
local function create(id, q)
  local r = record(request_key(id))
  local values = {mid = q.mid, key = q.customer_key, at = str(now), event_id = present(q.event_id),
    source = present(q.source), reason = present(q.reason), object = present(q.object_id), name = present(q.name),
    fp = present(q.fp), call = present(q.call), c = present(q.content), caller = present(q.caller),
    replays = present(q.replays), reply_to = present(q.reply_to), reply_queue = present(q.reply_queue)}
  for _, field in ipairs({'not_before', 'expires'}) do
    if present(q[field]) then values[field] = str(q[field]) end
  end
  for field, value in pairs(present(q.file) or {}) do values[field] = value end
  if q.exact == true then values.exact = '1' end
  if q.force == true then values.force = '1' end
  -- With the file that arrived for what it repeats.
  if values.replays then
    local before = record(request_key(values.replays))
    if before.state then
      set(request_key(values.replays), before, {replayed = id})
      values.arrived = before.arrived or before.at
    end
  end
  set(request_key(id), r, values)
  take_its_place(id, r)
  move(id, r, 'accepted', nil, r.not_before and int(r.not_before) > now and 'not_before' or nil)
  waits_until(id, r, r.not_before and math.max(now, int(r.not_before)) or now + cfg.accept_grace)
  return r
end
