-- Commits an accepted start and its window; a late one counts when nothing else was started for the request.
local id = a.id
local r = record(request_key(id))
if not r.state then return 0 end
redis.call('SET', task_key(r.mid, a.task), id, 'PX', cfg.request_ttl)
if r.task then return r.task == a.task and 1 or 0 end
local steps = LIFE[r.state]
if not (steps and steps.started) then return 0 end
if a.reconciled and not granted() then return 0 end
local d = record(definition_key(r))
local values = {task = a.task, started = str(now), follow_until = str(now + a.follow_deadline), looks = 0, sent = '0'}
if present(a.soap) then values.soap = a.soap end
set(request_key(id), r, values)
local window = {by = id, before = str(int(d.window)), window = str(math.max(int(d.window), now + a.window))}
if not d.holder or d.holder == id then window.holder = id window.lease = '0' end
set(definition_key(r), d, window)
keep_definition(r, d)
due_at(id, r, now + a.delay)
move(id, r, 'started', {window_opens = a.window > 0 and iso(int(d.window)) or nil,
  matched = a.reconciled and 'reconciled' or 'reply'})
return 1
