-- Ends as start_unknown; the window counts as used, for the import may have started.
local r, found, d = granted()
if not r then return found and found.state == 'start_unknown' and 1 or 0 end
if r.state ~= 'reconciling' then return 0 end
open_window(a.id, d, a.window, definition_key(r))
local extra = {window_opens = a.window > 0 and iso(int(d.window)) or nil}
if #a.candidates > 0 then extra.candidates = a.candidates end
move(a.id, r, 'start_unknown', extra)
finish(a.id, r)
release(a.id, r)
return 1
