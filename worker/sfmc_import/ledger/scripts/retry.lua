-- Nothing was applied: due again after a pause, or the end when the retry deadline would be over.
local r, found = granted()
if not r then return found and found.state == 'gave_up' and 'gave_up' end
if r.state == 'retrying' then return 'retrying' end
if r.state ~= 'starting' and r.state ~= 'reconciling' then return nil end
local fault = {code = a.code, text = a.text, retry_in = a.delay / 1000}
set(request_key(a.id), r, {sent = '0', owner = '', nb = str(now + a.delay), lost = 0})
if now + a.delay > int(r['until']) and r.state == 'starting' then
  move(a.id, r, 'gave_up', {code = a.code, text = a.text})
  forget(a.id, r)
  finish(a.id, r)
  release(a.id, r)
  return 'gave_up'
end
move(a.id, r, 'retrying', fault)
set(definition_key(r), record(definition_key(r)), {lease = '0'})
due_at(a.id, r, now + a.delay)
return 'retrying'
