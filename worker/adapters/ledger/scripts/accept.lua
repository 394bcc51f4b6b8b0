-- Records a request; answers whether it was new.
if redis.call('EXISTS', request_key(a.id)) == 1 then return 0 end
create(a.id, a)
return 1
