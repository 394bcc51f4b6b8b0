-- Follows a run again whose following had timed out.
local r = record(request_key(a.id))
if r.state == 'started' then
  redis.call('ZADD', DUE, str(now), a.id)
  return 1
end
if r.state ~= 'follow_timed_out' then return 0 end
local d = record(definition_key(r))
set(request_key(a.id), r, {follow_until = str(now + a.follow_deadline), looks = 0})
if not d.holder then
  set(definition_key(r), d, {holder = a.id, lease = '0'})
  keep_definition(r, d)
end
move(a.id, r, 'started', {import_status = r.status, resumed = true})
due_at(a.id, r, now)
return 1
