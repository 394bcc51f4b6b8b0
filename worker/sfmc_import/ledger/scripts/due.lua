-- Gives the requests whose time has come; none of them again before the pause is over.
local found = redis.call('ZRANGEBYSCORE', DUE, '-inf', str(now), 'LIMIT', 0, a.limit)
local answer = {}
for _, id in ipairs(found) do
  local fields = redis.call('HMGET', request_key(id), 'state', 'mid', 'key', 'attempt')
  if fields[1] then
    redis.call('ZADD', DUE, str(now + a.pause), id)
    answer[#answer + 1] = {id, fields[2], fields[1], fields[3], fields[4] or '0'}
  else
    redis.call('ZREM', DUE, id)
    answer[#answer + 1] = {id, '', 'gone', '', '0'}
  end
end
return answer
