-- Following a run: which runs are polled, what a poll shows, how a run ends.

-- Reads those of the given requests that are started now.
function steps.followed()
  local answer = {}
  for _, id in ipairs(a.ids) do
    local f = fields_of(request_key(id), 'state', 'mid', 'key', 'task', 'status', 'polls', 'started', 'follow_until', 'home')
    if f[1] == 'started' then
      local d = record(definition_key({mid = f[2], key = f[9] or f[3]}))
      answer[#answer + 1] = {id, f[2], f[3], f[4], f[5] or '', f[6] or '0', str(now - int(f[7])),
        now >= int(f[8]) and 1 or 0, d.last_rows or ''}
    end
  end
  return answer
end

-- Ends the following of a run whose workers died while they asked for it; it may run still.
local function end_lost(id, r)
  move(id, r, 'follow_timed_out', {code = 'worker_lost', text = 'too many workers died while they asked for this run'})
  finish(id, r)
  release(id, r)
end

-- Whether a worker may ask for a run: `free`; a `suspect`, whose worker was lost before; `lost` with too many of them;
-- nothing while another worker asks.
local function poll_of(id)
  local f = fields_of(request_key(id), 'state', 'resolving', 'owner', 'worker_losses')
  local held, losses = int(f[2]), int(f[4])
  if f[1] == 'follow_timed_out' and losses > cfg.max_lost then return 'lost' end
  if f[1] ~= 'started' then return 'over' end
  if held > now then return f[3] == a.owner and 'free' or 'held' end
  if held == 0 then return losses > 0 and 'suspect' or 'free' end
  local r = record(request_key(id))
  if lost_too_many(id, r, held) then
    end_lost(id, r)
    return 'lost'
  end
  set(request_key(id), r, {resolving = '0'})
  return is_suspect(r) and 'suspect' or 'free'
end

-- Lets the first of these suspects be asked for, alone and if no other acts; the others wait.
local function admit_one(suspects)
  local first = suspects[1]
  local one = first and not other_suspect(first) and first or nil
  for _, id in ipairs(suspects) do
    if id ~= one then join_suspects(id, {since = fields_of(request_key(id), 'since')[1]}) end
  end
  if one then admit_suspect(one) end
  return {one}
end

-- A worker is about to ask for these runs: it holds them for one lease, so that its loss is noticed. Answers those that
-- it may ask for with one query, and those whose following has ended for the workers they lost.
function steps.polling()
  local lists = {free = {}, suspect = {}, lost = {}, held = {}, over = {}}
  for _, id in ipairs(a.ids) do
    local list = lists[poll_of(id)]
    list[#list + 1] = id
  end
  local granted = #lists.free > 0 and lists.free or admit_one(lists.suspect)
  for _, id in ipairs(granted) do
    local r = record(request_key(id))
    set(request_key(id), r, {resolving = now + cfg.lease, polled = now, owner = a.owner})
  end
  return {granted, lists.lost}
end

-- What failed in a poll is shown until one is answered.
local function note_poll(r)
  if not present(a.code) then return drop(request_key(a.id), r, {'error'}) end
  set(request_key(a.id), r, {error = failed_last(r, a.code, a.text)})
end

-- Notes a poll of a run; an event only when its status is new.
function steps.progressed()
  local r = record(request_key(a.id))
  if r.state ~= 'started' or r.task ~= a.task then return 0 end
  local news = present(a.status) and a.status ~= r.status
  end_resolving(a.id, r)
  set(request_key(a.id), r, {polls = int(r.polls) + 1})
  note_poll(r)
  if news then
    set(request_key(a.id), r, {status = a.status})
    move(a.id, r, 'started', {import_status = a.status})
  end
  due_at(a.id, r, poll_at(a.delay))
  return 1
end

-- What a run that ended in Error means for its definition: how many did so in a row, and when the next may start.
local function errors_so_far(d)
  return {consecutive_errors = int(d.errors), window_opens = int(d.window) > now and iso(int(d.window)) or nil}
end

-- Counts a run that ended in Error. With on_error = free the file may come again, after a pause instead of the window.
local function note_error(r, d)
  set(definition_key(r), d, {errors = int(d.errors) + 1})
  if a.on_error ~= 'free' then return end
  restore_window(a.id, r, d, a.pauses[int(d.errors)] or int(d.window))
  forget(a.id, r)
end

-- Of a run that completed, its definition keeps how many rows came, unless there were none: the next is compared.
local function note_end(r, d)
  if a.outcome == 'import_failed' then return note_error(r, d) end
  if not a.completed then return end
  if d.errors then drop(definition_key(r), d, {'errors'}) end
  if a.as_expected then note_completed(r, d, present(a.shown)) end
  local rows = a.result.rows_total
  if rows and rows > 0 then set(definition_key(r), d, {last_rows = str(rows)}) end
end

local IMPORTED = {completed = true, completed_with_errors = true}

-- The same content; a file that is known by its name alone may have another one each time. After an end the fingerprint
-- is not kept, and what it is made of is.
local function has_same_content(r, f)
  if r.h and f.h then return r.h == f.h end
  return (r.v or r.m) and r.v == f.v and r.m == f.m and r.b == f.b and r.p == f.p and (r.a or r.name) == (f.a or f.name)
end

-- Why nothing of an older request can be missing now that another one is imported; nil where this is not proved: all
-- update types but Overwrite leave the rows as they are that this file does not have.
local function why_settled(id, r, f)
  if stands_for(a.id, r) == id then return 'replayed' end
  if has_same_content(r, f) then return 'same_file' end
  if r.definition and cjson.decode(r.definition).update_type == 'Overwrite' then return 'overwritten' end
end

local function settle_in(r, place)
  for _, id in ipairs(redis.call('ZRANGE', failed_file_key(place), 0, -1)) do
    local f = record(request_key(id))
    if id ~= a.id and SETTLED[f.state] and came_at(f.at, f.l) <= came_at(r.at, r.l) and not f.settler then
      local why = why_settled(id, r, f)
      if why then set(request_key(id), f, {settled = a.id}) else set(request_key(id), f, {newer = a.id}) end
      if why then settle(id, f, place, {settled_by = a.id, why = why}) end
    end
  end
end

-- A file was imported: older requests for one of its name that ended otherwise are settled, or know of it.
local function settle_older(r)
  settle_in(r, file_place(r, folded(r.home or r.key)))
  if r.name then settle_in(r, file_place(r, '')) end
end

-- The last status of a run that has ended. That of a run which completed is read from the state: it takes no memory.
local function note_last_status(r, status)
  if a.outcome == 'completed' and status == 'Completed' then return drop(request_key(a.id), r, {'status'}) end
  if status then set(request_key(a.id), r, {status = status}) end
end

-- Ends a run and lets the next follow-up in.
function steps.ended()
  local r = record(request_key(a.id))
  local d = record(definition_key(r))
  if r.state == a.outcome and r.task == a.task then return cjson.encode(errors_so_far(d)) end
  if r.state ~= 'started' or r.task ~= a.task then return nil end
  -- Somebody else has resumed the following meanwhile.
  if a.outcome == 'follow_timed_out' and now < int(r.follow_until) then return nil end
  note_end(r, d)
  if IMPORTED[a.outcome] then settle_older(r) end
  local result = a.result
  note_last_status(r, result.import_status)
  if a.outcome == 'import_failed' then
    for field, value in pairs(errors_so_far(d)) do result[field] = value end
  end
  move(a.id, r, a.outcome, result)
  finish(a.id, r)
  release(a.id, r)
  return cjson.encode(errors_so_far(d))
end

-- Follows a run again whose following had timed out.
function steps.resume()
  local r = record(request_key(a.id))
  if r.state == 'started' then
    due_at(a.id, r, now)
    return 1
  end
  if r.state ~= 'follow_timed_out' then return 0 end
  local d = record(definition_key(r))
  -- One that lost its workers is still a suspect.
  local losses = math.min(int(r.worker_losses), 1)
  set(request_key(a.id), r, {follow_until = str(now + a.follow_deadline), polls = 0, worker_losses = losses})
  if not d.holder then
    set(definition_key(r), d, {holder = a.id, lease = '0'})
    keep_definition(r, d)
  end
  move(a.id, r, 'started', {import_status = r.status, resumed = true})
  due_at(a.id, r, now)
  return 1
end
