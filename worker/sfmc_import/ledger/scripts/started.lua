-- Commits an accepted start and its window; a late one counts when nothing else was started for the request.
local id = a.id
local r = record(request_key(id))
if not r.state then
  if a.reconciled then return 0 end
  -- Redis lost the request in a failover: the Task.ID is the truth, so the record begins here.
  r = create(id, a)
end
local key = task_key(r.mid, a.task)
if a.reconciled then
  if r.task then return r.task == a.task and 1 or 0 end
  -- A run that was found by looking needs a valid grant, and must belong to nobody.
  local claimed = redis.call('GET', key)
  if not granted() or (claimed and claimed ~= id) then return 0 end
end
redis.call('SET', key, id, 'PX', cfg.request_ttl)
if r.task then return r.task == a.task and 1 or 0 end
if not (LIFE[r.state] and LIFE[r.state].started == 'started') then return 0 end
local d = record(definition_key(r))
if r.state ~= 'starting' then
  leave_queue(id, r)
  remember(id, r)
end
local values = {task = a.task, started = str(now), follow_until = str(now + a.follow_deadline), looks = 0, sent = '0'}
if present(a.soap) then values.soap = a.soap end
set(request_key(id), r, values)
open_window(id, d, a.window, definition_key(r))
if not d.holder or d.holder == id then set(definition_key(r), d, {holder = id, lease = '0'}) end
note_newest(r.mid, a.task)
keep_definition(r, d)
due_at(id, r, now + a.delay)
move(id, r, 'started', {window_opens = a.window > 0 and iso(int(d.window)) or nil,
  matched = a.reconciled and 'reconciled' or 'reply'})
return 1
