-- Reads those of the given requests that are started now.
local answer = {}
for _, id in ipairs(a.ids) do
  local f = redis.call('HMGET', request_key(id), 'state', 'mid', 'key', 'task', 'status', 'looks', 'started', 'follow_until')
  if f[1] == 'started' then
    answer[#answer + 1] = {id, f[2], f[3], f[4], f[5] or '', f[6] or '0', str(now - int(f[7])), now >= int(f[8]) and 1 or 0}
  end
end
return answer
