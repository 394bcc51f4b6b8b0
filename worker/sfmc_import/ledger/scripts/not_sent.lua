-- Takes the mark of `sending` back.
local r = granted()
if not r or r.state ~= 'starting' then return 0 end
set(request_key(a.id), r, {sent = '0'})
return 1
