-- Records a request that can never be carried out, together with its end.
if redis.call('EXISTS', request_key(a.id)) == 1 then return 0 end
local r = create(a.id, a)
move(a.id, r, 'rejected', {code = a.code, text = a.text})
finish(a.id, r)
return 1
