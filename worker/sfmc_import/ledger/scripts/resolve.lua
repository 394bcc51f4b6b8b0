-- An operator says what became of a start in doubt: the run `task`, or without one that nothing was started.
local r = record(request_key(a.id))
local task = present(a.task)
if task and r.task then return r.task == task and 1 or 0 end
if not task and r.state == 'not_started' then return 1 end
if not (r.state == 'start_unknown' or (task and r.state == 'not_started')) then return 0 end
local d = record(definition_key(r))
local said = {operator = a.operator, reason = present(a.reason)}
if not task then
  if d.by == a.id then set(definition_key(r), d, {window = d.before or '0', by = d.before_by or ''}) end
  forget(a.id, r)
  move(a.id, r, 'not_started', said)
  release(a.id, r)
  return 1
end
local claimed = redis.call('GET', task_key(r.mid, task))
if claimed and claimed ~= a.id then return 0 end
redis.call('SET', task_key(r.mid, task), a.id, 'PX', cfg.request_ttl)
remember(a.id, r)
set(request_key(a.id), r, {task = task, started = str(now), follow_until = str(now + a.follow_deadline), looks = 0})
if not d.holder then set(definition_key(r), d, {holder = a.id, lease = '0'}) end
note_newest(r.mid, task)
keep_definition(r, d)
due_at(a.id, r, now)
said.matched = 'operator'
move(a.id, r, 'started', said)
return 1
