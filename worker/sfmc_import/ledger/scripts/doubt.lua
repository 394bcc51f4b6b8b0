-- A start may have been applied: the first look comes after the time a row may take to appear.
local r, _, d = granted()
if not r then return 0 end
if r.state == 'reconciling' then return 1 end
if r.state ~= 'starting' then return 0 end
set(request_key(a.id), r, {nb = str(now + a.delay), look_until = str(now + a.reconcile_deadline), owner = ''})
set(definition_key(r), d, {lease = '0'})
move(a.id, r, 'reconciling', {code = a.code, text = a.text})
due_at(a.id, r, now + a.delay)
return 1
