-- Writes the next number of a process and compares the one before: a smaller one means that Redis lost writes.
local key = TAG .. 'p:' .. a.who
local found = int(redis.call('GET', key))
redis.call('SET', key, a.count, 'PX', cfg.pulse_ttl)
if found >= a.count - 1 then return 0 end
local loss = record(NEWEST)
loss.at = str(now)
set(TAG .. 'loss', {}, loss)
keep(TAG .. 'loss', cfg.loss_ttl)
return 1
