-- Nothing to be seen yet: the next look comes after a pause.
local r, _, d = granted()
if not r or r.state ~= 'reconciling' then return 0 end
set(request_key(a.id), r, {nb = str(now + a.delay), owner = '', lost = 0})
set(definition_key(r), d, {lease = '0'})
due_at(a.id, r, now + a.delay)
return 1
