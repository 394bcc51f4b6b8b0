-- Ends a run and lets the next follow-up in; an import that ended in Error may free its window.
local r = record(request_key(a.id))
if r.state == a.outcome and r.task == a.task then return 1 end
if r.state ~= 'started' or r.task ~= a.task then return 0 end
-- Somebody else has resumed the following meanwhile.
if a.outcome == 'follow_timed_out' and now < int(r.follow_until) then return 0 end
local d = record(definition_key(r))
if a.outcome == 'import_failed' and a.on_error == 'free' then
  if d.by == a.id then set(definition_key(r), d, {window = d.before or '0', by = d.before_by or ''}) end
  forget(a.id, r)
end
move(a.id, r, a.outcome, a.result)
finish(a.id, r)
release(a.id, r)
return 1
