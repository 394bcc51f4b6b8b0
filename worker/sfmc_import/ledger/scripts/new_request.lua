-- Records a request that is not known yet; follows the prelude in the scripts that may be the first to see one.
local function create(id, q)
  local r = {}
  local values = {mid = q.mid, key = q.customer_key, at = str(now)}
  for field, value in pairs({event_id = present(q.event_id), source = present(q.source), reason = present(q.reason),
    name = present(q.name), fp = present(q.fp), file = present(q.file), call = present(q.call)}) do values[field] = value end
  if q.exact == true then values.exact = '1' end
  if q.force == true then values.force = '1' end
  set(request_key(id), r, values)
  move(id, r, 'accepted')
  due_at(id, r, now + cfg.accept_grace)
  return r
end
