-- Notes a look at a run; an event only when its status is new.
local r = record(request_key(a.id))
if r.state ~= 'started' or r.task ~= a.task then return 0 end
local news = present(a.status) and a.status ~= r.status
set(request_key(a.id), r, {looks = int(r.looks) + 1})
if news then
  set(request_key(a.id), r, {status = a.status})
  move(a.id, r, 'started', {import_status = a.status})
end
due_at(a.id, r, now + a.delay)
return 1
