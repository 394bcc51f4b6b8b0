-- Records a request; answers whether it was new, also when the same call comes again because its reply was lost.
local known = redis.call('HMGET', request_key(a.id), 'state', 'call')
if known[1] then return known[2] == a.call and 1 or 0 end
create(a.id, a)
return 1
