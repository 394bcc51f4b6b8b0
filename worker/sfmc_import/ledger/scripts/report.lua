-- Publishes an event about an arrival that became no request; once for the same id and name.
if not redis.call('SET', TAG .. 'a:' .. a.id .. '/' .. a.name, '1', 'NX', 'PX', cfg.seen_ttl) then return 0 end
local event = {specversion = '1.0', id = a.id .. '/' .. a.name, source = '/sfmc-import/' .. a.mid,
  type = 'sfmc.import.' .. a.name, subject = a.subject, time = iso(now), datacontenttype = 'application/json'}
publish(event, a.data)
return 1
