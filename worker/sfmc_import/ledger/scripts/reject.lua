-- Ends as rejected: nothing was started, so the definition, the file and the source event are free again.
local r, found = granted()
if not r then return found and found.state == 'rejected' and 1 or 0 end
if r.state ~= 'starting' then return 0 end
move(a.id, r, 'rejected', {code = a.code, text = a.text})
forget(a.id, r)
finish(a.id, r)
release(a.id, r)
return 1
