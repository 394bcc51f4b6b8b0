-- Marks the next attempt as possibly applied, with the intent when it is the first; answers the lease left in ms, or -1.
local r, _, d = granted()
if not r or r.state ~= 'starting' then return -1 end
local values = {sent = '1'}
if a.known then
  values.known = a.known
  if a.above or r.above then values.above = a.above and newest(r.mid) or '' end
  note_newest(r.mid, a.newest)
end
set(request_key(a.id), r, values)
lease(a.id, r, d, cfg.lease)
return cfg.lease
